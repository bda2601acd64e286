"""Finding what a quantized model lost its quality by: the smallest set of nodes that has to be back in float, and a repair."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

from olivelike.engine.blame.drop import AccuracyDrop, NoiseDrop, start_drop
from olivelike.engine.blame.pairing import Pairing, Unit, pair
from olivelike.engine.blame.repair import Repair, repairs
from olivelike.engine.blame.search import culprits
from olivelike.engine.blame.trials import Trials, load
from olivelike.engine.blame.weights import integer_weights
from olivelike.engine.data_option import DataOption
from olivelike.engine.libraries import beside
from olivelike.errors import InputError, fail
from olivelike.onnxfile.check import validate_graph
from olivelike.onnxfile.read import read_model
from olivelike.onnxfile.write import write_model

KEPT = 0.1
"""How much of the drop may be left where no limit is given: nine tenths have to go."""


class Verdict(Enum):
    """What came of it; the value is the exit code."""

    FOUND = "found"
    NO_DROP = "no drop shown"
    UNEXPLAINED = "unexplained"

    @property
    def exit_code(self) -> int:
        """0, or 3 where even all units in float do not bring the drop down far enough."""
        return 3 if self is Verdict.UNEXPLAINED else 0


@dataclass(frozen=True, slots=True)
class Wish:
    """What to look for.

    Attributes:
        metric: `accuracy`, `distance`, or empty: accuracy where there are labels.
        output: the output to look at; empty for the first (accuracy) or all (distance).
        max_drop: the drop that may be left; not a number where nine tenths of the drop have to go.
    """

    metric: str = ""
    output: str = ""
    max_drop: float = math.nan


@dataclass(frozen=True, slots=True)
class Culprit:
    """A unit that has to be back in float, and the drop it causes by itself: when all other culprits are back and it is not."""

    unit: Unit
    drop: float


@dataclass(frozen=True, slots=True)
class Blame:
    """The answer.

    Attributes:
        base: the model before it was quantized.
        quantized: the model after.
        metric: `accuracy` or `distance`.
        unit: of the drop.
        samples: the number of samples.
        base_value: BASE's accuracy; 0 for `distance`, which is measured from BASE.
        drop: QUANTIZED's drop.
        target: the drop that may be left.
        verdict: what came of it.
        units: everything that could have been blamed.
        unmatched: quantized nodes that are in no unit.
        culprits: by their own drop, the worst first.
        remaining: the drop with the culprits in float; with all units in float where that explains nothing.
        evaluations: how many models were run over the data, BASE and QUANTIZED among them.
        suspects: other units whose integers stand for other weights than BASE's, without which the drop is small enough.
        monotone: False where putting more units back made it worse on the way.
        repairs: the cheapest first.
    """

    base: Path
    quantized: Path
    metric: str
    unit: str
    samples: int
    base_value: float
    drop: float
    target: float
    verdict: Verdict
    units: tuple[Unit, ...]
    unmatched: tuple[str, ...]
    culprits: tuple[Culprit, ...] = ()
    remaining: float = 0.0
    evaluations: int = 2
    suspects: tuple[Unit, ...] = ()
    monotone: bool = True
    repairs: tuple[Repair, ...] = field(default=(), repr=False)


def blame(base: Path, quantized: Path, data: DataOption, wish: Wish, libraries: Sequence[str] = ()) -> Blame:
    """Finds the units that cause the drop of a quantized model.

    Args:
        base: the model before it was quantized.
        quantized: the model after.
        data: samples, with labels where accuracy is to be compared.
        wish: what to look for.
        libraries: of custom operators that the models need: files, or `onnxruntime-extensions`.

    Raises:
        InputError: OL115, the models cannot be compared; OL201 to OL203, a model cannot be read; OL205 to OL208, data.
        MeasureError: OL504, a model cannot be run.
    """
    operators = beside(libraries)
    pairing = pair(read_model(base), read_model(quantized))
    compare = start_drop(wish.metric, load(base, operators), data.open, wish.output, labelled=bool(data.labels))
    session = load(quantized, operators)
    trials = Trials(pairing, compare, operators)
    drop = compare.of(session)
    trials.know((), drop)
    answer = _opening(base, quantized, pairing, compare, drop, wish)
    limited = not math.isnan(wish.max_drop)
    if drop <= answer.target if limited else not compare.is_shown(session):
        return answer
    return _searched(answer, trials)


def write_repair(repair: Repair, path: Path, libraries: Sequence[str] = ()) -> None:
    """Writes a repaired model, checks it and loads it with libraries of custom operators.

    Raises:
        StepError: OL304, it is no valid model.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_model(repair.model, path.parent, path.name)
    validate_graph(path)
    load(path, beside(libraries))


def check_output(output: Path, *models: Path) -> None:
    """Checks that a repaired model can go to a path.

    Raises:
        InputError: OL115, it is no `.onnx` file or one of the two models.
    """
    if output.suffix != ".onnx":
        raise fail(InputError, "OL115", f"-o {output}: not an .onnx file", hint="as in -o repaired.onnx")
    if output.absolute() in {model.absolute() for model in models}:
        raise fail(InputError, "OL115", f"-o {output} is one of the two models", hint="name a new file")


def _opening(
    base: Path, quantized: Path, pairing: Pairing, compare: AccuracyDrop | NoiseDrop, drop: float, wish: Wish
) -> Blame:
    limited = not math.isnan(wish.max_drop)
    return Blame(
        base,
        quantized,
        compare.name,
        compare.unit,
        compare.samples,
        compare.base_accuracy if isinstance(compare, AccuracyDrop) else 0.0,
        drop,
        wish.max_drop if limited else max(KEPT * drop, compare.floor),
        Verdict.NO_DROP,
        pairing.units,
        pairing.unmatched,
        remaining=drop,
        suspects=_suspects(pairing),
    )


def _searched(answer: Blame, trials: Trials) -> Blame:
    target, suspects = answer.target, answer.suspects
    order = [*suspects, *(unit for unit in _cheap_first(answer.units) if unit not in suspects)]
    left = trials.drop(order)
    if not left <= target:
        return replace(answer, verdict=Verdict.UNEXPLAINED, remaining=left, evaluations=trials.evaluations + 1)
    result = culprits(order, lambda chosen: trials.drop(chosen) <= target)
    found = [unit for unit in answer.units if unit in result.found]
    others = tuple(unit for unit in suspects if unit not in found)
    blamed = [Culprit(unit, trials.drop(other for other in found if other != unit)) for unit in found]
    mended = repairs(trials, found, others, target)
    return replace(
        answer,
        verdict=Verdict.FOUND,
        culprits=tuple(sorted(blamed, key=lambda culprit: -culprit.drop)),
        remaining=trials.drop(found),
        evaluations=trials.evaluations + 1,
        suspects=others,
        monotone=result.monotone,
        repairs=mended,
    )


def _suspects(pairing: Pairing) -> tuple[Unit, ...]:
    """Returns the units whose integers stand for other weights than BASE's; no model is run for that.

    The search prefers to blame them, and of the others those with the fewest weights.
    """
    off = [unit for unit in pairing.units if any(weight.is_off for weight in integer_weights(pairing, unit))]
    return tuple(_cheap_first(off))


def _cheap_first(units: Sequence[Unit]) -> list[Unit]:
    return sorted(units, key=lambda unit: unit.weight_bytes)

"""The pass `mixed_float`: half precision where it does no harm, found by trying it on data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.data import Batch, DataName
from olivelike.contracts.passes import PassContext, Reads
from olivelike.contracts.target import Target
from olivelike.digest import Json
from olivelike.errors import RefusedError, fail
from olivelike.onnxfile.read import read_structure, signature
from olivelike.onnxfile.wiring import put_in_order
from olivelike.onnxfile.write import EXTERNAL_ABOVE, OUTSIDE_ABOVE, write_model
from olivelike_passes.graph.graph_pass import Rewritten
from olivelike_passes.precision.angles import first_output
from olivelike_passes.precision.half_pass import HalfConfig, HalfPass, finished, prepare
from olivelike_passes.precision.plan import Part, Step
from olivelike_passes.precision.trial import SWITCHES, candidates, counting, switched
from olivelike_passes.quantization.quantizable import opset_reason
from olivelike_passes.runtime import open_session

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto
    from onnxruntime import InferenceSession

    Answers = list[NDArray[np.float32]]

LARGEST = 65504.0
"""The largest float16."""
USUAL_BATCH = 8
FLOAT = 1
"""The element type float32, as `TensorProto.DataType` counts it."""


class MixedFloatConfig(HalfConfig):
    """What `mixed_float` tries, and on what."""

    data: DataName
    """The data entry to try on; a few samples like those the model will see."""
    samples: int = Field(16, ge=0)
    """How many samples to try on, the first ones of the entry; 0 uses all."""
    tolerance: float = Field(0.01, gt=0)
    """The largest error of an output that is allowed: the root of the mean squared difference from the float32 model, as a
    share of the output's own root mean square, over all samples."""
    most_trials: int = Field(100, ge=10)
    """How many times the samples are run at most. When they are used up, more nodes stay in float32 than need be."""


class MixedFloat(HalfPass[MixedFloatConfig]):
    """Converts a float32 model to half precision except where that overflows or costs more than a tolerance.

    What it does:
        Runs the model on data and keeps in float32 every node that makes a value beyond 65504. Then tries half precision by
        rounding every value that would be float16, and while an output differs by more than `tolerance`, finds the node
        that makes the difference, by bisection along the graph, and keeps it in float32 too. The rest is converted as
        `float16` does it. Notes name the nodes kept and why, the error and the number of trials.

    When to use it:
        Where `float16` gives NaN, infinities or a worse model: normalisations that square large activations, masks and logits.

    Limits:
        As good as the data: what they do not show is not found. Trials run on the CPU, one for each step of a bisection
        (log2 of the number of nodes for each node found), with all weights and the samples' outputs in memory. Nodes are
        found in the main graph; a branch or a loop is kept as a whole. Needs opset 9. See also the limits of `float16`.

    Example:
        ```yaml
        passes:
          - mixed_float: {data: calibration, tolerance: 0.005}
        ```
    """

    name = "mixed_float"
    config = MixedFloatConfig
    reads = frozenset({Reads.DATA})
    to = "float16"

    def unsuitable(self, model: ModelProto, config: MixedFloatConfig, target: Target) -> Sequence[str]:
        """Refuses what `float16` does, opsets below 9, and models without a float32 output to compare."""
        reasons = [*super().unsuitable(model, config, target), *opset_reason(model, SWITCHES, "trying half precision")]
        if not any(entry.type.tensor_type.elem_type == FLOAT for entry in model.graph.output):
            reasons.append("no output is float32, so that nothing can be compared")
        return reasons

    def rewrite(self, model: ModelProto, source: Artifact, config: MixedFloatConfig, context: PassContext) -> Rewritten:
        """Finds what is to stay in float32, and converts the rest.

        Raises:
            RefusedError: OL301, the data are empty; the float32 model gives no finite numbers; nothing can be float16.
        """
        batches = list(_batches(config, source.model, context))
        trial = _Room(source, config, context, self._plan)
        kept = trial.overflowing(batches)
        found = _Search(trial.errors(batches, kept), trial.count, config, set(kept))
        found.run()
        if len(found.kept) == trial.count:
            claim = f"no node can be float16 while outputs differ by at most {config.tolerance}"
            raise fail(RefusedError, "OL301", claim, hint="a larger tolerance")
        prepare(model)
        names = trial.names
        part = self._plan(model, config, context, source, "last", {names[place] for place in found.kept})
        made = finished(model, part, source, config, self.to)
        reasons: dict[str, Json] = {
            trial.labels[place]: kept.get(place, "its rounding makes the output differ") for place in sorted(found.kept)
        }
        notes: dict[str, Json] = {
            **(made.notes or {}), "kept": reasons, "error": found.error, "tolerance": config.tolerance, "trials": found.trials,
        }  # fmt: skip
        # The counts of clipped weights fill as they are written; they must be the same objects.
        return Rewritten(made.model, notes, made.made)

    def _plan(
        self,
        model: ModelProto,
        config: MixedFloatConfig,
        context: PassContext,
        source: Artifact,
        folder: str,
        also: Collection[str],
    ) -> Part:
        scratch = context.scratch / f"plan_{folder}"
        scratch.mkdir()
        return self.plan(model, source, config, scratch, also)


Plan = Callable[["ModelProto", MixedFloatConfig, PassContext, Artifact, str, Collection[str]], Part]


class _Room:
    """The models that are tried, and what they say."""

    def __init__(self, source: Artifact, config: MixedFloatConfig, context: PassContext, plan: Plan) -> None:
        self._source = source
        self._config = config.model_copy(update={"keep_io_types": True})
        self._context = context
        self._plan = plan
        self.labels: list[str] = []
        self.names: list[str] = []

    @property
    def count(self) -> int:
        """How many nodes can be kept."""
        return len(self.names)

    def overflowing(self, batches: Sequence[Batch]) -> dict[int, str]:
        """Returns the places of the nodes that make values beyond float16, each with the reason to keep it."""
        model, part = self._model("counting")
        found = candidates(part)
        self.names = [first_output(step.node) for step in found]
        self.labels = [step.node.name or first_output(step.node) for step in found]
        names = counting(model, part, LARGEST)
        wanted = [name for name in names if name]
        session = self._session(model, "counting")
        totals = dict.fromkeys(wanted, 0)
        for batch in batches if wanted else []:
            for name, count in zip(wanted, session.run(wanted, dict(batch.feeds)), strict=True):
                totals[name] += int(count)
        reasons = {
            place: f"{totals[name]} of its values lie beyond 65504"
            for place, name in enumerate(names)
            if totals.get(name)
        }
        made = {value.name: place for place, step in enumerate(found) for _, value in step.makes}
        takers = _takers(found, {name for name, place in made.items() if place in reasons})
        return {**dict.fromkeys(takers, "it reads values beyond 65504"), **reasons}

    def errors(self, batches: Sequence[Batch], kept: Collection[int]) -> Callable[[Collection[int]], float]:
        """Returns the function from the places of nodes kept in float32 to the error of the outputs."""
        import numpy as np
        import onnx

        model, part = self._model("switched")
        outputs = [entry.name for entry in model.graph.output if entry.type.tensor_type.elem_type == FLOAT]
        switches = switched(model, part, onnx.TensorProto.FLOAT16)
        session = self._session(model, "switched")

        def answers(places: Collection[int]) -> Iterator[Answers]:
            flags = np.array([place not in places for place in range(self.count)], bool)
            for batch in batches:
                yield session.run(outputs, {**batch.feeds, switches: flags})

        expected = list(answers(range(self.count)))
        if not all(np.isfinite(each).all() for answer in expected for each in answer):
            claim = "the float32 model itself gives NaN or infinities on these data"
            raise fail(RefusedError, "OL301", claim, hint="other data, or mend the model")
        return lambda places: _error(expected, answers(places))

    def _model(self, name: str) -> tuple[ModelProto, Part]:
        model = read_structure(self._source.model)
        put_in_order(model)
        prepare(model)
        return model, self._plan(model, self._config, self._context, self._source, name, ())

    def _session(self, model: ModelProto, name: str) -> InferenceSession:
        folder = self._context.scratch / name
        folder.mkdir()
        outside = any(tensor.external_data for tensor in model.graph.initializer)
        above = OUTSIDE_ABOVE if outside else EXTERNAL_ABOVE
        return open_session(write_model(model, folder, external_above=above, beside=self._source.model), self._source)


def _takers(found: Sequence[Step], values: Collection[str]) -> list[int]:
    return [place for place, step in enumerate(found) if any(value.name in values for _, value, _ in step.takes)]


@dataclass(slots=True)
class _Search:
    """The search for the nodes to keep.

    Attributes:
        errors: places of kept nodes to the error.
        count: how many nodes there are.
        config: tolerance and budget.
        kept: places of the nodes that stay in float32.
        error: with them.
        trials: how many were made.
    """

    errors: Callable[[Collection[int]], float]
    count: int
    config: MixedFloatConfig
    kept: set[int]
    error: float = 0.0
    trials: int = 0

    def run(self) -> None:
        """Adds nodes to `kept` until the error is within the tolerance.

        The last node of the shortest beginning of the graph that must stay in float32 makes a difference by itself; with it
        kept, a shorter beginning is enough.
        """
        end = self.count
        self.error = self._try(self.kept)
        while self.error > self.config.tolerance and end:
            fails, holds = 0, end
            while holds - fails > 1:
                middle = (fails + holds) // 2
                if self._try(self.kept | set(range(middle))) <= self.config.tolerance:
                    holds = middle
                else:
                    fails = middle
                if self.trials >= self.config.most_trials:
                    self.kept |= set(range(holds))
                    self.error = self._try(self.kept)
                    return
            self.kept.add(holds - 1)
            end = holds - 1
            self.error = self._try(self.kept)

    def _try(self, kept: Collection[int]) -> float:
        self.trials += 1
        return self.errors(kept)


def _error(expected: Sequence[Answers], got: Iterator[Answers]) -> float:
    """Returns the largest error of an output; infinity where one is not finite."""
    import numpy as np

    squares = np.zeros((2, len(expected[0])))
    for wide, narrow in zip(expected, got, strict=True):
        for place, (one, other) in enumerate(zip(wide, narrow, strict=True)):
            squares[0, place] += np.square(one.astype(np.float64) - other).sum()
            squares[1, place] += np.square(one.astype(np.float64)).sum()
    shares = np.sqrt(squares[0] / np.where(squares[1] > 0, squares[1], 1))
    return float(np.max(shares)) if np.isfinite(shares).all() else float("inf")


def _batches(config: MixedFloatConfig, model: Path, context: PassContext) -> Iterator[Batch]:
    """Yields batches of a size that the model takes; where it fixes the size, a smaller rest is left out."""
    fixed = [value.shape[0] for value in signature(model).inputs if value.shape and isinstance(value.shape[0], int)]
    size = fixed[0] if fixed else USUAL_BATCH
    found = [
        batch
        for batch in context.data(config.data, model).batches(size, config.samples)
        if not fixed or batch.size == size
    ]
    if not found:
        raise fail(RefusedError, "OL301", f"the data entry {config.data!r} gives no batch to try on")
    yield from found

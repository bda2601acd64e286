"""Comparing models honestly: all in turns with the first, until of each it is decided whether it is faster."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.figures import metrics_json
from olivelike.contracts.outcome import Failed, Interval, Measurement, Paired, Undefined
from olivelike.digest import Json, JsonObject
from olivelike.engine.baseline import ITSELF
from olivelike.engine.data_option import DataOption
from olivelike.engine.desk import Desk
from olivelike.engine.events import Listener, ignore
from olivelike.engine.judge import NO_DIFFERENCE
from olivelike.engine.libraries import OPTION, model_section
from olivelike.engine.measure import Unavailable, Values, measure_several
from olivelike.engine.opened import open_workflow
from olivelike.engine.run import conditions
from olivelike.engine.same_inputs import check_same_inputs
from olivelike.engine.session import Settings, desk_for
from olivelike.errors import InputError, MeasureError, Problem, fail
from olivelike.sources.local import Local
from olivelike.sources.operator_libraries import PLACE, operator_libraries

LATENCY = "latency"
WRITTEN_AS = {
    "metrics.latency.values": "--value",
    "metrics.latency.batch": "--batch",
    "metrics.latency.dims": "--dim",
    "metrics.latency.seconds": "--seconds",
    "metrics.latency.longest": "--seconds",
    "metrics.latency.pin": "--pin",
    "batch": "--batch",
    "dims": "--dim",
    "pin": "--pin",
    "target.providers": "--provider",
    "target.threads": "--threads",
    "data.data": "--data",
    PLACE: OPTION,
}
"""Which option a place in the workflow was written as."""
TOO_WIDE = math.log(1.02)
"""With an interval of more than two percent to either side, a difference of three is not told from one that counts as none."""


class Verdict(Enum):
    """What is shown of a model's speed against another's."""

    FASTER = "faster"
    SLOWER = "slower"
    SAME = "no difference shown"
    NOISY = "too noisy"


@dataclass(frozen=True, slots=True)
class Options:
    """How models are timed.

    Attributes:
        data: what to feed; nothing means random values.
        batch: samples in one run.
        dims: sizes of dynamic dimensions by name.
        threads: the most threads of a session; 0 leaves it to the runtime.
        providers: execution providers in order.
        values: what to report: `p50`, `mean`, `p99`, ...
        seconds: how long to time each pair at most; what one leaves is for the others.
        pin: processors that the runs are bound to.
        libraries: of custom operators that some of the models need: files, or `onnxruntime-extensions`.
    """

    data: DataOption = field(default_factory=DataOption)
    batch: int = 1
    dims: Mapping[str, int] = field(default_factory=dict)
    threads: int = 0
    providers: Sequence[str] = ("cpu",)
    values: Sequence[str] = ("p50", "p90")
    seconds: float = 10.0
    pin: Sequence[int] = ()
    libraries: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Timed:
    """One model's times: by name, why a value cannot be given, and which of them models are compared by."""

    path: str
    digest: str
    values: Mapping[str, Measurement]
    undefined: Mapping[str, str]
    of: str

    @property
    def ratio(self) -> Interval | Undefined:
        """The median ratio of its times to the first model's; of the first, to those of its own copy."""
        if self.of not in self.values:
            return Undefined(f"{self.of}: {self.undefined.get(self.of, 'not measured')}")
        found = self.values[self.of]
        if isinstance(found.versus, Paired):
            return found.versus.interval
        copy = cast("Mapping[str, float]", found.details[ITSELF])
        return Interval(copy["ratio"], copy["low"], copy["high"])

    @property
    def verdict(self) -> Verdict:
        """What is shown of its speed against the first model's; of the first, against its own copy's."""
        ratio = self.ratio
        return Verdict.NOISY if isinstance(ratio, Undefined) else verdict_of(ratio)

    def to_json(self) -> JsonObject:
        """Returns it as the answer holds it."""
        return {
            "path": self.path,
            "digest": f"sha256:{self.digest}",
            "metrics": metrics_json(self.values),
            "undefined": dict(self.undefined),
        }

    def compared(self) -> JsonObject:
        """Returns how it compares, as the answer holds it: `ratio` is null, with a reason, where the asked value has none."""
        ratio = self.ratio
        why: JsonObject = {"reason": ratio.reason} if isinstance(ratio, Undefined) else {}
        return {"verdict": self.verdict.value, "of": self.of, "ratio": _ratio_json(ratio), **why}


@dataclass(frozen=True, slots=True)
class Bench:
    """What a comparison came to: the first model, timed beside its own copy, and the others beside it."""

    first: Timed
    others: tuple[Timed, ...]
    conditions: Mapping[str, Json]

    def to_json(self) -> JsonObject:
        """Returns the answer document of `olivelike bench`: `verdict`, `of` and `ratio` are those of the second model."""
        nothing: JsonObject = {"verdict": None, "of": self.first.of, "ratio": None}
        return {
            "format": 1,
            **(self.others[0].compared() if self.others else nothing),
            "first": {**self.first.to_json(), "beside_its_copy": _ratio_json(self.first.ratio)},
            "others": [{**timed.to_json(), **timed.compared()} for timed in self.others],
            "conditions": dict(self.conditions),
        }


def verdict_of(ratio: Interval) -> Verdict:
    """Returns what an interval of a ratio of times shows; less than one percent is no difference."""
    low, high = (math.log(end) if end > 0 else -math.inf for end in (ratio.low, ratio.high))
    if high < -math.log1p(NO_DIFFERENCE):
        return Verdict.FASTER
    if low > math.log1p(NO_DIFFERENCE):
        return Verdict.SLOWER
    return Verdict.NOISY if (high - low) / 2 > TOO_WIDE else Verdict.SAME


def bench(models: Sequence[Path], options: Options, listener: Listener = ignore) -> Bench:
    """Times models in turns with the first, all beside the same runs of it; nothing is taken from the cache or kept.

    Args:
        models: model files or folders; the first is what the others are compared with.
        options: how to time.
        listener: told of everything that happens.

    Raises:
        InputError: everything that is wrong with the models, the data or the options; OL115, models that take other inputs
            than the first.
        MeasureError: OL504, a model cannot be loaded or run.
    """
    try:
        with TemporaryDirectory(prefix="olivelike-") as room:
            opened = open_workflow(_workflow(models[0], options))
            with desk_for(opened, Settings(cache_dir=room), listener) as (desk, prepared):
                first = prepared.source
                desk.origins.note(first.folder, _folder(models[0]))
                artifacts = [first, *(_taken_in(desk, path, options.libraries) for path in models[1:])]
                check_same_inputs(models, artifacts)
                timed = _timed(desk, models, artifacts, options.values[0])
                return Bench(timed[0], timed[1:], conditions(desk))
    except InputError as error:
        raise InputError(*map(_by_option, error.problems)) from error


def _by_option(problem: Problem) -> Problem:
    """Returns a problem with the option that the user wrote in place of its path in the workflow that was made of it."""
    for path, option in WRITTEN_AS.items():
        if problem.path == path or problem.path.startswith(f"{path}."):
            return replace(problem, path=option)
    return problem


def _workflow(model: Path, options: Options) -> dict[str, Json]:
    latency: dict[str, Json] = {
        "type": LATENCY,
        "batch": options.batch,
        "dims": dict(options.dims),
        "values": list(options.values),
        "seconds": options.seconds,
        "longest": options.seconds,
        "pin": list(options.pin),
    }
    workflow: dict[str, Json] = {
        "name": "bench",
        "model": model_section(model, options.libraries),
        "target": {"providers": list(options.providers), "threads": options.threads},
        "metrics": {LATENCY: latency},
    }
    if options.data.path or options.data.inputs:
        latency["data"] = "data"
        workflow["data"] = {"data": options.data.section()}
    return workflow


def _taken_in(desk: Desk, path: Path, libraries: Sequence[str]) -> Artifact:
    fetched = Local().fetch(str(path.absolute()), file="", revision="", folder=Path.cwd(), offline=True)
    operators = operator_libraries(libraries, Path())
    manifest = Manifest(fetched.kind, dict(fetched.parts), fetched.companions, custom_operators=tuple(operators))
    artifact = desk.store.ingest({**fetched.files, **operators}, manifest)
    desk.origins.note(artifact.folder, _folder(path))
    return artifact


def _folder(model: Path) -> Path:
    return model.absolute() if model.is_dir() else model.absolute().parent


def _timed(desk: Desk, models: Sequence[Path], artifacts: Sequence[Artifact], of: str) -> tuple[Timed, ...]:
    [metric] = desk.plan.metrics
    match measure_several(desk, metric, artifacts, artifacts[0]):
        case Unavailable(reason=reason):
            raise fail(InputError, "OL202", reason)
        case Failed(input=wrong, reason=reason):
            if wrong:
                raise InputError(*wrong)
            raise fail(MeasureError, "OL504", reason.removeprefix("OL504").lstrip(": "))
        case found:
            return tuple(map(partial(_read, of=of), models, artifacts, found))


def _read(path: Path, artifact: Artifact, found: Values, of: str) -> Timed:
    if not found.metrics:
        claim = f"{path}: {'; '.join(found.undefined.values())}"
        raise fail(MeasureError, "OL504", claim, hint="raise --seconds")
    values = {key.partition(".")[2]: value for key, value in found.metrics.items()}
    reasons = {key.partition(".")[2]: why.replace("`longest`", "--seconds") for key, why in found.undefined.items()}
    return Timed(str(path), artifact.digest, values, reasons, of)


def _ratio_json(ratio: Interval | Undefined) -> Json:
    if isinstance(ratio, Undefined):
        return None
    return {"value": ratio.value, "low": ratio.low, "high": ratio.high}

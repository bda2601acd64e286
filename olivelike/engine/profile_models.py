"""Where the time goes in models named on the command line: a workflow of one metric for each, made in code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from olivelike.contracts.outcome import Failed, Measurement
from olivelike.digest import Json
from olivelike.engine.candidate import BASELINE
from olivelike.engine.data_option import DataOption
from olivelike.engine.events import Listener, ignore
from olivelike.engine.libraries import model_section, named_by_option
from olivelike.engine.measure import Found, Unavailable, Values, measure
from olivelike.engine.opened import open_workflow
from olivelike.engine.profile import METRIC
from olivelike.engine.session import Settings, desk_for
from olivelike.errors import InputError, MeasureError, fail


@dataclass(frozen=True, slots=True)
class Asked:
    """How models are to be profiled.

    Attributes:
        data: a data file whose first batch is fed; empty for random values.
        batch: samples in one run.
        dims: sizes of dynamic dimensions by name.
        runs: runs that count.
        threads: the most threads a session may use; 0 leaves it to the runtime.
        providers: in order of preference.
        libraries: of custom operators that the models need: files, or `onnxruntime-extensions`.
    """

    data: str = ""
    batch: int = 1
    dims: Mapping[str, int] = field(default_factory=dict)
    runs: int = 50
    threads: int = 0
    providers: Sequence[str] = ("cpu",)
    libraries: Sequence[str] = ()


def profile_models(
    models: Sequence[Path], asked: Asked, settings: Settings, listener: Listener = ignore
) -> dict[str, Measurement]:
    """Profiles models one after the other and returns the metric `profile` of each, by path as given.

    Raises:
        InputError: everything that is wrong with the input.
        MeasureError: a model cannot be loaded or run.
    """
    found = {}
    for model in models:
        with (
            named_by_option(),
            desk_for(open_workflow(_workflow(model, asked)), settings, listener) as (desk, prepared),
        ):
            found[str(model)] = _or_raise(
                measure(desk, desk.plan.metrics[0], prepared.source, prepared.source, BASELINE)
            )
    return found


def _workflow(model: Path, asked: Asked) -> dict[str, Json]:
    metric: dict[str, Json] = {"type": METRIC, "batch": asked.batch, "runs": asked.runs, "dims": dict(asked.dims)}
    workflow: dict[str, Json] = {
        "name": METRIC,
        "model": model_section(model, asked.libraries),
        "target": {"providers": list(asked.providers), "threads": asked.threads},
        "metrics": {METRIC: metric},
    }
    if asked.data:
        metric["data"] = "data"
        workflow["data"] = {"data": DataOption(asked.data).section()}
    return workflow


def _or_raise(found: Found) -> Measurement:
    match found:
        case Values(metrics=metrics):
            return next(iter(metrics.values()))
        case Unavailable(reason=reason):
            raise fail(InputError, "OL115", reason, hint="give an ONNX model")
        case Failed(input=wrong) if wrong:
            raise InputError(*wrong)
        case Failed(reason=reason):
            code, _, claim = reason.partition(" ")
            raise fail(MeasureError, code.rstrip(":"), claim)

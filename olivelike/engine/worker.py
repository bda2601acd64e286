"""What a worker executes: a task as JSON in, an outcome as JSON out. With the store, the task holds all it needs.

This is the boundary at which whatever a pass or metric raises becomes an outcome; nothing a plugin does ends a run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import cast

from olivelike.contracts.artifact import MANIFEST_NAME, Artifact, Manifest
from olivelike.contracts.outcome import Measurement, Undefined, Value
from olivelike.contracts.passes import AnyPass, PassConfig
from olivelike.contracts.runtime_text import sentence
from olivelike.contracts.task import MeasureTask, StepTask
from olivelike.digest import JsonObject
from olivelike.engine.answers import failure
from olivelike.engine.contexts import MeasureDesk, PassDesk
from olivelike.engine.verify import verify
from olivelike.errors import OlivelikeError, RefusedError, StepError, fail
from olivelike.registry import installed
from olivelike.store import open_store
from olivelike.store.port import Store


def answer(task: JsonObject) -> JsonObject:
    """Does one task.

    Returns:
        `{"outcome": "made", "artifact": digest}`, `{"outcome": "measured", "candidates": [{"metrics": {...}, ...}], ...}`,
        `{"outcome": "refused", "reason": ...}` or `{"outcome": "failed", "reason": ..., "log": ..., "input": [...]}`.
    """
    if task["task"] == "step":
        step = StepTask.from_json(task)
        return _guarded(lambda: _step(step), "OL302", step.pass_name)
    measurement = MeasureTask.from_json(task)
    return _guarded(lambda: _measure(measurement), "OL504", measurement.metric)


def _guarded(work: Callable[[], JsonObject], code: str, name: str) -> JsonObject:
    try:
        return work()
    except RefusedError as error:
        return {"outcome": "refused", "reason": str(error)}
    except OlivelikeError as error:
        return failure(str(error), error)
    except MemoryError as error:
        return failure(f"OL503 {name} ran out of memory", error)
    except Exception as error:  # noqa: BLE001  # the boundary: whatever a plugin raises is an outcome
        text = sentence(str(error))[:300]
        return failure(f"{code} {name} raised {type(error).__name__}: {text}", error)


def _step(task: StepTask) -> JsonObject:
    store = _store(task.store)
    kind = installed().pass_named(task.pass_name)
    source, work = store.open(task.source), kind()
    config = kind.config.model_validate(dict(task.config))
    reasons = work.refuses(source, config, task.target)
    if reasons:
        return {"outcome": "refused", "reason": "; ".join(f"OL301 {task.pass_name}: {reason}" for reason in reasons)}
    with store.scratch() as out, store.scratch() as scratch:
        manifest = _filled(work, source, out, config, PassDesk(task, store, scratch))
        verify(kind, task, source, Artifact(out, manifest, ""), store)
        manifest.write(out)
        return {"outcome": "made", "artifact": store.publish(out).digest}


@cache
def _store(root: str) -> Store:
    """Opens a store once for all tasks of this worker."""
    return open_store(Path(root))


def _filled(work: AnyPass, source: Artifact, out: Path, config: PassConfig, context: PassDesk) -> Manifest:
    """Runs the pass and checks that it keeps its contract: a manifest whose files are there."""
    name = type(work).name
    manifest = cast("object", work.run(source, out, config, context))
    if not isinstance(manifest, Manifest):
        claim = f"{name} returned {type(manifest).__name__}, not a Manifest"
        raise fail(StepError, "OL303", claim, hint=f"tell the author of {name}")
    if manifest.kind != type(work).produces:
        claim = f"{name} produces {type(work).produces}, but returned {manifest.kind}"
        raise fail(StepError, "OL303", claim, hint=f"tell the author of {name}")
    if not manifest.parts:
        claim = f"{name} returned a Manifest without parts: it names no file"
        raise fail(StepError, "OL303", claim, hint=f"tell the author of {name}")
    named = [*manifest.parts.values(), *manifest.companions, *manifest.custom_operators]
    missing = [file for file in named if not (out / file).is_file()]
    if missing or (out / MANIFEST_NAME).exists():
        claim = (
            f"{name} names files that it did not write: {', '.join(missing)}"
            if missing
            else f"{name} wrote {MANIFEST_NAME}"
        )
        raise fail(StepError, "OL303", claim, hint=f"tell the author of {name}")
    return manifest


def _measure(task: MeasureTask) -> JsonObject:
    store = _store(task.store)
    kind = installed().metric_named(task.metric)
    config = kind.config.model_validate(dict(task.config))
    candidates = [store.open(digest) for digest in (task.candidate, *task.others)]
    reference = candidates[0] if task.reference == task.candidate else store.open(task.reference)
    with store.scratch() as room:
        context = MeasureDesk(task, store, room, config)
        found = kind().measure_several(candidates, reference, config, context)
    return {"outcome": "measured", "candidates": [_values_json(values) for values in found], "kept": context.kept}


def _values_json(values: Mapping[str, Value]) -> JsonObject:
    metrics: JsonObject = {name: value.to_json() for name, value in values.items() if isinstance(value, Measurement)}
    undefined: JsonObject = {name: value.reason for name, value in values.items() if isinstance(value, Undefined)}
    return {"metrics": metrics, "undefined": undefined}

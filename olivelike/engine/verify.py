"""Verifying a pass's output: the ONNX checker, loading, finite values; a lossless pass must match its input's outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.contracts.artifact import PARTS_KIND, Artifact
from olivelike.contracts.metric import Session
from olivelike.contracts.passes import AnyPass
from olivelike.contracts.task import StepTask
from olivelike.errors import InputError, OlivelikeError, StepError, fail
from olivelike.evaluate.sessions.random_feeds import random_feeds
from olivelike.evaluate.sessions.session import open_session
from olivelike.onnxfile.check import check_model_file, validate_graph
from olivelike.store.port import Store

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

VERIFIED_KIND = "onnx"
SEED = 20
RELATIVE = 1e-3
"""The tolerance of `full`, as a share of the largest output: what reordering float32 sums may change."""


def verify(kind: type[AnyPass], task: StepTask, source: Artifact, made: Artifact, store: Store) -> None:
    """Checks a step's output as deep as the task asks.

    Raises:
        StepError: OL304 (invalid, does not load), OL305 (values that are not finite), OL306 (a lossless pass changed values).
    """
    del store
    if task.verify == "off" or made.kind not in (VERIFIED_KIND, PARTS_KIND):
        return
    for part in made.manifest.parts.values():
        _check_graph(kind, made.folder / part)
    if made.kind == PARTS_KIND or not task.target.present:
        return  # what a part takes is what another gives: random values may be nothing that it ever sees
    session = _loaded(made, source, task)
    before = _probe(source, task, session) if source.kind == VERIFIED_KIND else None
    try:
        feeds = random_feeds(session.inputs, 1, {}, SEED)
    except InputError:  # no values can be made up for it (words): that it loads is all that can be said
        return
    try:
        after = dict(_arrays(session.run(feeds)))
    except OlivelikeError as error:
        if before is None:
            return
        raise fail(StepError, "OL304", f"{kind.name} wrote a model that does not run: {error}") from error
    _check_finite(kind, after, before)
    if task.verify == "full" and kind.lossless and before is not None:
        _check_same(kind, after, before)


def _check_graph(kind: type[AnyPass], model: Path) -> None:
    try:
        check_model_file(model)
        validate_graph(model)
    except OlivelikeError as error:
        claim = f"{kind.name} wrote an invalid model: {error.problems[0].claim}"
        raise fail(StepError, "OL304", claim, hint=f"tell the author of {kind.name}") from error


def _loaded(made: Artifact, source: Artifact, task: StepTask) -> Session:
    try:
        return open_session(made, task.target)
    except OlivelikeError as error:
        problem = error.problems[0]
        if source.kind == VERIFIED_KIND and not _loads(source, task):
            claim = f"the runtime cannot load what came into {task.pass_name} either: {problem.claim}"
            named = "name the libraries of its custom operators (`model.custom_operators`, --custom-operators)"
            hint = f"{named}, or use a runtime that has what it needs"
            raise fail(StepError, "OL304", claim, hint=hint) from error
        raise fail(StepError, "OL304", f"{task.pass_name} wrote a model that does not load: {problem.claim}") from error


def _loads(source: Artifact, task: StepTask) -> bool:
    try:
        open_session(source, task.target)
    except OlivelikeError:
        return False
    return True


def _probe(source: Artifact, task: StepTask, made: Session) -> dict[str, Array] | None:
    """Returns what the input model answers to the same values; nothing where it cannot take them."""
    try:
        session = open_session(source, task.target)
        if [(i.name, i.dtype) for i in session.inputs] != [(i.name, i.dtype) for i in made.inputs]:
            return None
        return dict(_arrays(session.run(random_feeds(session.inputs, 1, {}, SEED))))
    except OlivelikeError:
        return None


def _arrays(outputs: Mapping[str, object]) -> Iterator[tuple[str, Array]]:
    """Yields the arrays among a model's outputs, each with its name; those of a sequence with their places, no maps."""
    import numpy as np

    for name, value in outputs.items():
        if isinstance(value, np.ndarray):
            yield name, value
        elif isinstance(value, list):
            yield from _arrays({f"{name}[{place}]": each for place, each in enumerate(value)})


def _check_finite(kind: type[AnyPass], after: dict[str, Array], before: dict[str, Array] | None) -> None:
    import numpy as np

    for name, values in after.items():
        if not np.issubdtype(values.dtype, np.floating) or np.isfinite(values).all():
            continue
        if before is not None and name in before and not np.isfinite(before[name]).all():
            continue
        raise fail(StepError, "OL305", f"{kind.name} wrote a model whose output {name!r} is not finite")


def _check_same(kind: type[AnyPass], after: dict[str, Array], before: dict[str, Array]) -> None:
    import numpy as np

    for name, values in before.items():
        if name not in after:
            raise fail(StepError, "OL306", f"{kind.name} dropped the output {name!r}")
        if not np.issubdtype(values.dtype, np.floating):
            same = np.array_equal(values, after[name])
            gap, scale = (0.0 if same else 1.0), 0.0
        else:
            gap = float(np.max(np.abs(values.astype("float64") - after[name].astype("float64")), initial=0.0))
            scale = float(np.max(np.abs(values), initial=1e-6))
        if gap > RELATIVE * scale:
            claim = f"{kind.name} is declared lossless, but the output {name!r} moved by {gap:.3g} (largest value {scale:.3g})"
            raise fail(StepError, "OL306", claim)

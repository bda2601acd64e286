"""Texts of a batch: the references among the labels, and what the model wrote, in a string output or by the user's Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from olivelike.contracts.data import Batch, ScriptCall
from olivelike.contracts.metric import MeasureContext, Session
from olivelike.errors import InputError, fail, nearest
from olivelike.evaluate.sessions.batches import finite

if TYPE_CHECKING:
    from olivelike.contracts.data import Array


def references(labels: Array, size: int) -> list[str]:
    """Returns a batch's labels as texts, spaces at the ends left out.

    Raises:
        InputError: OL207, the labels are no texts, or of another shape.
    """
    texts = _texts(labels, size)
    if texts is None:
        claim = f"the labels are of type {labels.dtype} and shape {list(labels.shape)}, not {size} texts"
        raise fail(InputError, "OL207", claim, hint="give one reference text per sample")
    return texts


def written(
    postprocess: ScriptCall | Literal["none"], output: str, session: Session, context: MeasureContext
) -> Callable[[Batch], list[str]]:
    """Returns what runs a batch and gives the texts that the model wrote, spaces at the ends left out.

    Raises:
        InputError: OL206, there is no such output of strings.
    """
    if isinstance(postprocess, ScriptCall):
        return _decoded(postprocess, session, context)
    name = _string_output(output, session)

    def texts(batch: Batch) -> list[str]:
        got = session.run(batch.feeds, [name])[name]
        found = _texts(got.reshape(-1), batch.size)
        if found is None:
            claim = (
                f"the output {name!r} has the shape {list(got.shape)} where {batch.size} samples need [{batch.size}]"
            )
            raise fail(InputError, "OL206", claim, path="output", hint="write a `postprocess` that returns texts")
        return found

    return texts


def _decoded(postprocess: ScriptCall, session: Session, context: MeasureContext) -> Callable[[Batch], list[str]]:
    import numpy as np

    call = context.call(postprocess)

    def texts(batch: Batch) -> list[str]:
        outputs = {name: finite(array, name) for name, array in session.run(batch.feeds).items()}
        returned = call(outputs, batch.labels)
        listed = isinstance(returned, Sequence | np.ndarray) and not isinstance(returned, str | bytes)
        found = _texts(np.asarray(returned, dtype=object), batch.size) if listed else None
        if found is None:
            got = f"{len(returned)} items" if isinstance(returned, Sequence) else type(returned).__name__
            claim = f"{postprocess.call}() returned {got}, not {batch.size} texts"
            raise fail(InputError, "OL209", claim, place=postprocess.script, hint="return a text for each sample")
        return found

    return texts


def _string_output(output: str, session: Session) -> str:
    names = [info.name for info in session.outputs if info.dtype == "string"]
    if output and output not in names:
        claim = f"the model has no output of strings called {output!r}"
        raise fail(InputError, "OL206", claim, path="output", hint=nearest(output, names))
    if not names:
        claim = "the model has no output of strings"
        raise fail(InputError, "OL206", claim, path="postprocess", hint="write a `postprocess` that returns texts")
    return output or names[0]


def _texts(values: Array, size: int) -> list[str] | None:
    """Returns the texts; nothing where there are not `size` of them or not all are texts."""
    found = [value for value in values.tolist() if isinstance(value, str)] if values.shape == (size,) else []
    return [text.strip() for text in found] if len(found) == size else None

"""What a model answers to a batch: one of its outputs, or what the user's `postprocess` makes of all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

from olivelike.contracts.data import Batch, ScriptCall
from olivelike.contracts.metric import MeasureContext, Session
from olivelike.errors import InputError, MeasureError, fail, nearest
from olivelike.evaluate.sessions.batches import finite

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from olivelike.contracts.data import Array

    Floats: TypeAlias = NDArray[np.float64]

Postprocess: TypeAlias = ScriptCall | Literal["none"]
Answered: TypeAlias = Callable[[Batch, "Array"], "Array"]
"""From a batch and its labels to what the model answers, an array of finite numbers (or booleans, or texts)."""


def answering(output: str, postprocess: Postprocess, session: Session, context: MeasureContext) -> Answered:
    """Returns what turns a batch into the model's answer.

    Args:
        output: the name of an output, or empty for the first one; not looked at with a `postprocess`.
        postprocess: user's Python `f(outputs, labels)`, or `none`.
        session: the model.
        context: knows the user's function.

    Raises:
        InputError: OL206, no such output; while answering OL209, what the user returned is no array.
        MeasureError: OL504, while answering: an output, or what the user made of it, is not finite.
    """
    if isinstance(postprocess, ScriptCall):
        return _postprocessed(raw_answering(postprocess, session, context), whose(output, postprocess, session))
    name = chosen_output(output, session)
    return lambda batch, labels: finite(session.run(batch.feeds, [name])[name], name)


def raw_answering(
    postprocess: ScriptCall, session: Session, context: MeasureContext
) -> Callable[[Batch, Array], object]:
    """Returns what calls the user's function on a batch's outputs, which are finite, and returns whatever it returns."""
    call = context.call(postprocess)

    def answer(batch: Batch, labels: Array) -> object:
        outputs = {name: finite(array, name) for name, array in session.run(batch.feeds).items()}
        return call(outputs, labels)

    return answer


def whose(output: str, postprocess: Postprocess, session: Session) -> str:
    """Returns whose answer it is, as the subject of a message."""
    if isinstance(postprocess, ScriptCall):
        return f"what {postprocess.call} returned"
    return f"the output {chosen_output(output, session)!r}"


def chosen_output(output: str, session: Session, key: str = "output") -> str:
    """Returns the name of the output asked for, or of the first one.

    Args:
        output: its name, or empty.
        session: the model.
        key: the option that names it, for messages.

    Raises:
        InputError: OL206, the model has no such output.
    """
    names = [info.name for info in session.outputs]
    if output and output not in names:
        claim = f"the model has no output {output!r}"
        raise fail(InputError, "OL206", claim, path=key, hint=nearest(output, names))
    return output or names[0]


def scalars(answer: Array, size: int, of: str) -> Floats:
    """Returns an answer as one number for each sample, shape `[size]`; `[size, 1]` is taken too.

    Raises:
        InputError: OL209, another shape, or no numbers.
    """
    import numpy as np

    if answer.dtype.kind not in "iufb" or answer.shape not in {(size,), (size, 1)}:
        claim = f"{of} is of type {answer.dtype} and shape {list(answer.shape)}: {size} samples need numbers [{size}]"
        raise fail(InputError, "OL209", claim, hint="name another `output`, or write a `postprocess` that returns them")
    return answer.astype(np.float64).reshape(size)


def number_labels(labels: Array, size: int) -> Floats:
    """Returns a batch's labels as one number for each sample, shape `[size]`.

    Raises:
        InputError: OL207, a wrong number of labels, another shape, or no numbers; OL208, NaN or infinite.
    """
    import numpy as np

    if labels.shape not in {(size,), (size, 1)} or labels.dtype.kind not in "iufb":
        claim = (
            f"the labels are of type {labels.dtype} and shape {list(labels.shape)} where {size} samples need [{size}]"
        )
        raise fail(InputError, "OL207", claim, hint="give one number per sample")
    values = labels.astype(np.float64).reshape(size)
    if not np.isfinite(values).all():
        raise fail(InputError, "OL208", "labels are missing (NaN or infinite)", hint="drop the samples without a label")
    return values


def require_labels(session: Session, context: MeasureContext) -> None:
    """Makes sure that the data have labels.

    Raises:
        InputError: OL207, there are none.
    """
    if not context.data(session).has_labels:
        raise fail(InputError, "OL207", "the data have no labels", hint="name their column: `labels: COLUMN`")


def _postprocessed(call: Callable[[Batch, Array], object], of: str) -> Answered:
    return lambda batch, labels: finite_return(as_array(call(batch, labels), of), of)


def as_array(returned: object, of: str) -> Array:
    """Returns what the user's function returned as an array.

    Raises:
        InputError: OL209, rows of different length.
    """
    import numpy as np

    try:
        return np.asarray(returned)
    except ValueError as error:
        hint = "return one array, its first dimension the samples"
        raise fail(InputError, "OL209", f"{of} is no array: {error}", hint=hint) from error


def finite_return(returned: Array, of: str) -> Array:
    """Returns an array that the user's function made as it is.

    Raises:
        MeasureError: OL504, it holds NaN or an infinity where all outputs of the model were finite.
    """
    import numpy as np

    if returned.dtype.kind == "f" and not np.isfinite(returned).all():
        bad = int(returned.size - np.isfinite(returned).sum())
        claim = f"{of} is not finite in {bad} of {returned.size} values"
        raise fail(MeasureError, "OL504", claim, hint="look for a division by zero or a logarithm of it there")
    return returned

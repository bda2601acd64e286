"""Which samples a classifier gets right: labels checked, and scores, class ids or a user's verdict compared with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, cast

from olivelike.errors import InputError, OlivelikeError, fail

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from olivelike.contracts.data import Array

    Labels: TypeAlias = NDArray[np.int64]
    Right: TypeAlias = NDArray[np.bool_]


def class_labels(labels: Array, size: int) -> Labels:
    """Returns a batch's labels as class ids of shape `[size]`.

    Whole numbers in floating point are taken for what they are.

    Raises:
        InputError: OL207, a wrong number of labels, another shape, or labels that are not class ids; OL208, NaN.
    """
    import numpy as np

    if labels.shape != (size,):
        claim = f"the labels have the shape {list(labels.shape)} where {size} samples need [{size}]"
        raise fail(InputError, "OL207", claim, hint="give one class id per sample")
    if labels.dtype.kind in "iub":
        return labels.astype(np.int64)
    if labels.dtype.kind != "f":
        claim = f"the labels are of type {labels.dtype}, not class ids"
        raise fail(InputError, "OL207", claim, hint="encode the classes as whole numbers from 0")
    values = labels.astype(np.float64)
    if not np.isfinite(values).all():
        raise fail(InputError, "OL208", "labels are missing (NaN or infinite)", hint="drop the samples without a label")
    if (values != np.floor(values)).any():
        claim = f"the label {values[values != np.floor(values)][0]} is no class id"
        raise fail(InputError, "OL207", claim, hint="encode the classes as whole numbers from 0")
    return values.astype(np.int64)


def rightly_classified(answer: Array, labels: Labels, top_k: int, of: str) -> Right:
    """Returns for each sample whether it is classified rightly.

    Args:
        answer: scores `[samples, classes]` in floating point, of which the `top_k` highest count (equal scores: the lower
            class id first); or predicted class ids `[samples]`, whole numbers; or verdicts `[samples]`, booleans.
        labels: class ids `[samples]`.
        top_k: how many of the highest scores count.
        of: whose answer it is, for messages.

    Raises:
        InputError: OL207, a label outside the classes; OL209, an answer of another shape or type.
    """
    import numpy as np

    shape = (len(labels),)
    match answer.dtype.kind:
        case "b" if answer.shape == shape:
            return answer.astype(np.bool_)
        case "i" | "u" if answer.shape == shape:
            if top_k == 1:
                return cast("Right", answer.astype(np.int64) == labels)
            raise _unusable(answer, of, f"class ids cannot tell the {top_k} best")
        case "f" if answer.ndim == 2 and answer.shape[:1] == shape:
            check_range(labels, answer.shape[1])
            return _among_best(answer, labels, top_k)
        case _:
            raise _unusable(answer, of, f"{len(labels)} samples need scores [{len(labels)}, classes] or class ids")


def check_range(labels: Labels, classes: int) -> None:
    """Makes sure that all labels are classes of the model.

    Raises:
        InputError: OL207.
    """
    outside = labels[(labels < 0) | (labels >= classes)]
    if outside.size:
        claim = f"the label {outside[0]} is none of the model's {classes} classes (0 to {classes - 1})"
        raise fail(InputError, "OL207", claim, hint="encode the labels as the model counts its classes")


def _among_best(scores: Array, labels: Labels, top_k: int) -> Right:
    import numpy as np

    values = cast("NDArray[np.floating]", scores)
    own = np.take_along_axis(values, labels[:, None], axis=1)
    earlier = np.arange(values.shape[1])[None, :] < labels[:, None]
    rank = (values > own).sum(axis=1) + ((values == own) & earlier).sum(axis=1)
    return cast("Right", rank < top_k)


def _unusable(answer: Array, of: str, needed: str) -> OlivelikeError:
    claim = f"{of} is of type {answer.dtype} and shape {list(answer.shape)}: {needed}"
    return fail(InputError, "OL209", claim, hint="name another `output`, or write a `postprocess` that returns scores")

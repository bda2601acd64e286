"""Boxes found and boxes labelled, image by image: read from what the user gave, checked, one table for each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias, cast

from olivelike.errors import InputError, MeasureError, OlivelikeError, fail

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from olivelike.contracts.data import Array

    Floats: TypeAlias = NDArray[np.float64]
    Tables: TypeAlias = NDArray[np.object_]

KEYS = ("boxes", "scores", "labels")


def labelled_boxes(labels: Sequence[object] | Array, size: int) -> Tables:
    """Returns one table for each image, its rows `x1, y1, x2, y2, class`.

    Args:
        labels: for each image rows `x1, y1, x2, y2, class`; those with a class below 0 fill an array up and are dropped.
        size: the number of images.

    Raises:
        InputError: OL207, another shape, or a box whose corners are the wrong way round; OL208, NaN or infinite.
    """
    import numpy as np

    hint = "give each image rows of x1, y1, x2, y2, class; fill up with rows of class -1"
    if len(labels) != size:
        raise fail(InputError, "OL207", f"{size} images have {len(labels)} labels", hint=hint)
    tables = []
    for each in labels:
        try:
            table = np.asarray(each, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise fail(InputError, "OL207", f"the boxes of an image are no table: {error}", hint=hint) from error
        if table.size and (table.ndim != 2 or table.shape[1] != 5):
            raise fail(InputError, "OL207", f"the boxes of an image have the shape {list(table.shape)}", hint=hint)
        table = table.reshape(-1, 5)
        if not np.isfinite(table).all():
            raise fail(InputError, "OL208", "labelled boxes hold NaN or infinities", hint=hint)
        table = table[table[:, 4] >= 0]
        turned = (table[:, 2] < table[:, 0]) | (table[:, 3] < table[:, 1])
        if turned.any():
            claim = f"the labelled box {table[turned][0, :4].tolist()} has its second corner above or left of the first"
            raise fail(
                InputError, "OL207", claim, hint="boxes are x1, y1, x2, y2; turn widths and heights into corners"
            )
        tables.append(table)
    return as_column(tables)


def found_boxes(returned: object, size: int, of: str) -> Tables:
    """Returns one table for each image, its rows `x1, y1, x2, y2, class, score`; rows with a class below 0 are dropped.

    Args:
        returned: for each image a mapping of `boxes` `[found, 4]`, `scores` `[found]` and `labels` `[found]`.
        size: the number of images.
        of: whose answer it is, for messages.

    Raises:
        InputError: OL209, something else.
        MeasureError: OL504, NaN or an infinity.
    """
    images = list(returned) if isinstance(returned, (list, tuple)) else None
    if images is None:
        raise _unusable(of, f"is a {type(returned).__name__}, not a list of one mapping for each image")
    if len(images) != size:
        raise _unusable(of, f"holds {len(images)} images where the batch holds {size}")
    return as_column([_found(image, of) for image in images])


def _found(image: object, of: str) -> Floats:
    import numpy as np

    if not isinstance(image, Mapping) or any(key not in image for key in KEYS):
        got = f"the keys {', '.join(map(str, image))}" if isinstance(image, Mapping) else f"a {type(image).__name__}"
        raise _unusable(of, f"holds {got} for an image")
    try:
        parts = [np.asarray(image[key], dtype=np.float64) for key in KEYS]
    except (TypeError, ValueError) as error:
        raise _unusable(of, f"holds no numbers for an image: {error}") from error
    boxes, scores, labels = parts
    count = len(scores) if scores.ndim == 1 else -1
    if scores.shape != labels.shape or boxes.size != 4 * count or (count and boxes.shape != (count, 4)):
        shapes = ", ".join(f"{key} {list(part.shape)}" for key, part in zip(KEYS, parts, strict=True))
        raise _unusable(of, f"holds arrays that do not fit each other for an image: {shapes}")
    table = np.concatenate([boxes.reshape(-1, 4), labels[:, None], scores[:, None]], axis=1)
    if not np.isfinite(table).all():
        claim = f"{of} holds boxes, scores or labels that are not finite"
        raise fail(MeasureError, "OL504", claim, hint="look for a division by zero or a logarithm of it there")
    return cast("Floats", table[table[:, 4] >= 0])


def as_column(tables: Sequence[Floats]) -> Tables:
    """Returns tables of different length as one column."""
    import numpy as np

    column = np.empty(len(tables), dtype=object)
    for place, table in enumerate(tables):
        column[place] = table
    return column


def _unusable(of: str, claim: str) -> OlivelikeError:
    hint = "return for each image {'boxes': [found, 4] as x1, y1, x2, y2, 'scores': [found], 'labels': [found]}"
    return fail(InputError, "OL209", f"{of} {claim}", hint=hint)

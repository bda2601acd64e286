"""Which boxes found match which boxes labelled (pycocotools), and average precision of any weighting of the images."""

from __future__ import annotations

from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]
    Tables: TypeAlias = NDArray[np.object_]

MOST = 100
"""Boxes of an image and class that count, those of the highest score."""
WORK = 1 << 20
"""Numbers held at once while images are weighted."""
IOUS = tuple(0.5 + 0.05 * step for step in range(10))


@dataclass(frozen=True, slots=True)
class Matches:
    """What one model found of one class.

    Attributes:
        image: the image of each box found, from the highest score down, `[found]`.
        right: whether it matches a labelled box, at each overlap of `IOUS`, `[overlaps, found]`.
        labelled: the number of boxes labelled in each image, `[images]`.
    """

    image: NDArray[np.intp]
    right: NDArray[np.bool_]
    labelled: Floats

    def planted(self, chosen: NDArray[np.intp], gains: bool) -> Matches:
        """Returns the matches with made-up images behind the observed ones (`bootstrap.Resampling.planted`).

        Args:
            chosen: the images that they imitate.
            gains: whether the model finds all boxes of the first half and none of the second, or the other way round.
        """
        import numpy as np

        count, start = len(chosen), len(self.labelled) + (0 if gains else len(chosen))
        labelled = self.labelled[chosen]
        found = np.repeat(start + np.arange(count), labelled.astype(np.intp))
        return Matches(
            np.concatenate([found, self.image]),
            np.concatenate([np.ones((len(IOUS), len(found)), bool), self.right], axis=1),
            np.concatenate([self.labelled, labelled, labelled]),
        )


def match(found: Tables, labelled: Tables) -> list[Matches]:
    """Matches boxes as the COCO evaluation does, class by class over the classes that are labelled.

    Args:
        found: for each image rows `x1, y1, x2, y2, class, score`.
        labelled: for each image rows `x1, y1, x2, y2, class`.
    """
    import numpy as np
    from pycocotools.cocoeval import COCOeval

    with redirect_stdout(StringIO()):  # it prints what it does
        evaluation = COCOeval(_coco(labelled, labelled), _coco(found, labelled), "bbox")
        evaluation.params.areaRng = [[0, 1e10]]
        evaluation.params.areaRngLbl = ["all"]
        evaluation.params.maxDets = [MOST]
        evaluation.params.iouThrs = np.array(IOUS)
        evaluation.evaluate()
    images = len(labelled)
    by_image = evaluation.evalImgs
    return [_class_matches(by_image[start : start + images]) for start in range(0, len(by_image), images)]


def average_precision(matches: Matches, overlaps: Sequence[int], weights: Floats) -> Floats:
    """Returns the average precision of one class, the mean over some overlaps; NaN where a draw has no box of the class.

    Precision is made to fall with recall and read off at 101 recalls (Lin et al. 2014, Microsoft COCO). An image that is drawn
    twice counts as two.

    Args:
        matches: of the class.
        overlaps: which of `IOUS`, by number.
        weights: `[images, draws]`.
    """
    import numpy as np

    step = max(1, WORK // max(len(matches.image), 1))
    parts = [
        _average_precision(matches, overlaps, weights[:, start : start + step])
        for start in range(0, weights.shape[1], step)
    ]
    return np.concatenate(parts)


def _average_precision(matches: Matches, overlaps: Sequence[int], weights: Floats) -> Floats:
    import numpy as np

    positives = matches.labelled @ weights
    placed = weights[matches.image]
    seen = np.cumsum(placed, axis=0)
    total = np.zeros(weights.shape[1])
    for overlap in overlaps:
        total += _area(placed * matches.right[overlap][:, None], seen, positives)
    return np.where(positives > 0, total / len(overlaps), np.nan)


def _area(right: Floats, seen: Floats, positives: Floats) -> Floats:
    """Returns the area under precision over recall.

    Args:
        right: the weight of each box found if it is right, else 0, `[found, draws]`.
        seen: the weight of all boxes found so far.
        positives: the weight of all boxes labelled, `[draws]`.
    """
    import numpy as np

    recalls = np.linspace(0.0, 1.0, 101)
    hits = np.cumsum(right, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = hits / (seen + np.spacing(1.0))
        reached = np.searchsorted(recalls, np.nan_to_num(hits / positives), side="right")
    falling = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    steps = np.diff(reached, axis=0, prepend=0)
    return np.asarray((falling * steps).sum(axis=0) / len(recalls))


def _class_matches(by_image: list[dict[str, object] | None]) -> Matches:
    import numpy as np

    images, scores, right, labelled = [np.empty(0, np.intp)], [np.empty(0)], [np.empty((len(IOUS), 0), bool)], []
    for place, image in enumerate(by_image):
        if image is None:
            labelled.append(0)
            continue
        labelled.append(len(cast("list[int]", image["gtIds"])))
        found = np.asarray(image["dtScores"], dtype=np.float64)
        images.append(np.full(len(found), place))
        scores.append(found)
        right.append(np.asarray(image["dtMatches"]).reshape(len(IOUS), len(found)) > 0)
    order = np.argsort(-np.concatenate(scores), kind="mergesort")
    return Matches(
        np.concatenate(images)[order], np.concatenate(right, axis=1)[:, order], np.array(labelled, dtype=np.float64)
    )


def _coco(tables: Tables, labelled: Tables) -> object:
    """Returns boxes as pycocotools holds them, of the classes that are labelled; ids start at 1, because 0 means no match."""
    import numpy as np
    from pycocotools.coco import COCO

    classes = np.unique(np.concatenate([table[:, 4] for table in labelled])).astype(int).tolist()
    boxes: list[dict[str, object]] = []
    for image, table in enumerate(tables):
        for row in table.tolist():
            width, height = max(row[2] - row[0], 0.0), max(row[3] - row[1], 0.0)
            box = {
                "id": len(boxes) + 1,
                "image_id": image,
                "category_id": int(row[4]),
                "bbox": [row[0], row[1], width, height],
                "area": width * height,
                "iscrowd": 0,
            }
            boxes.append(box | ({"score": row[5]} if len(row) > 5 else {}))
    coco = COCO()
    coco.dataset = {
        "images": [{"id": image} for image in range(len(tables))],
        "categories": [{"id": each} for each in classes],
        "annotations": boxes,
    }
    coco.createIndex()
    return coco

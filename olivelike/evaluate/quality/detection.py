"""The metric `detection`: mean average precision of the boxes that a model finds in labelled images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import Field, PositiveInt

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.data import Batch, ScriptCall
from olivelike.contracts.extras import need
from olivelike.contracts.metric import Cost, MeasureContext, Metric, MetricConfig, Session, ValueSpec
from olivelike.contracts.outcome import Paired, Undefined, Value
from olivelike.evaluate.quality.answers import chosen_output, raw_answering, require_labels
from olivelike.evaluate.quality.box_matches import IOUS, Matches, average_precision, match
from olivelike.evaluate.quality.boxes import found_boxes, labelled_boxes
from olivelike.evaluate.quality.side_by_side import Observed, Observer, Rows, observe
from olivelike.evaluate.sessions.batches import finite
from olivelike.evaluate.statistics.bootstrap import Resampling, Weighted, reweighted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

Name: TypeAlias = Literal["map", "map50", "map75"]

OVERLAPS: dict[str, tuple[int, ...]] = {"map": tuple(range(len(IOUS))), "map50": (0,), "map75": (5,)}
FOUND, LABELLED = "found", "labelled"
"""The columns of what is observed: one table of boxes for each image."""
DRAWS = 199
"""Resamples: fewer than elsewhere, because each goes over all boxes ten times."""
PLANTED = 16


class DetectionConfig(MetricConfig):
    """Which values to give, and where the boxes come from."""

    values: tuple[Name, ...] = Field(default=("map", "map50", "map75"), min_length=1)
    """Which values to give, the main one first."""
    batch: PositiveInt = 8
    """Samples in one run; a model with a fixed batch size gets its own."""
    boxes: str = "boxes"
    """The output of boxes `[samples, found, 4]` as x1, y1, x2, y2, where there is no `postprocess`."""
    scores: str = "scores"
    """The output of their scores, `[samples, found]`."""
    classes: str = "labels"
    """The output of their classes, `[samples, found]`; what has a class below 0 is no box."""
    postprocess: ScriptCall | Literal["none"] = "none"
    """User's Python, called for each batch as `f(outputs, labels)`: `outputs` maps every output's name to its array. It
    returns a list with one mapping for each image: `boxes` `[found, 4]` as x1, y1, x2, y2 in the labels' coordinates,
    `scores` `[found]` and `labels` `[found]`, the class ids."""


class Detection(Metric[DetectionConfig]):
    """Mean average precision of an object detector, as the COCO evaluation defines it.

    What it does:
        Matches the boxes that candidate and baseline find with the labelled ones (pycocotools) and gives `map`, the mean over
        overlaps (IoU) from 0.5 to 0.95, `map50` and `map75`. Labels are `[samples, boxes, 5]`: x1, y1, x2, y2, class; images
        with fewer boxes are filled up with rows of class -1. Each value carries a paired bootstrap interval, over images, of
        itself and of the difference to the baseline.

    When to use it:
        For detectors whose boxes are decoded, by the model itself or by your `postprocess`, including non-maximum
        suppression.

    Limits:
        Classes without a labelled box do not count; with no box at all the values are undefined. No crowd regions, no
        sizes apart, no masks or keypoints; at most 100 boxes of a class in an image count. At least ten images are needed.
        Needs `pip install "olivelike[metrics]"`.

    Example:
        ```yaml
        metrics:
          boxes: {type: detection, data: test, postprocess: {script: yolo.py, call: boxes}}
        constraints:
          - {metric: boxes.map50, max_drop: 0.01}
        ```
    """

    name = "detection"
    config = DetectionConfig
    cost = Cost.DATASET
    compares = True
    data = "required"
    needs_labels = True
    tools = ("pycocotools",)

    def values(self, config: DetectionConfig) -> tuple[ValueSpec, ...]:
        """Returns the values asked for; shares, higher is better."""
        return tuple(ValueSpec(name, "1", "higher") for name in dict.fromkeys(config.values))

    def measure(
        self, candidate: Artifact, reference: Artifact, config: DetectionConfig, context: MeasureContext
    ) -> Mapping[str, Value]:
        """Finds boxes in all images with the candidate, and with the reference unless they are the same artifact.

        Raises:
            InputError: OL206 (no samples, no such output), OL207 or OL208 (labels), OL209 (answers of no use), OL211
                (pycocotools is missing).
            MeasureError: OL504, an output is not finite, or the model cannot be run.
        """
        need("metrics", "pycocotools", what="the metric detection")
        observed = observe(candidate, reference, partial(_observer, config, context), context, config.batch)
        names = [spec.name for spec in self.values(config)]
        if not sum(len(table) for table in observed.own[LABELLED]):
            return dict.fromkeys(names, Undefined(f"none of the {observed.count} images has a labelled box"))
        own, other = _matched(observed.own), _matched(observed.other) if observed.other else []
        return {name: _value(OVERLAPS[name], own, other, observed, context.seed) for name in names}


def _matched(rows: Rows) -> list[Matches]:
    import numpy as np

    return match(rows[FOUND].astype(np.object_), rows[LABELLED].astype(np.object_))


def _value(overlaps: tuple[int, ...], own: list[Matches], other: list[Matches], observed: Observed, seed: int) -> Value:
    """Returns a value; with made-up disagreements where all images agree and the interval would be a point."""
    import numpy as np

    resampling = Resampling(observed.count, seed, DRAWS, mirrored=True, level=observed.level)
    reason = "many resamples hold no labelled box"
    theirs = _mean(other, overlaps) if other else None
    plain = reweighted(_mean(own, overlaps), theirs, resampling, better="higher", undefined=reason)
    if isinstance(plain, Undefined):
        return plain
    gap = plain.versus.interval if isinstance(plain.versus, Paired) else plain.interval
    if plain.low < plain.high and gap.low < gap.high:
        return replace(plain, low=max(plain.low, 0.0), high=min(plain.high, 1.0))
    chosen = np.random.default_rng(seed).integers(0, observed.count, PLANTED)
    gained = _mean([each.planted(chosen, True) for each in own], overlaps)
    lost = _mean([each.planted(chosen, False) for each in other], overlaps) if other else None
    return reweighted(
        gained, lost, replace(resampling, planted=PLANTED, mirrored=False), better="higher", undefined=reason
    )


def _mean(classes: list[Matches], overlaps: tuple[int, ...]) -> Weighted:
    """Returns the mean average precision over the classes that occur in a draw."""
    import numpy as np

    def weighted(weights: Floats) -> Floats:
        total, count = np.zeros(weights.shape[1]), np.zeros(weights.shape[1])
        for matches in classes:
            found = average_precision(matches, overlaps, weights)
            total += np.nan_to_num(found)
            count += np.isfinite(found)
        with np.errstate(divide="ignore", invalid="ignore"):
            return total / count

    return weighted


def _observer(config: DetectionConfig, context: MeasureContext, session: Session) -> Observer:
    require_labels(session, context)
    answer = _answering(config, session, context)
    of = f"what {config.postprocess.call} returned" if isinstance(config.postprocess, ScriptCall) else "the outputs"

    def rows(batch: Batch) -> Rows:
        labelled = labelled_boxes(batch.labels, batch.size)
        return {LABELLED: labelled, FOUND: found_boxes(answer(batch), batch.size, of)}

    return rows


def _answering(config: DetectionConfig, session: Session, context: MeasureContext) -> Callable[[Batch], object]:
    if isinstance(config.postprocess, ScriptCall):
        call = raw_answering(config.postprocess, session, context)
        return lambda batch: call(batch, batch.labels)
    chosen = {"boxes": config.boxes, "scores": config.scores, "classes": config.classes}
    names = [chosen_output(name, session, key) for key, name in chosen.items()]

    def answer(batch: Batch) -> object:
        outputs = session.run(batch.feeds, names)
        arrays = [finite(outputs[name], name) for name in names]
        return [dict(zip(("boxes", "scores", "labels"), image, strict=True)) for image in zip(*arrays, strict=False)]

    return answer

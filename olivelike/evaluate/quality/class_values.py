"""The values of `classification` from what was observed: which of them are defined, and their paired intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from olivelike.contracts.outcome import Paired, Undefined, Value
from olivelike.errors import InputError, fail
from olivelike.evaluate.quality.bounded_scores import mean_score
from olivelike.evaluate.quality.classes import Plants, are_probabilities, class_scores
from olivelike.evaluate.quality.side_by_side import Observed, Rows
from olivelike.evaluate.statistics import confusion as counting
from olivelike.evaluate.statistics.bootstrap import Resampling, Weighted, reweighted
from olivelike.evaluate.statistics.confusion import Average, Confusion
from olivelike.evaluate.statistics.ranking import auroc, order

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from olivelike.evaluate.quality.predictions import Labels

    Floats: TypeAlias = NDArray[np.float64]

LABELS, PREDICTED, RIGHT, SCORES, SCORED = "labels", "predicted", "right", "scores", "scored"
"""The columns of what is observed; `scored` is the number of classes that the model gives scores of, 0 for class ids."""

PER_CLASS: dict[str, Callable[[Confusion], Floats]] = {
    "f1": counting.f1,
    "precision": counting.precision,
    "recall": counting.recall,
}


@dataclass(frozen=True, slots=True)
class Averaging:
    """How one number is made of the classes' numbers.

    Attributes:
        how: the average.
        positive: the class that counts in a binary one.
        classes: the classes to average over; empty for all that the model scores, or all labelled where it gives class ids.
        scores: what the scores are.
    """

    how: Average
    positive: int
    classes: tuple[int, ...]
    scores: Literal["auto", "logits", "probabilities"]


def value_of(name: str, observed: Observed, averaging: Averaging, seed: int) -> Value:
    """Returns one value with its interval and the difference to the baseline's, or why it is undefined on these data.

    Args:
        name: of the value.
        observed: the columns above; `scores` may lack its own where `auroc` is not asked for.
        averaging: how classes are averaged.
        seed: of resampling.

    Raises:
        InputError: OL206, `classes` names one that the model does not score; OL207, a binary average over labels of more
            than two classes.
    """
    if name == "accuracy":
        return mean_score(observed, RIGHT)
    table = _Table.of(observed, averaging, seed)
    if reason := _undefined(name, table, averaging):
        return Undefined(reason)
    if name == "auroc":
        smooth = _resampled(name, observed, replace(table, plants=Plants.none()), averaging, seed)
        if not _degenerate(smooth):
            return smooth
    return _resampled(name, observed, table, averaging, seed)


def _resampled(name: str, observed: Observed, table: _Table, averaging: Averaging, seed: int) -> Value:
    statistic = _ranked(table, averaging) if name == "auroc" else _counted(name, table, averaging)
    own = statistic(observed.own, True)
    other = statistic(observed.other, False) if observed.other else None
    resampling = Resampling(observed.count, seed, planted=len(table.plants.samples), level=observed.level)
    reason = "a class occurs so seldom that many resamples hold none of it"
    return reweighted(own, other, resampling, better="higher", undefined=reason)


def _degenerate(value: Value) -> bool:
    """Whether an interval is a point: all pairs are in the right order, or both models rank all samples alike.

    Ranks disagree in many pairs as soon as they disagree at all, so that made-up disagreements, ranked last or first, are
    needed only then, and would make intervals too wide otherwise.
    """
    if isinstance(value, Undefined):
        return False
    gap = value.versus.interval if isinstance(value.versus, Paired) else value.interval
    return value.low == value.high or gap.low == gap.high


@dataclass(frozen=True, slots=True)
class _Table:
    """What both models are held against.

    Attributes:
        ids: the class id of each code.
        labels: codes, `[samples]`.
        chosen: the codes to average over.
        support: samples of each code.
        probabilities: whether the baseline's scores are probabilities; the candidate's are taken for the same.
        plants: made-up disagreements.
    """

    ids: Labels
    labels: Labels
    chosen: Labels
    support: Labels
    probabilities: bool
    plants: Plants

    @classmethod
    def of(cls, observed: Observed, averaging: Averaging, seed: int) -> _Table:
        import numpy as np

        first = observed.other or observed.own
        labels, scores = observed.own[LABELS].astype(np.int64), first[SCORES].astype(np.float64)
        predictions = [rows[PREDICTED].astype(np.int64) for rows in (observed.own, observed.other) if rows]
        wanted = _wanted(averaging, labels, int(first[SCORED][0]))
        ids = np.unique(np.concatenate([labels, wanted, *predictions]))
        codes = np.searchsorted(ids, labels)
        probabilities = are_probabilities(scores) if averaging.scores == "auto" else averaging.scores == "probabilities"
        return cls(
            ids,
            codes,
            np.searchsorted(ids, wanted),
            np.bincount(codes, minlength=len(ids)),
            probabilities,
            Plants.draw(codes, len(ids), seed),
        )


def _wanted(averaging: Averaging, labels: Labels, scored: int) -> Labels:
    """Returns the ids of the classes to average over."""
    import numpy as np

    if averaging.how == "binary":
        if len(found := np.unique(labels)) > 2:
            claim = f"`average: binary`, but the labels are of {len(found)} classes"
            raise fail(InputError, "OL207", claim, path="average", hint="use macro, micro or weighted")
        return np.array([averaging.positive])
    outside = [each for each in averaging.classes if each < 0 or (scored and each >= scored)]
    if outside:
        claim = f"{outside[0]} is none of the model's classes" + (f" (0 to {scored - 1})" if scored else "")
        raise fail(InputError, "OL206", claim, path="classes", hint="name classes as the model counts them")
    if averaging.classes:
        return np.unique(averaging.classes)
    return np.arange(scored) if scored else np.unique(labels)


def _undefined(name: str, table: _Table, averaging: Averaging) -> str:
    """Returns why a value is undefined on these labels; empty where it is not."""
    occurring = table.ids[table.support > 0]
    if name in {"auroc", "matthews", "balanced_accuracy"} and len(occurring) < 2:
        return f"all {len(table.labels)} labels are {occurring[0]}, and {name} needs two classes"
    missing = table.ids[table.chosen[table.support[table.chosen] == 0]]
    if not len(missing) or name == "matthews":
        return ""
    skips = {"weighted"} if name == "auroc" else {"micro", "weighted"}
    if averaging.how in skips and len(missing) < len(table.chosen) and name != "balanced_accuracy":
        return ""
    more = f" and {len(missing) - 1} more never occur" if len(missing) > 1 else " never occurs"
    hint = "" if averaging.how == "binary" else "; name the classes that count with `classes`"
    return f"class {missing[0]}{more} among the labels, so {name} is undefined for it{hint}"


def _counted(name: str, table: _Table, averaging: Averaging) -> Callable[[Rows, bool], Weighted]:
    """Returns what makes a statistic of counts out of a model's rows."""
    import numpy as np

    labels = table.plants.labels(table.labels)

    def statistic(rows: Rows, gains: bool) -> Weighted:
        codes = np.searchsorted(table.ids, rows[PREDICTED].astype(np.int64))
        predicted = table.plants.predicted(codes, table.labels, gains)

        def weighted(weights: Floats) -> Floats:
            return _of_counts(name, counting.confusion(labels, predicted, len(table.ids), weights), table, averaging)

        return weighted

    return statistic


def _of_counts(name: str, counts: Confusion, table: _Table, averaging: Averaging) -> Floats:
    if name == "matthews":
        return counting.matthews(counts)
    chosen = counts.of(table.chosen)
    if name == "balanced_accuracy":
        return counting.averaged(counting.recall(chosen), chosen, "macro")
    if averaging.how == "micro":
        chosen = counting.pooled(chosen)
    return counting.averaged(PER_CLASS[name](chosen), chosen, "weighted" if averaging.how == "weighted" else "macro")


def _ranked(table: _Table, averaging: Averaging) -> Callable[[Rows, bool], Weighted]:
    """Returns what makes the AUROC out of a model's rows: of two classes, or the average of one against the rest."""
    import numpy as np

    labels = table.plants.labels(table.labels)

    def statistic(rows: Rows, gains: bool) -> Weighted:
        scores = rows[SCORES].astype(np.float64)
        if scores.shape[1] == 2:
            positive = averaging.positive if averaging.positive in {0, 1} else 1
            return _one_against_rest(scores, positive, gains)
        parts = [(code, _one_against_rest(scores, int(table.ids[code]), gains)) for code in table.chosen]
        return lambda weights: _mean_of_classes(parts, weights)

    def _one_against_rest(scores: Floats, class_id: int, gains: bool) -> Weighted:
        of_class = table.ids[table.labels] == class_id
        ranked = class_scores(scores, class_id, table.probabilities)
        ordered = order(table.plants.ranked(ranked, of_class, gains))
        return lambda weights: auroc(ordered, table.ids[labels] == class_id, weights)

    def _mean_of_classes(parts: list[tuple[int, Weighted]], weights: Floats) -> Floats:
        areas = np.stack([part(weights) for _, part in parts])
        support = np.stack([weights[labels == code].sum(axis=0) for code, _ in parts])
        share = support if averaging.how == "weighted" else np.ones_like(support)
        share = np.where(np.isfinite(areas), share, 0.0)
        return np.asarray((np.nan_to_num(areas) * share).sum(axis=0) / share.sum(axis=0))

    return statistic

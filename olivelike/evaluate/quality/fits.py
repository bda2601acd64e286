"""The values of `regression` and `similarity`: how well a model's numbers fit the labels, with paired intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from olivelike.contracts.metric import ValueSpec
from olivelike.contracts.outcome import Undefined, Value
from olivelike.evaluate.quality.side_by_side import Observed, Rows
from olivelike.evaluate.statistics import fit
from olivelike.evaluate.statistics.bootstrap import Resampling, Weighted, reweighted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from olivelike.contracts.outcome import Better

    Floats: TypeAlias = NDArray[np.float64]

ANSWERS, LABELS = "answers", "labels"
"""The columns of what is observed."""

Fit: TypeAlias = Literal["pearson", "spearman", "r2", "mse", "rmse", "mae"]

STATISTICS: dict[str, tuple[Callable[[Floats, Floats], Weighted], Better]] = {
    "pearson": (fit.pearson, "higher"),
    "spearman": (fit.spearman, "higher"),
    "r2": (fit.r_squared, "higher"),
    "mse": (fit.mean_squared_error, "lower"),
    "rmse": (fit.root_mean_squared_error, "lower"),
    "mae": (fit.mean_absolute_error, "lower"),
}
NEEDS_VARIED_LABELS = {"pearson", "spearman", "r2"}
NEEDS_VARIED_ANSWERS = {"pearson", "spearman"}


def specs(names: Sequence[str]) -> tuple[ValueSpec, ...]:
    """Returns what the values are: correlations and R², higher is better; errors in the unit of the labels, lower is."""
    return tuple(ValueSpec(name, "1", STATISTICS[name][1]) for name in dict.fromkeys(names))


def value_of(name: str, observed: Observed, seed: int) -> Value:
    """Returns one value with its interval and the difference to the baseline's, or why it is undefined on these data.

    Args:
        name: of the value.
        observed: columns `answers` and `labels`, numbers.
        seed: of resampling.
    """
    labels = observed.own[LABELS].astype("float64")
    if name in NEEDS_VARIED_LABELS and _constant(labels):
        return Undefined(f"all {len(labels)} labels are {labels[0]:g}, and {name} needs labels that vary")
    for whose, rows in (("the model", observed.own), ("the baseline", observed.other)):
        if rows and name in NEEDS_VARIED_ANSWERS and _constant(_answers(rows)):
            claim = f"{whose} answers {_answers(rows)[0]:g} to all {len(labels)} samples"
            return Undefined(f"{claim}, and {name} needs answers that vary")
    make, better = STATISTICS[name]
    own = make(_answers(observed.own), labels)
    other = make(_answers(observed.other), labels) if observed.other else None
    reason = "answers or labels are all equal in many resamples"
    return reweighted(own, other, Resampling(len(labels), seed, level=observed.level), better=better, undefined=reason)


def _answers(rows: Rows) -> Floats:
    return rows[ANSWERS].astype("float64")


def _constant(values: Floats) -> bool:
    return bool((values == values[0]).all())

"""The metric `script`: the user's own function scores the samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import inf, nan
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import Field, PositiveInt, model_validator

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.data import Batch, ScriptCall
from olivelike.contracts.metric import Cost, MeasureContext, Metric, MetricConfig, Session, ValueSpec
from olivelike.contracts.outcome import Better, Measurement, Value
from olivelike.evaluate.quality.bounded_scores import Bounds, mean_score, stops_when_any_out
from olivelike.evaluate.quality.side_by_side import Observed, Observer, Rows, observe
from olivelike.evaluate.quality.user_scores import DOWN, UP, UserScores
from olivelike.evaluate.sessions.batches import finite
from olivelike.evaluate.statistics.bootstrap import Statistic
from olivelike.evaluate.statistics.corpus_values import corpus_value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Name: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class ScriptMetricConfig(MetricConfig):
    """What is scored, and what the scores mean."""

    score: ScriptCall
    """User's Python, called for each batch as `f(outputs, labels)`: `outputs` maps every output's name to its array, `labels`
    are as the data give them (an empty array where they have none). It returns an array of scores `[samples]`, or a pair
    `(numerators, denominators)` of such arrays, or a mapping of the names in `values` to either."""
    values: Annotated[tuple[Name, ...], Field(min_length=1)] = ("score",)
    """The names of the values, the main one first."""
    better: Better | dict[Name, Better] = "higher"
    """Which direction is better: for all values, or a mapping of names to directions."""
    range: tuple[float, float] | Literal["unbounded"] = (0.0, 1.0)
    """The least and the largest score that a single sample can have. What has bounds is sampled until decided. Pairs may
    have ratios outside; it says how far a sample could be from the others where all that were seen agree."""
    batch: PositiveInt = 64
    """Samples in one run; a model with a fixed batch size gets its own."""

    @model_validator(mode="after")
    def _holds_together(self) -> ScriptMetricConfig:
        if len(set(self.values)) < len(self.values):
            raise ValueError(f"values names {max(self.values, key=self.values.count)} twice")
        if not isinstance(self.better, str) and set(self.better) != set(self.values):
            raise ValueError(f"better gives directions for {', '.join(self.better)}, not for {', '.join(self.values)}")
        if isinstance(self.range, tuple) and not -inf < self.range[0] < self.range[1] < inf:
            raise ValueError(f"the range from {self.range[0]:g} to {self.range[1]:g} is empty or infinite")
        return self

    def direction(self, name: str) -> Better:
        """Returns which direction of a value is better."""
        return self.better if isinstance(self.better, str) else self.better[name]


class ScriptMetric(Metric[ScriptMetricConfig]):
    """The user's own function as a metric: it is given a model's outputs and the labels, and returns scores of samples.

    Of scores the value is their mean; with a `range`, the interval is one that holds however often one looks, and a
    candidate that is shown to have lost too much is left at that after a few hundred samples. Of pairs `(numerators,
    denominators)` the value is the ratio of the sums over all samples, as it is usual for error rates of a corpus
    (character accuracy: characters minus edits, over characters). Ratios, and scores without a range, get bootstrap
    intervals; where all samples agree, the rule of three bounds what they could have missed. Against the baseline, on the
    same samples, all of them give the difference with an interval of its own.
    """

    name = "script"
    config = ScriptMetricConfig
    cost = Cost.DATASET
    compares = True
    data = "required"

    def values(self, config: ScriptMetricConfig) -> tuple[ValueSpec, ...]:
        """Returns the values that the configuration names; without a unit."""
        return tuple(ValueSpec(name, "1", config.direction(name)) for name in config.values)

    def measure(
        self, candidate: Artifact, reference: Artifact, config: ScriptMetricConfig, context: MeasureContext
    ) -> Mapping[str, Value]:
        """Scores all samples with the candidate's outputs, and with the reference's unless they are the same artifact.

        Raises:
            InputError: OL206 (no samples), OL209 (the function raises, or what it returns is of no use).
            MeasureError: OL504, an output is not finite, or the model cannot be run.
        """
        bounds = {name: _bounds(config, name) for name in config.values}
        bounded = {name: (name, each) for name, each in bounds.items() if isinstance(each, Bounds)}
        observed = observe(
            candidate,
            reference,
            partial(_observer, config, context),
            context,
            config.batch,
            enough=stops_when_any_out(bounded, context),
        )
        return {name: _value(observed, name, each, config, context) for name, each in bounds.items()}


def _bounds(config: ScriptMetricConfig, name: str) -> Bounds | Literal["unbounded"]:
    return "unbounded" if config.range == "unbounded" else Bounds(*config.range, config.direction(name))


def _observer(config: ScriptMetricConfig, context: MeasureContext, session: Session) -> Observer:
    score: Callable[..., object] = context.call(config.score)
    found = UserScores(config.score, config.values, config.range)

    def scored(batch: Batch) -> Rows:
        outputs = {name: finite(array, name) for name, array in session.run(batch.feeds).items()}
        return found.rows(score(outputs, batch.labels), batch.size)

    return scored


def _value(
    observed: Observed,
    name: str,
    bounds: Bounds | Literal["unbounded"],
    config: ScriptMetricConfig,
    context: MeasureContext,
) -> Value:
    if isinstance(bounds, Bounds) and name in observed.own:
        return mean_score(observed, name, bounds)
    columns = (name,) if name in observed.own else (name + UP, name + DOWN)
    statistic: Statistic = partial(_mean, name) if name in observed.own else partial(_ratio, name)
    own = {column: observed.own[column] for column in columns}
    other = {column: observed.other[column] for column in columns} if observed.other else {}
    found = corpus_value(
        statistic,
        own,
        other,
        partial(_extremes, columns, config.range, [rows for rows in (own, other) if rows]),
        better=config.direction(name),
        seed=context.seed,
        level=context.level,
        undefined="the denominators add up to zero",
    )
    return replace(found, complete=observed.complete) if isinstance(found, Measurement) else found


def _mean(name: str, rows: Rows) -> float:
    return float(rows[name].sum()) / len(rows[name])


def _ratio(name: str, rows: Rows) -> float:
    down = float(rows[name + DOWN].sum())
    return float(rows[name + UP].sum()) / down if down else nan


def _extremes(
    columns: tuple[str, ...],
    bounds: tuple[float, float] | Literal["unbounded"],
    seen: Sequence[Rows],
    chosen: NDArray[np.intp],
) -> tuple[Rows, Rows]:
    """Returns rows of samples with the largest score, and with the least: of the range, or seen outside of it."""
    import numpy as np

    if len(columns) == 1:
        scores = np.concatenate([rows[columns[0]] for rows in seen]).astype(np.float64)
        low, high = _ends(scores, bounds)
        return {columns[0]: np.full(len(chosen), high)}, {columns[0]: np.full(len(chosen), low)}
    up, down = columns
    above, below = (np.concatenate([rows[name] for rows in seen]).astype(np.float64) for name in columns)
    low, high = _ends(above[below > 0] / below[below > 0], bounds)
    counted = np.flatnonzero(seen[0][down])
    sizes = seen[0][down].astype(np.float64)[counted[chosen % len(counted)]]
    return {up: high * sizes, down: sizes}, {up: low * sizes, down: sizes}


def _ends(scores: NDArray[np.float64], bounds: tuple[float, float] | Literal["unbounded"]) -> tuple[float, float]:
    ends = [float(scores.min()), float(scores.max())]
    if isinstance(bounds, tuple):
        ends += bounds
    return min(ends), max(ends)

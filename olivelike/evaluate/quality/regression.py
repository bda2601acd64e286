"""The metric `regression`: how well a model's numbers, one for each sample, fit the labels."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Literal

from pydantic import Field, PositiveInt

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.data import Batch, ScriptCall
from olivelike.contracts.metric import Cost, MeasureContext, Metric, MetricConfig, Session, ValueSpec
from olivelike.contracts.outcome import Value
from olivelike.evaluate.quality.answers import answering, number_labels, require_labels, scalars, whose
from olivelike.evaluate.quality.fits import ANSWERS, LABELS, Fit, specs, value_of
from olivelike.evaluate.quality.side_by_side import Observer, Rows, observe


class RegressionConfig(MetricConfig):
    """Which values to give, and where the numbers come from."""

    values: tuple[Fit, ...] = Field(default=("pearson", "spearman", "r2", "rmse", "mae"), min_length=1)
    """Which values to give, the main one first."""
    batch: PositiveInt = 64
    """Samples in one run; a model with a fixed batch size gets its own."""
    output: str = ""
    """The output that holds the numbers, `[samples]` or `[samples, 1]`; the first one by default."""
    postprocess: ScriptCall | Literal["none"] = "none"
    """User's Python, called for each batch as `f(outputs, labels)`: `outputs` maps every output's name to its array. It
    returns one number for each sample."""


class Regression(Metric[RegressionConfig]):
    """Correlation and error of a model that answers with one number for each sample.

    What it does:
        Runs candidate and baseline on all samples and compares their numbers with the labels: `pearson` and `spearman`
        (of ranks, equal ones sharing their middle rank), `r2`, `mse`, `rmse` and `mae`, as SciPy and scikit-learn define
        them. Each carries a paired bootstrap interval of itself and of the difference to the baseline.

    When to use it:
        For ages, prices, depths, ratings: whatever is right by degrees. For embeddings that are compared with each other use
        `similarity`.

    Limits:
        Errors are in the labels' own unit. Constant labels leave the correlations and `r2` undefined, constant answers the
        correlations: the report says so and a constraint on the value stays open. At least ten samples are needed;
        intervals are approximate below a hundred or so. Where candidate and baseline give the same numbers on all samples,
        the difference is exactly zero, and its interval too.

    Example:
        ```yaml
        metrics:
          rating: {type: regression, data: test, values: [spearman, mae]}
        constraints:
          - {metric: rating.spearman, max_drop: 0.01}
        ```
    """

    name = "regression"
    config = RegressionConfig
    cost = Cost.DATASET
    compares = True
    data = "required"
    needs_labels = True

    def values(self, config: RegressionConfig) -> tuple[ValueSpec, ...]:
        """Returns the values asked for: correlations and R², higher is better; errors, lower is better."""
        return specs(config.values)

    def measure(
        self, candidate: Artifact, reference: Artifact, config: RegressionConfig, context: MeasureContext
    ) -> Mapping[str, Value]:
        """Runs the candidate on all samples, and the reference unless they are the same artifact.

        Raises:
            InputError: OL206 (no samples, no such output), OL207 or OL208 (labels), OL209 (answers of no use).
            MeasureError: OL504, an output is not finite, or the model cannot be run.
        """
        observed = observe(candidate, reference, partial(_observer, config, context), context, config.batch)
        return {spec.name: value_of(spec.name, observed, context.seed) for spec in self.values(config)}


def _observer(config: RegressionConfig, context: MeasureContext, session: Session) -> Observer:
    require_labels(session, context)
    answer = answering(config.output, config.postprocess, session, context)
    of = whose(config.output, config.postprocess, session)

    def rows(batch: Batch) -> Rows:
        labels = number_labels(batch.labels, batch.size)
        return {LABELS: labels, ANSWERS: scalars(answer(batch, batch.labels), batch.size, of)}

    return rows

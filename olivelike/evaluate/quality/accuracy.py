"""The metric `accuracy`: the share of labelled samples that a classifier gets right."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Literal

from pydantic import PositiveInt

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.data import Batch, ScriptCall
from olivelike.contracts.metric import Cost, MeasureContext, Metric, MetricConfig, Session, ValueSpec
from olivelike.contracts.outcome import Value
from olivelike.evaluate.quality.answers import answering, require_labels, whose
from olivelike.evaluate.quality.bounded_scores import mean_score, stops_when_out
from olivelike.evaluate.quality.predictions import class_labels, rightly_classified
from olivelike.evaluate.quality.side_by_side import Observer, Rows, observe

RIGHT = "right"


class AccuracyConfig(MetricConfig):
    """What counts as right."""

    top_k: PositiveInt = 1
    """A sample is right when its class is among so many of the highest scores."""
    batch: PositiveInt = 64
    """Samples in one run; a model with a fixed batch size gets its own. It changes results only of models that look at a
    batch as a whole, as dynamic quantization does when it scales activations."""
    output: str = ""
    """The output that holds the scores (or class ids); the first one by default."""
    postprocess: ScriptCall | Literal["none"] = "none"
    """User's Python, called for each batch as `f(outputs, labels)`: `outputs` maps every output's name to its array,
    `labels` are the class ids. It returns scores `[samples, classes]` in floating point, predicted class ids `[samples]` as
    whole numbers, or booleans `[samples]` that say which samples are right."""


class Accuracy(Metric[AccuracyConfig]):
    """Top-k accuracy on labelled data, with Wilson's score interval.

    Against the baseline, on the same samples, it gives the difference with an interval for matched pairs: only samples on
    which the two models disagree carry information, so that a drop far smaller than the interval of the accuracy itself
    can be shown. Number of threads does not change it.

    A candidate whose drop is shown to be too large is left at that after a few hundred samples: meanwhile intervals are used
    that hold however often one looks (`statistics.sequences`). They take the first samples for a fair draw of all: give
    data that are sorted (by class, by difficulty) `shuffle: true`.
    """

    name = "accuracy"
    config = AccuracyConfig
    cost = Cost.DATASET
    compares = True
    data = "required"
    needs_labels = True

    def values(self, config: AccuracyConfig) -> tuple[ValueSpec, ...]:
        """Returns `top1`, or `top5` and so on; a share, higher is better."""
        return (ValueSpec(f"top{config.top_k}", "1", "higher"),)

    def shares(self, config: AccuracyConfig) -> tuple[str, ...]:
        """Returns its value."""
        return (f"top{config.top_k}",)

    def measure(
        self, candidate: Artifact, reference: Artifact, config: AccuracyConfig, context: MeasureContext
    ) -> Mapping[str, Value]:
        """Classifies all samples with the candidate, and with the reference unless they are the same artifact.

        Raises:
            InputError: OL206 (no samples, no such output), OL207 or OL208 (labels), OL209 (answers of no use).
            MeasureError: OL504, an output is not finite, or the model cannot be run.
        """
        name = f"top{config.top_k}"
        observed = observe(
            candidate,
            reference,
            partial(_observer, config, context),
            context,
            config.batch,
            enough=stops_when_out(name, RIGHT, context),
        )
        return {name: mean_score(observed, RIGHT)}


def _observer(config: AccuracyConfig, context: MeasureContext, session: Session) -> Observer:
    """Returns what tells for each sample of a batch whether the model gets it right."""
    require_labels(session, context)
    answer = answering(config.output, config.postprocess, session, context)
    of = whose(config.output, config.postprocess, session)

    def right(batch: Batch) -> Rows:
        labels = class_labels(batch.labels, batch.size)
        return {RIGHT: rightly_classified(answer(batch, labels), labels, config.top_k, of)}

    return right

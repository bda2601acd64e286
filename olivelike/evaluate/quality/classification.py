"""The metric `classification`: F1, precision, recall, AUROC and their like of a classifier on labelled data."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Literal, TypeAlias

from pydantic import Field, PositiveInt

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.data import Batch, ScriptCall
from olivelike.contracts.metric import Cost, MeasureContext, Metric, MetricConfig, Session, ValueSpec
from olivelike.contracts.outcome import Value
from olivelike.errors import InputError, fail
from olivelike.evaluate.quality.answers import answering, require_labels, whose
from olivelike.evaluate.quality.class_values import LABELS, PREDICTED, RIGHT, SCORED, SCORES, Averaging, value_of
from olivelike.evaluate.quality.classes import classified
from olivelike.evaluate.quality.predictions import class_labels
from olivelike.evaluate.quality.side_by_side import Observer, Rows, observe
from olivelike.evaluate.statistics.confusion import Average

Name: TypeAlias = Literal["accuracy", "f1", "precision", "recall", "auroc", "balanced_accuracy", "matthews"]


class ClassificationConfig(MetricConfig):
    """Which values to give, and how classes count."""

    values: tuple[Name, ...] = Field(default=("f1", "precision", "recall", "accuracy"), min_length=1)
    """Which values to give, the main one first."""
    average: Average = "macro"
    """How `f1`, `precision` and `recall` are made of the classes': `macro`, the plain mean; `weighted`, by the number of
    samples; `micro`, of all counts together; `binary`, of the class `positive` alone. `auroc` of more than two classes is the
    plain mean of one against the rest, or the weighted."""
    positive: int = 1
    """The class that counts with `average: binary`, and for `auroc` of two classes."""
    classes: tuple[int, ...] = ()
    """The classes to average over; by default all that the model scores, or all labelled where it answers with class ids."""
    threshold: float = 0.5
    """A model that gives only the score of class 1 predicts it above this; 0 for logits."""
    scores: Literal["auto", "logits", "probabilities"] = "auto"
    """What the scores are, for `auroc` of more than two classes: logits go through softmax first. `auto`: probabilities if
    those of the baseline lie between 0 and 1 and sum to 1."""
    batch: PositiveInt = 64
    """Samples in one run; a model with a fixed batch size gets its own."""
    output: str = ""
    """The output that holds the scores (or class ids); the first one by default."""
    postprocess: ScriptCall | Literal["none"] = "none"
    """User's Python, called for each batch as `f(outputs, labels)`: `outputs` maps every output's name to its array. It
    returns scores `[samples, classes]`, scores of class 1 `[samples]`, or class ids `[samples]` as whole numbers."""


class Classification(Metric[ClassificationConfig]):
    """F1, precision, recall, AUROC, balanced accuracy and Matthews' correlation of a classifier.

    What it does:
        Classifies all samples with candidate and baseline. Values follow scikit-learn's definitions: `f1`, `precision`,
        `recall` averaged as `average` says, `balanced_accuracy` (the mean recall), `matthews` (its `matthews_corrcoef`),
        `auroc` (its `roc_auc_score`, one against the rest). Each carries a paired bootstrap interval of itself and of the
        difference to the baseline, `accuracy` the intervals of the metric `accuracy`.

    When to use it:
        When classes are of unequal size or unequal cost, so that accuracy alone hides a loss. Otherwise `accuracy` decides
        with fewer samples, and ends early where a loss is shown.

    Limits:
        A class that is never predicted has the precision 0. A class that has no labelled sample leaves `f1`, `precision`,
        `recall` and `auroc` undefined unless `classes` leaves it out, and so do constant labels: the report says so and a
        constraint on the value stays open. At least ten samples are needed; intervals are approximate below some
        hundred. Every resample holds made-up disagreements, about one of either kind, so that intervals never shrink to
        a point because nothing went wrong on a few samples. Labels are one class per sample.

    Example:
        ```yaml
        metrics:
          quality: {type: classification, data: test, values: [f1, recall, auroc], average: macro}
        constraints:
          - {metric: quality.f1, max_drop: 0.02}
        ```
    """

    name = "classification"
    config = ClassificationConfig
    cost = Cost.DATASET
    compares = True
    data = "required"
    needs_labels = True
    tools = ("scipy",)

    def values(self, config: ClassificationConfig) -> tuple[ValueSpec, ...]:
        """Returns the values asked for; shares and correlations, higher is better."""
        return tuple(ValueSpec(name, "1", "higher") for name in dict.fromkeys(config.values))

    def shares(self, config: ClassificationConfig) -> tuple[str, ...]:
        """Returns `accuracy`."""
        del config
        return ("accuracy",)

    def measure(
        self, candidate: Artifact, reference: Artifact, config: ClassificationConfig, context: MeasureContext
    ) -> Mapping[str, Value]:
        """Classifies all samples with the candidate, and with the reference unless they are the same artifact.

        Raises:
            InputError: OL206 (no samples, no such output), OL207 or OL208 (labels), OL209 (answers of no use).
            MeasureError: OL504, an output is not finite, or the model cannot be run.
        """
        observed = observe(candidate, reference, partial(_observer, config, context), context, config.batch)
        averaging = Averaging(config.average, config.positive, config.classes, config.scores)
        names = [spec.name for spec in self.values(config)]
        return {name: value_of(name, observed, averaging, context.seed) for name in names}


def _observer(config: ClassificationConfig, context: MeasureContext, session: Session) -> Observer:
    import numpy as np

    require_labels(session, context)
    answer = answering(config.output, config.postprocess, session, context)
    of = whose(config.output, config.postprocess, session)

    def rows(batch: Batch) -> Rows:
        labels = class_labels(batch.labels, batch.size)
        found = classified(answer(batch, labels), labels, config.threshold, of)
        if "auroc" in config.values and not found.scores.shape[1]:
            claim = f"{of} holds class ids, and auroc ranks samples by score"
            raise fail(InputError, "OL209", claim, hint="name an `output` that holds scores")
        return {
            LABELS: labels,
            PREDICTED: found.predicted,
            RIGHT: found.predicted == labels,
            SCORED: np.full(batch.size, found.scores.shape[1]),
            SCORES: found.scores if "auroc" in config.values else found.scores[:, :0],
        }

    return rows

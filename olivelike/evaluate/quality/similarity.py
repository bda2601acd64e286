"""The metric `similarity`: whether the cosine of two embeddings rises with how alike people found the two samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import Field, PositiveInt

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.data import Batch, ScriptCall
from olivelike.contracts.metric import Cost, MeasureContext, Metric, MetricConfig, Session, ValueSpec
from olivelike.contracts.outcome import Value
from olivelike.errors import InputError, fail
from olivelike.evaluate.quality.answers import answering, number_labels, require_labels, whose
from olivelike.evaluate.quality.fits import ANSWERS, LABELS, specs, value_of
from olivelike.evaluate.quality.side_by_side import Observer, Rows, observe

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from olivelike.contracts.data import Array

    Floats: TypeAlias = NDArray[np.float64]

EMBEDDING = "embedding"


class SimilarityConfig(MetricConfig):
    """Which values to give, and what of the outputs is the embedding."""

    values: tuple[Literal["spearman", "pearson"], ...] = Field(default=("spearman", "pearson"), min_length=1)
    """Which values to give, the main one first."""
    pooling: Literal["mean", "first"] = "mean"
    """How an output `[samples, tokens, size]` becomes one embedding: the mean of the tokens that `mask` lets through, or the
    first token."""
    mask: str = "attention_mask"
    """The model's input that is 1 for tokens and 0 for padding; a model without it has none."""
    batch: PositiveInt = 64
    """Samples (of two in a pair) in one run; a model with a fixed batch size gets its own."""
    output: str = ""
    """The output that holds embeddings `[samples, size]` or `[samples, tokens, size]`; the first one by default."""
    postprocess: ScriptCall | Literal["none"] = "none"
    """User's Python, called for each batch as `f(outputs, labels)`: `outputs` maps every output's name to its array. It
    returns embeddings `[samples, size]`."""


class Similarity(Metric[SimilarityConfig]):
    """Correlation of the cosine between two embeddings with how alike people found the two samples.

    What it does:
        Two samples that follow each other in the data are a pair, and both carry the pair's rating as label. Both are
        embedded, and the cosines of all pairs are correlated with the ratings: `spearman`, the main value of the semantic
        textual similarity tasks of MTEB (Muennighoff et al. 2023), and `pearson`. Both carry a paired bootstrap interval,
        over pairs, of themselves and of the difference to the baseline.

    When to use it:
        For sentence, image or audio embeddings whose distances count, in search or clustering.

    Limits:
        Pairs must be neighbours, so the data are not to be shuffled: two neighbours with different ratings are refused. A
        model that takes both samples at once (a cross-encoder) answers with a number: `regression` measures it. Constant
        ratings are undefined; at least ten pairs are needed.

    Example:
        ```yaml
        metrics:
          sts: {type: similarity, data: test, pooling: mean}
        constraints:
          - {metric: sts.spearman, max_drop: 0.01}
        ```
    """

    name = "similarity"
    config = SimilarityConfig
    cost = Cost.DATASET
    compares = True
    data = "required"
    needs_labels = True

    def values(self, config: SimilarityConfig) -> tuple[ValueSpec, ...]:
        """Returns the values asked for: correlations, higher is better."""
        return specs(config.values)

    def measure(
        self, candidate: Artifact, reference: Artifact, config: SimilarityConfig, context: MeasureContext
    ) -> Mapping[str, Value]:
        """Embeds all samples with the candidate, and with the reference unless they are the same artifact.

        Raises:
            InputError: OL206 (no samples, no such output), OL207 or OL208 (labels, no pairs), OL209 (no embeddings).
            MeasureError: OL504, an output is not finite, or the model cannot be run.
        """
        observed = observe(candidate, reference, partial(_observer, config, context), context, config.batch)
        pairs = replace(
            observed,
            own=_paired(observed.own),
            other=_paired(observed.other) if observed.other else {},
            count=observed.count // 2,
        )
        return {spec.name: value_of(spec.name, pairs, context.seed) for spec in self.values(config)}


def _observer(config: SimilarityConfig, context: MeasureContext, session: Session) -> Observer:
    require_labels(session, context)
    answer = answering(config.output, config.postprocess, session, context)
    of = whose(config.output, config.postprocess, session)

    def rows(batch: Batch) -> Rows:
        labels = number_labels(batch.labels, batch.size)
        return {LABELS: labels, EMBEDDING: _embeddings(answer(batch, batch.labels), batch, config, of)}

    return rows


def _embeddings(answer: Array, batch: Batch, config: SimilarityConfig, of: str) -> Floats:
    """Returns one embedding for each sample, `[samples, size]`, of length 1 or zero."""
    import numpy as np

    if answer.dtype.kind not in "iuf" or answer.ndim not in {2, 3} or len(answer) != batch.size:
        claim = f"{of} is of type {answer.dtype} and shape {list(answer.shape)}"
        needed = f"{batch.size} samples need embeddings [{batch.size}, size] or [{batch.size}, tokens, size]"
        raise fail(InputError, "OL209", f"{claim}: {needed}", hint="name another `output`, or write a `postprocess`")
    values = answer.astype(np.float64)
    if values.ndim == 3:
        values = values[:, 0] if config.pooling == "first" else _mean(values, _mask(batch, config, values.shape[:2]))
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / np.where(length > 0, length, 1.0))


def _mask(batch: Batch, config: SimilarityConfig, shape: tuple[int, ...]) -> Floats:
    import numpy as np

    if config.mask not in batch.feeds:
        return np.ones(shape)
    mask = batch.feeds[config.mask].astype(np.float64)
    if mask.shape != shape:
        claim = f"the input {config.mask!r} has the shape {list(mask.shape)} where the tokens have {list(shape)}"
        raise fail(
            InputError, "OL206", claim, path="mask", hint="name the input that marks tokens, or write a `postprocess`"
        )
    return mask


def _mean(values: Floats, mask: Floats) -> Floats:
    import numpy as np

    total = mask.sum(axis=1)[:, None]
    return np.asarray((values * mask[:, :, None]).sum(axis=1) / np.where(total > 0, total, 1.0))


def _paired(rows: Rows) -> Rows:
    """Makes one row of two neighbours: the cosine of their embeddings, and their label.

    Raises:
        InputError: OL207, an odd number of samples, or neighbours whose labels differ.
    """
    import numpy as np

    labels, embeddings = rows[LABELS].astype(np.float64), rows[EMBEDDING].astype(np.float64)
    hint = "let the two samples of a pair follow each other, both with the pair's rating; do not shuffle"
    if len(labels) % 2:
        raise fail(InputError, "OL207", f"{len(labels)} samples are no whole number of pairs", hint=hint)
    apart = np.flatnonzero(labels[::2] != labels[1::2])
    if len(apart):
        first = 2 * int(apart[0])
        claim = f"samples {first} and {first + 1} are a pair but have the labels {labels[first]:g} and {labels[first + 1]:g}"
        raise fail(InputError, "OL207", claim, hint=hint)
    return {LABELS: labels[::2], ANSWERS: (embeddings[::2] * embeddings[1::2]).sum(axis=1)}

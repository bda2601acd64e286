"""The metric `perplexity`: how well a causal language model predicts text, and how far it is from the baseline's predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field, PositiveInt

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import Cost, MeasureContext, Metric, MetricConfig, ValueSpec
from olivelike.contracts.outcome import Measurement, Undefined, Value
from olivelike.digest import Json
from olivelike.evaluate.quality.next_token import COUNT, KL, NLL, OTHER_NLL, SAME
from olivelike.evaluate.quality.side_by_side import Rows
from olivelike.evaluate.quality.token_blocks import read_blocks
from olivelike.evaluate.statistics.bootstrap import FEWEST_SAMPLES
from olivelike.evaluate.statistics.corpus_values import Extremes, corpus_value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Sums = NDArray[np.float64]

SUMS, OTHER = "sums", "other"


class PerplexityConfig(MetricConfig):
    """How text is cut and read."""

    length: int = Field(default=512, ge=2)
    """Longer samples are cut into blocks of so many tokens; a model with a fixed length gets its own. Perplexity falls with
    more context: compare only what has the same length."""
    output: str = ""
    """The output that holds the logits `[samples, length, vocabulary]`; `logits`, or else the first, by default."""
    samples: int = Field(default=0, ge=0)
    """The first so many samples; 0 for all."""
    batch: PositiveInt = 1
    """Samples in one run; a model with a fixed batch size gets its own. A run's logits are held in memory, no more."""


class Perplexity(Metric[PerplexityConfig]):
    """Perplexity of a causal language model, with the divergence from the baseline and how often both agree.

    `perplexity` is the exponential of the mean negative log-likelihood of a token; `kl` the mean Kullback-Leibler divergence
    of the candidate's distribution of the next token from the baseline's, in nats; `same_top` the share of positions at
    which both find the same token the most likely. The last two need no labels and show damage long before the first does
    (llama.cpp's report on quantized models gives the three). The baseline itself has a divergence of 0 and agrees always.

    Tokens of one text are not independent, so whole sequences are resampled, both models' together; of a single long text
    its blocks. Where all sequences agree, the rule of three bounds what they could have missed: sequences of which a model
    knows nothing, as if all tokens were equally likely. Details hold the standard errors (delta method for a ratio of sums,
    Cochran 1977, Sampling Techniques, section 6.4), the number of tokens, and the ratio of both perplexities with its
    interval.

    Data give `input_ids` (`[samples, length]`, one after the other) and, where samples are padded, `attention_mask`.
    Positions, an empty past and a mask that data lack are filled in.
    """

    name = "perplexity"
    config = PerplexityConfig
    cost = Cost.DATASET
    compares = True
    completes_feeds = True
    data = "required"

    def values(self, config: PerplexityConfig) -> tuple[ValueSpec, ...]:
        """Returns `perplexity` and `kl` (lower is better), `same_top` (higher)."""
        del config
        return (
            ValueSpec("perplexity", "1", "lower"),
            ValueSpec("kl", "nat", "lower"),
            ValueSpec("same_top", "1", "higher"),
        )

    def measure(
        self, candidate: Artifact, reference: Artifact, config: PerplexityConfig, context: MeasureContext
    ) -> Mapping[str, Value]:
        """Reads all text with the candidate, and with the reference unless they are the same artifact.

        Raises:
            InputError: OL206, no samples, no such output, inputs that cannot be filled in, tokens outside the vocabulary.
            MeasureError: OL504, logits of another shape than the baseline's, or not finite, or the model cannot be run.
        """
        import numpy as np

        compared = candidate.digest != reference.digest
        models = [candidate, reference] if compared else [candidate]
        blocks = read_blocks(models, config, context)
        sums, unit = blocks.by_sequence()
        if len(sums) < FEWEST_SAMPLES:
            few = f"{len(sums)} {unit} are too few to resample: give at least {FEWEST_SAMPLES}, or a smaller `length`"
            return dict.fromkeys((spec.name for spec in self.values(config)), Undefined(few))
        report: dict[str, Json] = {"tokens": int(sums[:, COUNT].sum()), unit: len(sums)}
        nothing = float(np.log(blocks.vocabulary))
        agreement = (
            _ratio_value(sums, column, ends, spec, context, report)
            for column, ends, spec in zip((KL, SAME), ((0, nothing), (1, 0)), self.values(config)[1:], strict=True)
        )
        kl, same = agreement if compared else (_of_itself(spec, len(sums)) for spec in self.values(config)[1:])
        return {"perplexity": _perplexity(sums, nothing, compared, context, report), "kl": kl, "same_top": same}


def _perplexity(
    sums: Sums, nothing: float, compared: bool, context: MeasureContext, report: Mapping[str, Json]
) -> Value:
    import numpy as np

    own = _columns(sums, NLL)
    found = corpus_value(
        partial(_exp_mean, NLL),
        {SUMS: own},
        {SUMS: _columns(sums, OTHER_NLL)} if compared else {},
        _extremes(own, NLL, (0, nothing)),
        better="lower",
        seed=context.seed,
        level=context.level,
        undefined="the mean negative log-likelihood is too large for a finite perplexity",
    )
    if isinstance(found, Undefined):
        return found
    error = _standard_error(sums[:, NLL], sums[:, COUNT])
    details: dict[str, Json] = {
        **report,
        "standard_error": found.value * error,
        "nll": {"value": float(np.log(found.value)), "standard_error": error},
    }
    if compared:
        gaps = np.stack([sums[:, COUNT], sums[:, NLL] - sums[:, OTHER_NLL]], axis=1)
        ratio = corpus_value(
            partial(_exp_mean, NLL),
            {SUMS: gaps},
            {},
            _extremes(gaps, NLL, (-nothing, nothing)),
            better="lower",
            seed=context.seed,
            level=context.level,
        )
        if isinstance(ratio, Measurement):
            details["ratio_to_baseline"] = {"value": ratio.value, "low": ratio.low, "high": ratio.high}
    return replace(found, details=details)


def _ratio_value(
    sums: Sums,
    column: int,
    ends: tuple[float, float],
    spec: ValueSpec,
    context: MeasureContext,
    report: Mapping[str, Json],
) -> Value:
    found = corpus_value(
        partial(_mean, column),
        {SUMS: sums},
        {},
        _extremes(sums, column, ends),
        better=spec.better,
        unit=spec.unit,
        seed=context.seed,
        level=context.level,
    )
    if isinstance(found, Undefined):
        return found
    error = _standard_error(sums[:, column], sums[:, COUNT])
    return replace(found, details={**report, "standard_error": error})


def _of_itself(spec: ValueSpec, n: int) -> Measurement:
    exact = Measurement.exact(1.0 if spec.name == "same_top" else 0.0, spec.unit, spec.better)
    return replace(exact, n=n)


def _columns(sums: Sums, column: int) -> Sums:
    """Returns counts and one kind of sums; in one order in memory, so that equal numbers add up to equal sums."""
    import numpy as np

    return np.stack([sums[:, COUNT], sums[:, column]], axis=1)


def _extremes(sums: Sums, column: int, ends: tuple[float, float]) -> Extremes:
    """Returns what makes up sequences of which a model knows every token, and others of which it knows nothing.

    Args:
        sums: that are imitated, their counts of tokens above all.
        column: what is put in.
        ends: of a token, by a model that is sure of the right one, and by one to which all of them are equally likely.
    """

    def made_up(chosen: NDArray[np.intp]) -> tuple[Rows, Rows]:
        right, wrong = sums[chosen], sums[chosen]
        for rows, end in ((right, ends[0]), (wrong, ends[1])):
            rows[:, column] = end * rows[:, COUNT]
        return {SUMS: right}, {SUMS: wrong}

    return made_up


def _mean(column: int, rows: Rows) -> float:
    sums = rows[SUMS].sum(axis=0)
    return float(sums[column] / sums[COUNT])


def _exp_mean(column: int, rows: Rows) -> float:
    import numpy as np

    with np.errstate(over="ignore"):
        return float(np.exp(_mean(column, rows)))


def _standard_error(sums: Sums, counts: Sums) -> float:
    """Returns the standard error of a ratio of sums over independent sequences (Cochran 1977, equation 6.13)."""
    import numpy as np

    n = len(counts)
    apart = sums - counts * (sums.sum() / counts.sum())
    return float(np.sqrt((apart**2).sum() / (n * (n - 1))) / counts.mean())

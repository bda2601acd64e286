"""The metric `text`: what a model wrote, held against what it should have written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import Field, PositiveInt

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.data import Batch, ScriptCall
from olivelike.contracts.extras import need
from olivelike.contracts.metric import Cost, MeasureContext, Metric, MetricConfig, Session, ValueSpec
from olivelike.contracts.outcome import Better, Measurement, Undefined, Value
from olivelike.errors import InputError, fail
from olivelike.evaluate.quality.bounded_scores import SHARE, mean_score, stops_when_any_out
from olivelike.evaluate.quality.side_by_side import Observed, Observer, Rows, observe
from olivelike.evaluate.quality.text_statistics import Corpus, Scores, statistics_of
from olivelike.evaluate.quality.texts import references, written
from olivelike.evaluate.statistics.corpus_values import corpus_value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from olivelike.contracts.data import Array

TextValue: TypeAlias = Literal["exact_match", "cer", "wer", "bleu", "chrf", "rouge1", "rouge2", "rougeL"]
MODULES = {
    "cer": "jiwer", "wer": "jiwer", "bleu": "sacrebleu", "chrf": "sacrebleu",
    "rouge1": "rouge_score", "rouge2": "rouge_score", "rougeL": "rouge_score",
}  # fmt: skip
FIT = " fit"
"""What is added to a value's name for the column that says which references are fit for it."""
WANTED = " wanted"
"""The column of references; a value's name holds no blank."""
LOWER = frozenset({"cer", "wer"})


class TextConfig(MetricConfig):
    """What is compared, and how."""

    values: Annotated[tuple[TextValue, ...], Field(min_length=1)] = ("exact_match", "cer", "wer")
    """What to give, the main value first: `exact_match`; `cer` and `wer`, error rates of characters and words (jiwer); `bleu`
    and `chrf`, from 0 to 100 (sacrebleu); `rouge1`, `rouge2`, `rougeL`, F-measures (rouge-score)."""
    postprocess: ScriptCall | Literal["none"] = "none"
    """User's Python, called for each batch as `f(outputs, labels)`: `outputs` maps every output's name to its array,
    `labels` are the references. It returns a text for each sample."""
    output: str = ""
    """Without `postprocess`: the output of strings that holds the texts; the first one by default."""
    lowercase: bool = False
    """Whether upper and lower case count as the same."""
    tokenize: Literal["13a", "intl", "char", "zh", "none"] = "13a"
    """How BLEU finds words, as sacrebleu calls it: `char` and `zh` for languages without blanks between words."""
    batch: PositiveInt = 64
    """Samples in one run; a model with a fixed batch size gets its own."""


class TextMetric(Metric[TextConfig]):
    """Texts against references: exact match, error rates of characters and words, BLEU, chrF, ROUGE.

    Error rates, BLEU and chrF are those of the whole corpus, and equal to what jiwer and sacrebleu give for it: edits and
    lengths, or counts of n-grams, are summed over all samples. Their intervals come from the paired bootstrap (Koehn 2004,
    Statistical significance tests for machine translation evaluation): samples are drawn anew, with what both models made
    of them; where all samples agree, the rule of three bounds what they could have missed (texts of which nothing is
    written). `exact_match` and ROUGE are means over samples with intervals as of accuracy.

    Spaces at the ends do not count. An error rate on an empty reference is a division by zero, and so there is none.
    """

    name = "text"
    config = TextConfig
    cost = Cost.DATASET
    compares = True
    data = "required"
    needs_labels = True
    tools = ("jiwer", "sacrebleu", "rouge-score")

    def values(self, config: TextConfig) -> tuple[ValueSpec, ...]:
        """Returns the values that the configuration names; error rates are better when lower."""
        return tuple(ValueSpec(name, "1", _better(name)) for name in dict.fromkeys(config.values))

    def measure(
        self, candidate: Artifact, reference: Artifact, config: TextConfig, context: MeasureContext
    ) -> Mapping[str, Value]:
        """Reads all texts of the candidate, and of the reference unless they are the same artifact.

        Raises:
            InputError: OL206 (no samples, no output of strings), OL207 (references that are no texts), OL209 (`postprocess`),
                OL211 (an extra is missing).
            MeasureError: OL504, an output is not finite, or the model cannot be run.
        """
        names = list(dict.fromkeys(map(str, config.values)))
        need("metrics", *dict.fromkeys(MODULES[name] for name in names if name in MODULES), what="the metric text")
        statistics: dict[str, Scores | Corpus] = {name: statistics_of(name, config.tokenize) for name in names}
        scores = {name: (name, SHARE) for name, each in statistics.items() if isinstance(each, Scores)}
        observed = observe(
            candidate,
            reference,
            partial(_observer, config, statistics, context),
            context,
            config.batch,
            enough=stops_when_any_out(scores, context),
        )
        return {name: _value(observed, name, each, context) for name, each in statistics.items()}


def _better(name: str) -> Better:
    return "lower" if name in LOWER else "higher"


def _observer(
    config: TextConfig, statistics: Mapping[str, Scores | Corpus], context: MeasureContext, session: Session
) -> Observer:
    import numpy as np

    if not context.data(session).has_labels:
        raise fail(
            InputError, "OL207", "the data have no labels", hint="name the column of references: `labels: COLUMN`"
        )
    texts = written(config.postprocess, config.output, session, context)

    def seen(batch: Batch) -> Rows:
        wanted = references(batch.labels, batch.size)
        got = texts(batch)
        if config.lowercase:
            wanted, got = [text.lower() for text in wanted], [text.lower() for text in got]
        fit = {name + FIT: np.array([each.countable(text) for text in wanted]) for name, each in statistics.items()}
        kept = {WANTED: np.array(wanted, dtype=np.object_)}
        return {name: each.rows(wanted, got) for name, each in statistics.items()} | fit | kept

    return seen


def _value(observed: Observed, name: str, statistics: Scores | Corpus, context: MeasureContext) -> Value:
    own, other = observed.own[name], observed.other.get(name)
    fit = observed.own[name + FIT]
    if not fit.all():
        return Undefined(statistics.uncountable.format(int(fit.argmin())))
    if isinstance(statistics, Scores):
        return mean_score(observed, name)
    found = corpus_value(
        partial(_corpus, statistics, name),
        {name: own},
        {} if other is None else {name: other},
        partial(_extremes, statistics, name, observed.own[WANTED]),
        better=_better(name),
        seed=context.seed,
        level=context.level,
    )
    return replace(found, complete=observed.complete) if isinstance(found, Measurement) else found


def _corpus(statistics: Corpus, name: str, rows: Rows) -> float:
    return statistics.value(rows[name].sum(axis=0))


def _extremes(statistics: Corpus, name: str, wanted: Array, chosen: NDArray[np.intp]) -> tuple[Rows, Rows]:
    """Returns rows of samples of which a model wrote all that was wanted, and of those of which it wrote nothing."""
    texts = [str(text) for text in wanted[chosen]]
    return {name: statistics.rows(texts, texts)}, {name: statistics.rows(texts, [""] * len(texts))}

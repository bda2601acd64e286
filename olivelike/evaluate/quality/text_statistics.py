"""What of a text and its reference is enough for a value of the whole corpus, so that resampling compares no text again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from olivelike.contracts.data import Array

    Counts: TypeAlias = NDArray[np.int64]


class Statistics(ABC):
    """What is kept of each sample."""

    @abstractmethod
    def rows(self, wanted: Sequence[str], got: Sequence[str]) -> Array:
        """Returns what is kept of some samples, axis 0 counts them.

        Args:
            wanted: references.
            got: as many texts.
        """

    uncountable: ClassVar[str] = "the reference of sample {} is empty, and the value would be a division by zero"
    """Why there is no value, with the number of the first sample that has no fit reference."""

    def countable(self, wanted: str) -> bool:
        """Returns whether a reference holds anything to count."""
        return bool(wanted)


class Scores(Statistics):
    """Of each sample a score from 0 to 1 is kept; the value is their mean."""


class Corpus(Statistics):
    """Of each sample counts are kept; the value follows from their sums."""

    @abstractmethod
    def value(self, sums: Counts) -> float:
        """Returns the value of all samples; not a number where it is undefined."""


class ExactMatch(Scores):
    """Whether text and reference are the same."""

    def countable(self, wanted: str) -> bool:
        """Any reference will do, an empty one too."""
        del wanted
        return True

    def rows(self, wanted: Sequence[str], got: Sequence[str]) -> Array:
        """Returns booleans `[samples]`."""
        import numpy as np

        return np.array([a == b for a, b in zip(wanted, got, strict=True)], dtype=np.bool_)


class Rouge(Scores):
    """ROUGE's F-measure of a text (Lin 2004, ROUGE: A package for automatic evaluation of summaries), by rouge-score."""

    uncountable = (
        "the reference of sample {} holds no letter from a to z and no digit, which is all that rouge-score counts"
    )

    def __init__(self, kind: str) -> None:
        from rouge_score.rouge_scorer import RougeScorer
        from rouge_score.tokenizers import DefaultTokenizer

        self._kind = kind
        self._tokens = DefaultTokenizer(use_stemmer=False)
        self._scorer = RougeScorer([kind], tokenizer=self._tokens)

    def rows(self, wanted: Sequence[str], got: Sequence[str]) -> Array:
        """Returns F-measures `[samples]`."""
        import numpy as np

        scores = [self._scorer.score(a, b)[self._kind].fmeasure for a, b in zip(wanted, got, strict=True)]
        return np.array(scores, dtype=np.float64)

    def countable(self, wanted: str) -> bool:
        """Returns whether rouge-score's tokenizer, which keeps letters from a to z and digits, finds anything."""
        return bool(self._tokens.tokenize(wanted))


class Errors(Corpus):
    """Edits over the length of the reference, in characters (CER) or words (WER), by jiwer."""

    def __init__(self, unit: str) -> None:
        import jiwer

        self._process: Any = jiwer.process_characters if unit == "cer" else jiwer.process_words

    def rows(self, wanted: Sequence[str], got: Sequence[str]) -> Array:
        """Returns edits and lengths `[samples, 2]`."""
        import numpy as np

        return np.array([self._counts(a, b) for a, b in zip(wanted, got, strict=True)], dtype=np.int64).reshape(-1, 2)

    def value(self, sums: Counts) -> float:
        """Returns the error rate."""
        edits, length = (float(count) for count in sums)
        return edits / length if length else float("nan")

    def _counts(self, wanted: str, got: str) -> tuple[int, int]:
        found = self._process([wanted], [got])
        return (
            found.substitutions + found.deletions + found.insertions,
            found.hits + found.substitutions + found.deletions,
        )


class _Counting(Protocol):
    """What sacrebleu's metrics offer its own significance tests (sacrebleu.significance): statistics of single texts."""

    def _extract_corpus_statistics(
        self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]
    ) -> list[list[int]]: ...

    def _compute_score_from_stats(self, stats: list[int]) -> Any: ...


class Ngrams(Corpus):
    """Counts of n-grams that a text shares with its reference, by sacrebleu; BLEU and chrF follow from them."""

    def __init__(self, metric: _Counting) -> None:
        self._metric = metric

    def rows(self, wanted: Sequence[str], got: Sequence[str]) -> Array:
        """Returns sacrebleu's counts, `[samples, 10]` for BLEU, `[samples, 18]` for chrF."""
        import numpy as np

        return np.array(self._metric._extract_corpus_statistics(list(got), [list(wanted)]), dtype=np.int64)

    def value(self, sums: Counts) -> float:
        """Returns the score, from 0 to 100."""
        return float(self._metric._compute_score_from_stats(sums.tolist()).score)


def statistics_of(name: str, tokenize: str) -> Scores | Corpus:
    """Returns what is kept of texts for one of the values of the metric `text`.

    Args:
        name: of the value.
        tokenize: how BLEU finds words.
    """
    match name:
        case "exact_match":
            return ExactMatch()
        case "cer" | "wer":
            return Errors(name)
        case "bleu":
            from sacrebleu.metrics.bleu import BLEU

            return Ngrams(BLEU(tokenize=tokenize, force=True))
        case "chrf":
            from sacrebleu.metrics.chrf import CHRF

            return Ngrams(CHRF())
        case _:
            return Rouge(name)

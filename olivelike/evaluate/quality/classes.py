"""Predicted classes and the scores behind them, and the made-up disagreements that keep their intervals honest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from olivelike.errors import InputError, fail
from olivelike.evaluate.quality.predictions import check_range

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from olivelike.contracts.data import Array
    from olivelike.evaluate.quality.predictions import Labels

    Floats: TypeAlias = NDArray[np.float64]

PLANTED = 64
"""Made-up disagreements of either kind; each draw takes some of them, so a few dozen stand for all samples."""
ALMOST = 1e-3
ROUNDED = 0.05
"""How far the sum of quantized probabilities may be from 1."""


@dataclass(frozen=True, slots=True)
class Classified:
    """A batch classified.

    Attributes:
        predicted: class ids, `[samples]`.
        scores: `[samples, classes]`; no columns where the model answers with class ids.
    """

    predicted: Labels
    scores: Floats


def classified(answer: Array, labels: Labels, threshold: float, of: str) -> Classified:
    """Returns the classes that an answer predicts.

    Args:
        answer: scores `[samples, classes]`; or the score of class 1 of two, `[samples]` or `[samples, 1]`, in floating
            point; or class ids `[samples]`, whole numbers.
        labels: class ids `[samples]`.
        threshold: above it, a score of class 1 alone predicts that class.
        of: whose answer it is, for messages.

    Raises:
        InputError: OL207, a label outside the classes; OL209, an answer of another shape or type.
    """
    import numpy as np

    size = len(labels)
    match answer.dtype.kind, answer.shape:
        case (("i" | "u"), (count,)) if count == size:
            return Classified(answer.astype(np.int64), np.empty((size, 0)))
        case "f", (count,) | (count, 1) if count == size:
            check_range(labels, 2)
            score = answer.astype(np.float64).reshape(size)
            return Classified((score > threshold).astype(np.int64), np.stack([-score, score], axis=1))
        case "f", (count, _) if count == size:
            check_range(labels, answer.shape[1])
            scores = answer.astype(np.float64)
            return Classified(scores.argmax(axis=1), scores)
        case _:
            claim = f"{of} is of type {answer.dtype} and shape {list(answer.shape)}"
            needed = f"{size} samples need scores [{size}, classes] or class ids"
            hint = "name another `output`, or write a `postprocess` that returns scores"
            raise fail(InputError, "OL209", f"{claim}: {needed}", hint=hint)


def class_scores(scores: Floats, positive: int, probabilities: bool) -> Floats:
    """Returns what ranks the samples for one class against the rest, `[samples]`.

    Of two classes, the difference of the scores: it ranks as the probability does, be they logits or probabilities. Of more,
    the probability of the class, from logits by softmax.
    """
    import numpy as np

    if scores.shape[1] == 2:
        return np.asarray(scores[:, positive] - scores[:, 1 - positive])
    if probabilities:
        return scores[:, positive]
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers[:, positive] / powers.sum(axis=1))


def are_probabilities(scores: Floats) -> bool:
    """Whether scores lie between 0 and 1 and sum to about 1 in every row."""
    import numpy as np

    inside = bool((scores >= -ALMOST).all() and (scores <= 1 + ALMOST).all())
    return inside and bool((np.abs(scores.sum(axis=1) - 1) <= ROUNDED).all())


@dataclass(frozen=True, slots=True)
class Plants:
    """Made-up samples to stand beside the observed ones (`bootstrap.Resampling.planted`).

    Attributes:
        samples: which observed samples they imitate, `[planted]`.
        wrong: a class that each of them is not, `[planted]`, as code.
    """

    samples: NDArray[np.intp]
    wrong: Labels

    @classmethod
    def draw(cls, labels: Labels, classes: int, seed: int) -> Plants:
        """Draws some samples and a wrong class for each.

        Args:
            labels: codes from 0, `[samples]`.
            classes: how many codes there are.
            seed: of the draw.
        """
        import numpy as np

        generator = np.random.default_rng(seed)
        samples = generator.integers(0, len(labels), PLANTED)
        return cls(samples, (labels[samples] + generator.integers(1, max(classes, 2), PLANTED)) % max(classes, 2))

    @classmethod
    def none(cls) -> Plants:
        """Returns no made-up samples."""
        import numpy as np

        return cls(np.empty(0, np.intp), np.empty(0, np.int64))

    def labels(self, labels: Labels) -> Labels:
        """Returns the labels with those of the planted samples behind them: the ones gained, then the ones lost."""
        import numpy as np

        return np.concatenate([labels, labels[self.samples], labels[self.samples]])

    def predicted(self, predicted: Labels, labels: Labels, gains: bool) -> Labels:
        """Returns a model's predictions with those of the planted samples behind them.

        Args:
            predicted: codes, `[samples]`.
            labels: likewise.
            gains: whether the model is the one that gets the first kind right (the candidate).
        """
        import numpy as np

        pair = [labels[self.samples], self.wrong]
        return np.concatenate([predicted, *(pair if gains else pair[::-1])])

    def ranked(self, scores: Floats, positive: NDArray[np.bool_], gains: bool) -> Floats:
        """Returns a model's scores for one class with those of the planted samples behind: ranked best, or worst."""
        import numpy as np

        top, bottom = float(scores.max()), float(scores.min())
        best = np.where(positive[self.samples], top, bottom)
        pair = [best, top + bottom - best]
        return np.concatenate([scores, *(pair if gains else pair[::-1])])

"""The drop of quality between two models on the same samples: of accuracy, or without labels the noise in the outputs."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from olivelike.contracts.data import Batch, Dataset
from olivelike.contracts.metric import Session, TensorInfo
from olivelike.errors import InputError, MeasureError, fail, nearest
from olivelike.evaluate.quality.predictions import class_labels, rightly_classified
from olivelike.evaluate.sessions.batches import batch_size
from olivelike.evaluate.statistics.intervals import matched_difference_interval

if TYPE_CHECKING:
    from olivelike.contracts.data import Array
    from olivelike.evaluate.quality.predictions import Right

BATCH = 64
NOISE_FLOOR = 0.01
"""1 % of the power is noise (20 dB): more than 8 bits cause in a model that is in order, and mostly without effect."""

Open = Callable[[Sequence[TensorInfo]], Dataset]
"""Opens the data for a model's inputs."""


class Drop(ABC):
    """How much worse a model is than BASE, which it has run once."""

    name: str
    unit: str
    floor: float
    """A drop that is none."""

    @abstractmethod
    def of(self, session: Session) -> float:
        """Returns the drop of a model: 0 for BASE, at most 1."""

    @abstractmethod
    def is_shown(self, session: Session) -> bool:
        """Whether the samples show that a model is worse than BASE at all."""

    @property
    @abstractmethod
    def samples(self) -> int:
        """The number of samples."""


@dataclass
class AccuracyDrop(Drop):
    """The share of samples that a model gets right less often than BASE; an output that is no number is wrong.

    Attributes:
        open: opens the data.
        output: the output that holds scores or class ids.
    """

    open: Open
    output: str
    name: str = "accuracy"
    unit: str = "1"
    floor: float = 0.0
    _base: Right = field(init=False, repr=False)

    def start(self, base: Session) -> None:
        """Runs BASE.

        Raises:
            InputError: OL206 (no samples, no such output), OL207 or OL208 (labels), OL209 (an output of no use).
        """
        self._base = self._right(base)

    @property
    def base_accuracy(self) -> float:
        """The share of samples that BASE gets right."""
        return float(self._base.mean())

    @property
    def samples(self) -> int:
        """The number of samples."""
        return len(self._base)

    def of(self, session: Session) -> float:
        """Returns the difference of the two shares; negative where the model is better."""
        return float(self._base.mean() - self._right(session).mean())

    def is_shown(self, session: Session) -> bool:
        """Whether the interval of the difference for matched pairs lies below zero."""
        right = self._right(session)
        gained, lost = int((right & ~self._base).sum()), int((~right & self._base).sum())
        return matched_difference_interval(gained, lost, len(right)).high < 0

    def _right(self, session: Session) -> Right:
        import numpy as np

        found = []
        for batch in _batches(session, self.open):
            labels = class_labels(batch.labels, batch.size)
            scores = session.run(batch.feeds, [self.output])[self.output]
            fine = _finite(scores, batch.size)
            cleared = np.nan_to_num(scores) if scores.dtype.kind == "f" else scores
            found.append(rightly_classified(cleared, labels, 1, f"the output {self.output!r}") & fine)
        return np.concatenate(found)


@dataclass
class NoiseDrop(Drop):
    """The share of noise in the power of the outputs, from 0 to 1; of several outputs the worst.

    Noise `N` is the squared difference to BASE's outputs summed over all samples, signal `S` their own square, and the drop
    is `N / (N + S)`. While it is small it is 10 to the power of -SQNR / 10, with the signal-to-quantization-noise ratio SQNR
    in dB, in which independent errors add up. Unlike a cosine it sees an output that is off by a factor. Outputs that are
    not finite are all noise.
    """

    open: Open
    outputs: tuple[str, ...]
    name: str = "distance"
    unit: str = "1"
    floor: float = NOISE_FLOOR
    _base: list[dict[str, Array]] = field(init=False, repr=False)
    _count: int = 0

    def start(self, base: Session) -> None:
        """Runs BASE and keeps its outputs.

        Raises:
            InputError: OL206, no samples.
            MeasureError: OL504, BASE's outputs are not finite.
        """
        import numpy as np

        self._base = []
        for batch in _batches(base, self.open):
            got = base.run(batch.feeds, self.outputs)
            for name, array in got.items():
                if not np.isfinite(array).all():
                    raise fail(MeasureError, "OL504", f"BASE's output {name!r} is not finite", hint="check BASE's data")
            self._base.append(got)
            self._count += batch.size

    @property
    def samples(self) -> int:
        """The number of samples."""
        return self._count

    def of(self, session: Session) -> float:
        """Returns the share of noise."""
        import numpy as np

        noise = dict.fromkeys(self.outputs, 0.0)
        signal = dict.fromkeys(self.outputs, 0.0)
        for batch, wanted in zip(_batches(session, self.open), self._base, strict=True):
            got = session.run(batch.feeds, self.outputs)
            for name in self.outputs:
                ours, theirs = got[name].astype(np.float64), wanted[name].astype(np.float64)
                if ours.shape != theirs.shape:
                    claim = f"the output {name!r} has the shape {list(ours.shape)}, and BASE's has {list(theirs.shape)}"
                    raise fail(MeasureError, "OL504", claim)
                noise[name] += float(((ours - theirs) ** 2).sum())
                signal[name] += float((theirs**2).sum())
        return max(_share(noise[name], signal[name]) for name in self.outputs)

    def is_shown(self, session: Session) -> bool:
        """Whether there is more noise than 8 bits cause in a model that is in order."""
        return self.of(session) > self.floor


def start_drop(metric: str, base: Session, open_data: Open, output: str, *, labelled: bool) -> AccuracyDrop | NoiseDrop:
    """Runs BASE and returns what compares models with it.

    Args:
        metric: `accuracy`, `distance`, or empty: accuracy where there are labels.
        base: BASE, loaded.
        open_data: opens the data.
        output: the output to look at; empty for the first (accuracy) or all numeric ones (distance).
        labelled: whether a column of labels was named.

    Raises:
        InputError: OL206, no such output; OL207, accuracy without labels; and what running BASE raises.
    """
    names = [info.name for info in base.outputs]
    if output and output not in names:
        claim = f"BASE has no output {output!r}"
        raise fail(InputError, "OL206", claim, path="--output-name", hint=nearest(output, names))
    if metric == "accuracy" and not labelled:
        raise fail(InputError, "OL207", "accuracy needs labels", hint="name their column: --labels COLUMN")
    drop: AccuracyDrop | NoiseDrop
    if metric == "accuracy" or (labelled and not metric):
        drop = AccuracyDrop(open_data, output or names[0])
    else:
        drop = NoiseDrop(open_data, (output,) if output else _numeric(base))
    drop.start(base)
    return drop


def _numeric(base: Session) -> tuple[str, ...]:
    found = tuple(info.name for info in base.outputs if info.dtype != "string" and "(" not in info.dtype)
    if not found:
        raise fail(
            InputError, "OL206", "BASE has no numeric output to compare", hint="compare models that give numbers"
        )
    return found


def _batches(session: Session, open_data: Open) -> Iterator[Batch]:
    data = open_data(session.inputs)
    if not data.count:
        raise fail(InputError, "OL206", "the data hold no samples", hint="give at least one sample")
    yield from data.batches(batch_size(session, BATCH))


def _finite(scores: Array, size: int) -> Right:
    import numpy as np

    if scores.dtype.kind != "f" or scores.shape[:1] != (size,):
        return np.ones(size, dtype=np.bool_)
    return np.asarray(np.isfinite(scores.reshape(size, -1)).all(axis=1), dtype=np.bool_)


def _share(noise: float, signal: float) -> float:
    if not math.isfinite(noise):
        return 1.0
    return noise / (noise + signal) if noise else 0.0

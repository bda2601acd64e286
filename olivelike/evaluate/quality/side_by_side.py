"""Observing two models side by side: batch by batch on the same samples, until all are seen or no more are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.data import Batch
from olivelike.contracts.metric import MeasureContext, Session
from olivelike.errors import InputError, fail
from olivelike.evaluate.sessions.batches import batch_size
from olivelike.evaluate.statistics.intervals import LEVEL

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

Rows: TypeAlias = Mapping[str, "Array"]
"""Columns of what was observed of a batch or of all of them, axis 0 counts samples."""

Observer: TypeAlias = Callable[[Batch], Rows]
"""Runs one model on a batch and keeps what the metric needs of it."""

FIRST_LOOK = 256
"""Samples before the first question whether more are needed; then after every doubling."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What was observed.

    Attributes:
        own: the candidate's rows.
        other: the baseline's, of the same samples in the same order; empty where the baseline itself was observed.
        count: the number of samples.
        complete: False where observing ended early.
        level: of the confidence that intervals of it are to have.
    """

    own: Rows
    other: Rows
    count: int
    complete: bool
    level: float = LEVEL


def looks(samples: int) -> Iterator[int]:
    """Yields after how many samples it is asked whether more are needed: 256, and after every doubling, but the last.

    >>> list(looks(1024))
    [256, 512]
    """
    look = FIRST_LOOK
    while look < samples:
        yield look
        look *= 2


def never(own: Rows, other: Rows) -> bool:
    """Needs all samples."""
    del own, other
    return False


def observe(
    candidate: Artifact,
    reference: Artifact,
    observer: Callable[[Session], Observer],
    context: MeasureContext,
    batch: int,
    *,
    samples: int = 0,
    enough: Callable[[Rows, Rows], bool] = never,
) -> Observed:
    """Runs the candidate, and the baseline unless it is the same artifact, on the same samples.

    Args:
        candidate: what is measured.
        reference: the baseline.
        observer: returns what observes a loaded model.
        context: what the engine offers.
        batch: samples in one run; a model with a fixed batch size gets its own.
        samples: the first so many samples at most; 0 for all.
        enough: from both models' rows so far, whether no more are needed; asked now and then.

    Raises:
        InputError: OL206, the data hold no samples.
    """
    models = [candidate] if candidate.digest == reference.digest else [candidate, reference]
    sessions = [context.open(model) for model in models]
    observers = [observer(session) for session in sessions]
    size = min(batch_size(session, batch) for session in sessions)
    total = context.data(sessions[0]).count
    parts: tuple[list[Rows], ...] = tuple([] for _ in models)
    most = min(samples, total) if samples else total
    ahead = looks(most)
    count, look, complete = 0, next(ahead, most), True
    for batches in _batches(sessions, context, size, samples):
        for seen, observed, each in zip(parts, observers, batches, strict=True):
            seen.append(observed(each))
        count += batches[0].size
        context.progress(min(count / max(most, 1), 1.0))
        if look <= count < most:
            look = next((later for later in ahead if later > count), most)
            if enough(*_joined(parts)):
                complete = False
                break
    if not count:
        raise fail(InputError, "OL206", "the data hold no samples", hint="give at least one sample")
    own, other = _joined(parts)
    return Observed(own, other, count, complete, context.level)


def _batches(sessions: list[Session], context: MeasureContext, size: int, samples: int) -> Iterator[tuple[Batch, ...]]:
    yield from zip(*(context.data(session).batches(size, samples) for session in sessions), strict=True)


def _joined(parts: tuple[list[Rows], ...]) -> tuple[Rows, Rows]:
    import numpy as np

    joined = [
        {name: np.concatenate([rows[name] for rows in seen]) for name in seen[0]} if seen else {} for seen in parts
    ]
    return joined[0], joined[1] if len(joined) == 2 else {}

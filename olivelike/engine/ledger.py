"""What the threads of a run share: the ledger of what ran, whose turn it is, and what is being done right now."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from olivelike.contracts.outcome import Failed
from olivelike.contracts.report import Cost


class Ledger:
    """Counts steps and measurements, each of them run or cached."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = Lock()

    def count(self, what: str) -> None:
        """Counts one of `steps_run`, `steps_cached`, `measurements_run`, `measurements_cached`."""
        with self._lock:
            self._counts[what] += 1

    def cost(self, seconds: float, workers: int) -> Cost:
        """Returns what the run took so far."""
        return Cost(
            seconds,
            self._counts["steps_run"],
            self._counts["steps_cached"],
            self._counts["measurements_run"],
            self._counts["measurements_cached"],
            workers,
        )


class Flights:
    """Keeps a piece of work from being done twice at once, and remembers within a run what failed."""

    def __init__(self) -> None:
        self._locks: defaultdict[str, Lock] = defaultdict(Lock)
        self._failures: dict[str, Failed] = {}
        self._lock = Lock()

    @contextmanager
    def of(self, key: str) -> Iterator[None]:
        """Holds a key: whoever comes second waits, and then finds what the first one did."""
        with self._lock:
            lock = self._locks[key]
        with lock:
            yield

    def note(self, key: str, failed: Failed) -> None:
        """Remembers a failure for the rest of the run."""
        self._failures[key] = failed

    def failure(self, key: str) -> Failed | None:
        """Returns the failure noted under a key, if any."""
        return self._failures.get(key)


class Turns:
    """Lets tasks run side by side, but a timed one alone: it waits for the others and holds new ones back."""

    def __init__(self) -> None:
        self._gate = Lock()
        self._idle = Lock()
        self._running = 0
        self._count = Lock()

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Holds a place among tasks that may run side by side."""
        with self._gate, self._count:
            self._running += 1
            if self._running == 1:
                self._idle.acquire()
        try:
            yield
        finally:
            with self._count:
                self._running -= 1
                if not self._running:
                    self._idle.release()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Holds the whole machine for one timed task."""
        with self._gate, self._idle:
            yield

"""Loading models anew for block after block, as long as that is cheap, each of them first every other time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

FEWEST_OPENINGS = 3

LoadedT = TypeVar("LoadedT")


@dataclass
class Loader(Generic[LoadedT]):
    """Models that are loaded several times, because where weights happen to lie in memory changes a model's speed.

    The speed changes from one load to the next (Curtsinger & Berger, STABILIZER, 2013): the blocks' disagreement shows it.
    Which model is loaded first changes from load to load: an int8 model beside its own copy was 0.4 % slower whenever it
    came first.

    Attributes:
        openers: one for each model.
        clock: seconds.
        loaded: what the openers gave the last time.
        openings: how often all were loaded.
        seconds: how long loading took.
    """

    openers: Sequence[Callable[[], LoadedT]]
    clock: Callable[[], float]
    loaded: tuple[LoadedT, ...] = ()
    openings: int = 0
    seconds: float = 0.0

    def is_due(self, running: float) -> bool:
        """Whether to load anew: always for the first three blocks, then while it took at most twice the time spent running."""
        return self.openings < FEWEST_OPENINGS or self.seconds <= 2 * running

    def release(self, index: int) -> None:
        """Lets go of a model that is needed no more; those after it move up."""
        self.openers = (*self.openers[:index], *self.openers[index + 1 :])
        self.loaded = (*self.loaded[:index], *self.loaded[index + 1 :])

    def load(self) -> None:
        """Loads all models."""
        begin = self.clock()
        self.loaded = ()  # two loads of a large model need not fit into memory at once
        indices = range(len(self.openers))
        found = {index: self.openers[index]() for index in (indices if self.openings % 2 else reversed(indices))}
        self.loaded = tuple(found[index] for index in indices)
        self.seconds += self.clock() - begin
        self.openings += 1

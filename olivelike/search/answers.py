"""Answering the questions of a space by three kinds of dial: a category, a whole number, a real number."""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from typing import TypeVar, assert_never

from olivelike.contracts.space import Choice, Domain, ForkSpace, Range
from olivelike.digest import Json

NumberT = TypeVar("NumberT", int, float)


class Answers(ABC):
    """A chooser that turns dials. A choice and a fork are categories, a countable range is the index of its value."""

    def parameter(self, path: str, domain: Domain) -> Json:
        """Returns a value of a parameter's domain."""
        match domain:
            case Choice(values=values):
                return values[self.category(path, len(values))]
            case Range(size=0, low=low, high=high, log=log):
                return self.real(path, low, high, log=log)
            case Range(step=0, low=low, high=high, log=True) if low >= 1:
                return self.integer(path, round(low), round(high), log=True)
            case Range(size=size):
                return domain.value(self.integer(path, 0, size - 1, log=False))
            case _ as never:
                assert_never(never)

    def alternative(self, path: str, fork: ForkSpace) -> int:
        """Returns the index of the alternative taken at a fork."""
        return self.category(path, len(fork.alternatives))

    @abstractmethod
    def category(self, path: str, count: int) -> int:
        """Returns one of `count` indices that have no order."""

    @abstractmethod
    def integer(self, path: str, low: int, high: int, *, log: bool) -> int:
        """Returns a whole number in a closed range."""

    @abstractmethod
    def real(self, path: str, low: float, high: float, *, log: bool) -> float:
        """Returns a number in a closed range."""


class FirstAnswers(Answers):
    """Takes the first of everything: the first value, the first alternative, the low end."""

    def category(self, path: str, count: int) -> int:
        """Returns 0."""
        return 0

    def integer(self, path: str, low: int, high: int, *, log: bool) -> int:
        """Returns the low end."""
        return low

    def real(self, path: str, low: float, high: float, *, log: bool) -> float:
        """Returns the low end."""
        return low


class RandomAnswers(Answers):
    """Answers each question uniformly (by ratio where the range is logarithmic) and notes how the dials stood.

    Attributes:
        dials: path to where its dial stood.
    """

    def __init__(self, generator: random.Random) -> None:
        self._generator = generator
        self.dials: dict[str, float] = {}

    def category(self, path: str, count: int) -> int:
        """Returns any index."""
        return self._noted(path, self._generator.randrange(count))

    def integer(self, path: str, low: int, high: int, *, log: bool) -> int:
        """Returns any whole number of the range."""
        if not log:
            return self._noted(path, self._generator.randint(low, high))
        value = math.floor(math.exp(self._generator.uniform(math.log(low), math.log(high + 1))))
        return self._noted(path, min(max(value, low), high))

    def real(self, path: str, low: float, high: float, *, log: bool) -> float:
        """Returns any number of the range."""
        if not log:
            return self._noted(path, self._generator.uniform(low, high))
        value = math.exp(self._generator.uniform(math.log(low), math.log(high)))
        return self._noted(path, min(max(value, float(low)), float(high)))

    def _noted(self, path: str, value: NumberT) -> NumberT:
        self.dials[path] = value
        return value

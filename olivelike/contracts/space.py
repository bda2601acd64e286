"""Spaces: the domain of one parameter, and the tree of steps and alternatives that recipes are drawn from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from olivelike.digest import Json


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several JSON values, in the order given."""

    values: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """A closed range of numbers; `step` makes it countable, whole-number bounds make it integer; `log` samples by ratio."""

    low: float
    high: float
    step: float = 0.0
    log: bool = False
    integer: bool = False

    @property
    def size(self) -> int:
        """How many values there are; 0 when the range is continuous."""
        step = self._spacing
        return math.floor((self.high - self.low) / step + 1e-9) + 1 if step else 0

    def value(self, index: int) -> Json:
        """Returns the value at an index, lowest first; the lower end of a continuous range for index 0."""
        value = self.low + index * self._spacing
        return round(value) if self.integer else value

    def grid(self) -> tuple[Json, ...]:
        """Returns every value, lowest first; empty when the range is continuous."""
        return tuple(self.value(index) for index in range(self.size))

    @property
    def _spacing(self) -> float:
        return self.step or (1 if self.integer else 0)


Domain: TypeAlias = Choice | Range


@dataclass(frozen=True, slots=True)
class Limits:
    """What one task may take: wall-clock seconds and bytes of resident memory; infinity means no limit."""

    seconds: float = math.inf
    bytes: float = math.inf


@dataclass(frozen=True, slots=True)
class StepSpace:
    """One step whose parameters may still hold choices.

    Attributes:
        name: unique in the workflow.
        pass_name: the registered name of the pass.
        fixed: parameters with one value, as the user wrote them.
        free: parameters with a domain.
        when: earlier fork's name to the step names (or `none`) of which one must have been chosen.
        verify: `off`, `fast` or `full`.
        limits: seconds and bytes a run of this step may take.
    """

    name: str
    pass_name: str
    fixed: Mapping[str, Json] = field(default_factory=dict)
    free: Mapping[str, Domain] = field(default_factory=dict)
    when: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    verify: str = "fast"
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class ForkSpace:
    """A choice between alternatives; each is a chain of steps and forks, `none` is the empty chain."""

    name: str
    alternatives: tuple[tuple[StepSpace | ForkSpace, ...], ...]
    when: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


Space: TypeAlias = tuple[StepSpace | ForkSpace, ...]


def steps_of(tree: Space) -> Iterator[StepSpace]:
    """Yields every step of a space, those of all alternatives too, in the order written."""
    for node in tree:
        match node:
            case StepSpace():
                yield node
            case ForkSpace(alternatives=alternatives):
                for alternative in alternatives:
                    yield from steps_of(alternative)

"""Bits shared out: of the formats that each item may take, those that together lose least within a budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush


@dataclass(frozen=True, slots=True)
class Option:
    """A way to store an item: its name, how many bits that takes in all, and what it loses."""

    name: str
    bits: float
    loss: float


def cheapest(items: Sequence[Sequence[Option]]) -> float:
    """Returns the bits that all items take at least."""
    return sum(min(option.bits for option in options) for options in items)


def shared_out(items: Sequence[Sequence[Option]], budget: float) -> list[Option]:
    """Returns an option for each item: least loss in all, as far as steps along each item's best options tell.

    Starts from the cheapest options and takes, one after another, the steps that gain most for each bit, along the lower
    convex hull of bits and loss, while they fit: Shoham & Gersho, "Efficient bit allocation for an arbitrary set of
    quantizers", 1988. It is the optimum but for the bits of the one step that does not fit.

    Args:
        items: the options of each, at least one.
        budget: bits for all; no less than `cheapest`.

    >>> small, large = Option("4", 4, 1.0), Option("8", 8, 0.1)
    >>> [found.name for found in shared_out([[small, large], [small, Option("8", 8, 0.9)]], 12)]
    ['8', '4']
    """
    hulls = [_hull(options) for options in items]
    place = [0] * len(hulls)
    left = budget - sum(hull[0].bits for hull in hulls)
    steps = [(-_gain(hull, 0), number) for number, hull in enumerate(hulls) if len(hull) > 1]
    heapify(steps)
    while steps:
        _, number = heappop(steps)
        hull, at = hulls[number], place[number]
        cost = hull[at + 1].bits - hull[at].bits
        if cost > left:
            continue  # smaller items may still fit
        left -= cost
        place[number] = at + 1
        if at + 2 < len(hull):
            heappush(steps, (-_gain(hull, at + 1), number))
    return [hull[at] for hull, at in zip(hulls, place, strict=True)]


def _gain(hull: Sequence[Option], at: int) -> float:
    return (hull[at].loss - hull[at + 1].loss) / (hull[at + 1].bits - hull[at].bits)


def _hull(options: Sequence[Option]) -> list[Option]:
    """Returns the options that some price of a bit makes the best, from the cheapest on."""
    hull: list[Option] = []
    for option in sorted(options, key=lambda each: (each.bits, each.loss, each.name)):
        if hull and option.loss >= hull[-1].loss:
            continue
        while len(hull) > 1 and _slope(hull[-1], option) >= _slope(hull[-2], hull[-1]):
            hull.pop()
        hull.append(option)
    return hull


def _slope(one: Option, other: Option) -> float:
    return (one.loss - other.loss) / (other.bits - one.bits)

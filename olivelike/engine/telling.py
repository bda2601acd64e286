"""What tells the recipes of a space apart, known before any of them is tried."""

from __future__ import annotations

from collections.abc import Iterator

from olivelike.contracts.ports import RecipeSpace
from olivelike.contracts.recipe import Varying, varying
from olivelike.contracts.space import ForkSpace, Space, StepSpace

LISTED = 256
"""Up to so many recipes are compared one by one; of a larger space the parameters with a choice are told."""


def varying_in(space: RecipeSpace) -> Varying:
    """Returns the (step, parameter) pairs that differ between recipes of a space."""
    if 0 <= space.count() <= LISTED:
        return varying(space.recipes())
    return frozenset((step.name, parameter) for step in _steps(space.tree) for parameter in step.free)


def _steps(chain: Space) -> Iterator[StepSpace]:
    for node in chain:
        match node:
            case StepSpace():
                yield node
            case ForkSpace(alternatives=alternatives):
                for alternative in alternatives:
                    yield from _steps(alternative)

"""What tells the recipes of a space apart, known before any of them is tried."""

from __future__ import annotations

from olivelike.contracts.ports import RecipeSpace
from olivelike.contracts.recipe import Varying, varying
from olivelike.contracts.space import steps_of

LISTED = 256
"""Up to so many recipes are compared one by one; of a larger space the parameters with a choice are told."""


def varying_in(space: RecipeSpace) -> Varying:
    """Returns the (step, parameter) pairs that differ between recipes of a space."""
    if 0 <= space.count() <= LISTED:
        return varying(space.recipes())
    return frozenset((step.name, parameter) for step in steps_of(space.tree) for parameter in step.free)

"""What a rewrite is: a function over an opened model, its parameters, its names, and what it looks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict

from olivelike_passes.surgery.opened import Opened


class Parameters(BaseModel):
    """Base of every rewrite's parameters: frozen, unknown keys refused, aliases and our names both taken."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, populate_by_name=True)


class NoParameters(Parameters):
    """The parameters of a rewrite that has none."""


@dataclass(frozen=True, slots=True)
class Absent:
    """What a rewrite looks for is not there, or not as it must be.

    Attributes:
        why: what there is instead, as the end of a sentence.
    """

    why: str


Found: TypeAlias = int | Absent
"""How many places a rewrite changed; 0 where it found none of what it looks for."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A small rewrite that a workflow can name.

    Attributes:
        name: ours, as it stands in `steps`.
        olive: the class of Olive's `GraphSurgeries` that does the same; it works as a name, too.
        apply: changes the model and says in how many places. It may raise a `RefusedError` where the pattern is there and
            cannot be rewritten without making a wrong model.
        looks_for: the pattern, as the object of "found no".
        parameters: the type of the second argument of `apply`.
        mends: whether it takes away what makes a model invalid, so that such a model is not refused before it.
    """

    name: str
    olive: str
    apply: Callable[[Opened, Any], Found]
    looks_for: str
    parameters: type[Parameters] = NoParameters
    mends: bool = False

"""A candidate: a measured model that may be handed out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from olivelike.contracts.recipe import Recipe
from olivelike.engine.judge import Metrics

BASELINE = -1


@dataclass(frozen=True, slots=True)
class Candidate:
    """A measured model that may be handed out.

    Attributes:
        trial: the trial's number; -1 for the baseline.
        recipe: how it was made; empty for the input.
        artifact: digest.
        kind: artifact kind.
        bytes: size of its files.
        metrics: what was measured.
        complete: whether nothing was left out because the candidate could not win any more.
        undefined: `name.value` to the reason why it cannot be given.
    """

    trial: int
    recipe: Recipe
    artifact: str
    kind: str
    bytes: int
    metrics: Metrics
    complete: bool
    undefined: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """How reports name it."""
        return "the baseline" if self.trial == BASELINE else f"trial {self.trial}"

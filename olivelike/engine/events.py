"""What happens during a run, as data: whoever shows progress listens; the engine prints nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from olivelike.contracts.report import Report, Trial


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The plan is resolved; `total` trials at most are ahead. `notes` are what the user should know before they begin."""

    workflow: str
    total: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Noted:
    """Something that the user should know now turned out on the way: a machine too noisy for small differences."""

    text: str


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A step or a measurement begins; `trial` is -1 for the baseline."""

    trial: int
    name: str


@dataclass(frozen=True, slots=True)
class StepEnded:
    """A step or a measurement ended: `how` is `ran`, `cached`, `refused` or `failed`."""

    trial: int
    name: str
    how: str
    seconds: float


@dataclass(frozen=True, slots=True)
class TrialEnded:
    """A trial has its outcome.

    Attributes:
        trial: the trial.
        done: how many trials have ended.
        total: how many are known to be ahead, this one included.
        elapsed: seconds since the run began.
        best: describes the best feasible candidate so far; empty while there is none.
        recipe: the trial's steps with the parameters that tell it apart.
    """

    trial: Trial
    done: int
    total: int
    elapsed: float
    best: str
    recipe: str


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The report is ready."""

    report: Report


Event: TypeAlias = RunStarted | Noted | StepStarted | StepEnded | TrialEnded | RunEnded
Listener: TypeAlias = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Listens to nothing."""
    del event

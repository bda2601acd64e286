"""olivelike: an optimization workflow engine for machine-learning models that proves what it ships.

The public names are loaded when they are used: importing this package costs milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = [
    "Best",
    "Event",
    "InputError",
    "MeasureError",
    "Noted",
    "OlivelikeError",
    "Problem",
    "RefusedError",
    "Report",
    "RunEnded",
    "RunStarted",
    "StepEnded",
    "StepError",
    "StepStarted",
    "StoreError",
    "TrialEnded",
    "Workflow",
    "__version__",
    "run",
]

if TYPE_CHECKING:
    from olivelike.api import Best, Report, run
    from olivelike.engine.events import Event, Noted, RunEnded, RunStarted, StepEnded, StepStarted, TrialEnded
    from olivelike.errors import InputError, MeasureError, OlivelikeError, Problem, RefusedError, StepError, StoreError
    from olivelike.workflow.schema import Workflow

_NAMES = {
    "olivelike.api": ("Best", "Report", "run"),
    "olivelike.engine.events": ("Event", "Noted", "RunEnded", "RunStarted", "StepEnded", "StepStarted", "TrialEnded"),
    "olivelike.errors": (
        "InputError",
        "MeasureError",
        "OlivelikeError",
        "Problem",
        "RefusedError",
        "StepError",
        "StoreError",
    ),
    "olivelike.workflow.schema": ("Workflow",),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'olivelike' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

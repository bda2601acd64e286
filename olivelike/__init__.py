"""olivelike: an optimization workflow engine for machine-learning models that proves what it ships.

The public names are loaded when they are used: importing this package costs milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Report", "Workflow", "__version__", "run"]

if TYPE_CHECKING:
    from olivelike.api import Report, run
    from olivelike.workflow.schema import Workflow

_HOMES = {"Report": "olivelike.api", "run": "olivelike.api", "Workflow": "olivelike.workflow.schema"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'olivelike' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

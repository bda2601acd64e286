"""Opening a workflow: from a file, a mapping or a `Workflow` to a plan, with everything wrong said at once."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.digest import Json
from olivelike.errors import InputError, fail
from olivelike.plan.model import Plan
from olivelike.plan.resolve import resolve
from olivelike.registry import Registry, installed
from olivelike.workflow.load import Loaded, from_mapping, load
from olivelike.workflow.schema import Workflow

if TYPE_CHECKING:
    from typing import TypeAlias

    WorkflowLike: TypeAlias = "str | Path | Mapping[str, Json] | Workflow"

LOG = logging.getLogger("olivelike.engine")


@dataclass(frozen=True, slots=True)
class Opened:
    """A workflow, ready to run: its plan, and the registry that gave the names their meaning."""

    plan: Plan
    registry: Registry


def open_workflow(workflow: WorkflowLike, overrides: str | Sequence[str] = ()) -> Opened:
    """Reads and resolves a workflow.

    Args:
        workflow: a file, a mapping as a file would hold it, or a `Workflow`.
        overrides: `KEY=VALUE` texts, or one of them; refused for a `Workflow`, which is changed in code.

    Raises:
        InputError: everything that is wrong with it.
    """
    overrides = _listed(overrides)
    registry = installed()
    for claim in registry.broken.values():
        LOG.warning("%s; its passes and metrics are missing", claim)
    if isinstance(workflow, Workflow):
        if overrides:
            claim = "overrides apply to a file or a mapping, not to a Workflow"
            raise fail(InputError, "OL113", claim, hint="use workflow.model_copy(update=...)")
        return Opened(resolve(workflow, registry, Path()), registry)
    if isinstance(workflow, Mapping):
        return _resolved(from_mapping(workflow, overrides), registry)
    given: object = workflow  # whatever an untyped caller handed in
    if not isinstance(given, str | Path):
        claim = f"a workflow is a file, a mapping or a Workflow, got {type(given).__name__} {given!r:.40}"
        raise fail(InputError, "OL101", claim, hint="name a workflow file")
    return _resolved(load(Path(given), overrides), registry)


def _listed(overrides: str | Sequence[str]) -> Sequence[str]:
    """Returns overrides as texts; one text stands for itself.

    Raises:
        InputError: OL113, they are something else, a mapping for example.
    """
    if isinstance(overrides, str):
        return (overrides,)
    if not isinstance(overrides, Sequence) or not all(isinstance(text, str) for text in overrides):
        claim = f"overrides are KEY=VALUE texts, got {type(overrides).__name__} {overrides!r:.40}"
        raise fail(InputError, "OL113", claim, hint='for example overrides=["search.max_trials=5"]')
    return overrides


def _resolved(loaded: Loaded, registry: Registry) -> Opened:
    if not isinstance(loaded.workflow, Workflow):
        raise InputError(*loaded.problems)
    plan = resolve(loaded.workflow, registry, loaded.folder, loaded.places, loaded.problems)
    return Opened(plan, registry)

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


def open_workflow(workflow: WorkflowLike, overrides: Sequence[str] = ()) -> Opened:
    """Reads and resolves a workflow.

    Args:
        workflow: a file, a mapping as a file would hold it, or a `Workflow`.
        overrides: `KEY=VALUE` texts; refused for a `Workflow`, which is changed in code.

    Raises:
        InputError: everything that is wrong with it.
    """
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
    return _resolved(load(Path(workflow), overrides), registry)


def _resolved(loaded: Loaded, registry: Registry) -> Opened:
    if not isinstance(loaded.workflow, Workflow):
        raise InputError(*loaded.problems)
    plan = resolve(loaded.workflow, registry, loaded.folder, loaded.places, loaded.problems)
    return Opened(plan, registry)

"""Rebuilding what a lock describes: the same source, recipe and data, and a word on everything that differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from olivelike.bundle.lock import Lock, differences, installed_versions, read_lock
from olivelike.contracts.outcome import Measured
from olivelike.contracts.report import Baseline, Chosen, Report, Status, Trial
from olivelike.digest import Json
from olivelike.engine.deliver import deliver
from olivelike.engine.desk import Desk
from olivelike.engine.events import Listener, RunStarted, ignore
from olivelike.engine.opened import Opened
from olivelike.engine.prepare import Prepared
from olivelike.engine.run import conditions
from olivelike.engine.session import Settings, desk_for
from olivelike.engine.step import Made, run_recipe
from olivelike.errors import InputError, fail
from olivelike.plan.model import DataPlan
from olivelike.plan.resolve import resolve
from olivelike.registry import installed
from olivelike.workflow.load import from_mapping
from olivelike.workflow.schema import Workflow


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild came to: the report, and what differs from the lock, one line each."""

    report: Report
    differences: tuple[str, ...]


def rebuild(
    lock_file: Path, folder: Path | None, output: str, settings: Settings, listener: Listener = ignore
) -> Rebuilt:
    """Makes a locked model again.

    Args:
        lock_file: a bundle's `olivelike.lock.json`.
        folder: where the workflow's relative paths start; by default where the lock says.
        output: where the bundle goes; empty writes none.
        settings: the machine's side.
        listener: told of everything that happens.

    Raises:
        InputError: OL118 (no lock), and everything that is wrong with what it names.
    """
    lock = read_lock(lock_file)
    opened = _opened(lock, lock_file, folder or lock_file.parent / lock.folder, output)
    with desk_for(opened, settings, listener) as (desk, prepared):
        desk.tell(RunStarted(desk.plan.name, 1))
        report, digest = _made(desk, prepared, lock)
        files = {name: spec.files for name, spec in prepared.data.items()}
        found = differences(lock, prepared.source.digest, files, digest, installed_versions())
        report = replace(report, cost=desk.ledger.cost(0.0, desk.executor.started))
        return Rebuilt(deliver(desk, report, prepared.source, prepared.revision, ship_closest=False), tuple(found))


def _opened(lock: Lock, lock_file: Path, folder: Path, output: str) -> Opened:
    workflow = from_mapping(dict(lock.workflow)).workflow
    if not isinstance(workflow, Workflow):
        raise fail(InputError, "OL118", "the workflow in the lock does not hold together", place=str(lock_file))
    registry = installed()
    plan = resolve(workflow, registry, folder)
    commit = str(lock.revision.get("commit", ""))
    model = replace(plan.model, revision=commit or plan.model.revision)
    path = str(Path(output).absolute()) if output else ""
    data = {name: _pinned(entry, lock.data_revisions.get(name)) for name, entry in plan.data.items()}
    return Opened(replace(plan, model=model, data=data, output=plan.output.model_copy(update={"path": path})), registry)


def _pinned(entry: DataPlan, revision: Json) -> DataPlan:
    """Returns a data entry at the commit that the lock names."""
    if not isinstance(revision, Mapping) or "revision" not in type(entry.config).model_fields:
        return entry
    return replace(entry, config=entry.config.model_copy(update={"revision": str(revision["commit"])}))


def _made(desk: Desk, prepared: Prepared, lock: Lock) -> tuple[Report, str]:
    result = run_recipe(desk, prepared.source, lock.recipe, 0)
    if not isinstance(result, Made):
        trials: Sequence[Trial] = (Trial(0, lock.recipe, result, verdict=result.reason),)
        return _report(desk, trials, Status.FAILED, result.reason, ()), ""
    artifact = result.artifact
    outcome = Measured(artifact.digest, {})
    same = artifact.digest == lock.output
    why = "rebuilt from the lock: the same bytes" if same else "rebuilt from the lock, but the model differs"
    chosen = Chosen(0, lock.recipe, {}, artifact.kind, artifact.digest, why)
    return _report(desk, (Trial(0, lock.recipe, outcome),), Status.BUILT, why, (chosen,)), artifact.digest


def _report(desk: Desk, trials: Sequence[Trial], status: Status, why: str, chosen: tuple[Chosen, ...]) -> Report:
    return Report(
        version=version("olivelike"),
        workflow=desk.plan.name,
        status=status,
        baseline=Baseline(desk.plan.baseline),
        chosen=chosen,
        trials=tuple(trials),
        cost=desk.ledger.cost(0.0, 0),
        why=why,
        conditions=conditions(desk),
    )

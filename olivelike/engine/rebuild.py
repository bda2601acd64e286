"""Rebuilding what a lock describes: the same source, recipe and data, and a word on everything that differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from olivelike.bundle.lock import Lock, differences, installed_versions, read_lock
from olivelike.contracts.data import RefersTo
from olivelike.contracts.outcome import Measured
from olivelike.contracts.report import Baseline, Chosen, Report, Search, Status, Trial
from olivelike.digest import Json
from olivelike.engine.check import check_inputs
from olivelike.engine.desk import Desk
from olivelike.engine.events import Listener, RunStarted, ignore
from olivelike.engine.opened import Opened
from olivelike.engine.prepare import Prepared
from olivelike.engine.run import conditions
from olivelike.engine.session import Settings, delivered, desk_for
from olivelike.engine.step import Made, run_recipe
from olivelike.errors import InputError, fail
from olivelike.plan.model import DataPlan
from olivelike.plan.resolve import resolve
from olivelike.registry import Registry, installed
from olivelike.workflow.load import from_mapping
from olivelike.workflow.schema import Workflow

MAKING = ("format", "name", "model", "target", "targets", "search", "run")
"""Sections of a workflow that say how a model is made; `data` are cut down to what the recipe reads."""
NOT_FOUND = frozenset({"OL201", "OL205", "OL209"})


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild came to: the report, and what differs from the lock, one line each."""

    report: Report
    differences: tuple[str, ...]


def rebuild(
    lock_file: Path, folder: Path | None, output: str, settings: Settings, listener: Listener = ignore
) -> Rebuilt:
    """Makes a locked model again.

    Only what the recipe reads is needed: the model, and the data that its passes name. Where other bytes come out, the
    status is `failed` and nothing is written but the report.

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
    registry = installed()
    lock = replace(lock, data={name: lock.data[name] for name in _needed(lock, registry) if name in lock.data})
    try:
        opened = _opened(lock, lock_file, folder or lock_file.parent / lock.folder, output, registry)
        check_inputs(opened.plan)
    except InputError as error:
        raise error if folder else _pointed(error, lock_file) from error
    with desk_for(opened, settings, listener) as (desk, prepared):
        desk.tell(RunStarted(desk.plan.name, 1))
        report, digest = _made(desk, prepared, lock)
        files = {name: spec.files for name, spec in prepared.data.items()}
        found = differences(lock, prepared.source.digest, files, digest, installed_versions())
        report = replace(report, cost=desk.ledger.cost(0.0, desk.executor.started))
        return Rebuilt(delivered(desk, report, prepared, settings), tuple(found))


def _needed(lock: Lock, registry: Registry) -> list[str]:
    """Returns the names of the data entries that the recipe's passes read."""
    names = []
    for step in lock.steps:
        for field, info in registry.pass_named(step.pass_name).config.model_fields.items():
            value = step.config.get(field)
            if any(isinstance(mark, RefersTo) for mark in info.metadata) and isinstance(value, str) and value:
                names.append(value)
    return names


def _opened(lock: Lock, lock_file: Path, folder: Path, output: str, registry: Registry) -> Opened:
    """Returns a plan that only makes the model: what the workflow measures and chooses is settled by the lock."""
    written = {key: lock.workflow[key] for key in MAKING if key in lock.workflow}
    data = lock.workflow.get("data")
    if isinstance(data, Mapping):
        written["data"] = {name: data[name] for name in lock.data if name in data}
    opened = opened_at(written, folder, lock_file, lock, registry)
    path = str(Path(output).absolute()) if output else ""
    deliverable = opened.plan.output.model_copy(update={"path": path})
    return Opened(replace(opened.plan, output=deliverable, document=lock.workflow, notes=()), registry)


def opened_at(document: Mapping[str, Json], folder: Path, lock_file: Path, lock: Lock, registry: Registry) -> Opened:
    """Opens a workflow that came out of a lock.

    Args:
        document: the workflow as JSON.
        folder: where its relative paths start.
        lock_file: the lock's place, for messages.
        lock: what source and data are pinned to.
        registry: the names that are known.

    Raises:
        InputError: OL118, it does not hold together; and everything else that is wrong with it.
    """
    workflow = from_mapping(dict(document)).workflow
    if not isinstance(workflow, Workflow):
        raise fail(InputError, "OL118", "the workflow in the lock does not hold together", place=str(lock_file))
    plan = resolve(workflow, registry, folder)
    model = replace(plan.model, revision=str(lock.revision.get("commit", "")) or plan.model.revision)
    data = {name: _pinned(entry, lock.data_revisions.get(name)) for name, entry in plan.data.items()}
    return Opened(replace(plan, model=model, data=data), registry)


def _pinned(entry: DataPlan, revision: Json) -> DataPlan:
    """Returns a data entry at the commit that the lock names."""
    if not isinstance(revision, Mapping) or "revision" not in type(entry.config).model_fields:
        return entry
    return replace(entry, config=entry.config.model_copy(update={"revision": str(revision["commit"])}))


def _pointed(error: InputError, lock_file: Path) -> InputError:
    """Returns the error with a hint at the workflow's file, where something that the lock names is not found."""
    hint = f"where the bundle was moved, name the workflow's file too: olivelike run WORKFLOW --locked {lock_file}"
    return InputError(*(replace(p, hint=hint) if p.code in NOT_FOUND else p for p in error.problems))


def _made(desk: Desk, prepared: Prepared, lock: Lock) -> tuple[Report, str]:
    result = run_recipe(desk, prepared.source, lock.recipe, 0)
    if not isinstance(result, Made):
        trials: Sequence[Trial] = (Trial(0, lock.recipe, result, verdict=result.reason),)
        return _report(desk, trials, Status.FAILED, result.reason, ()), ""
    artifact = result.artifact
    outcome = Measured(artifact.digest, {})
    same = artifact.digest == lock.output
    why = "rebuilt from the lock: the same bytes" if same else "rebuilt from the lock, but the model differs"
    chosen = Chosen(0, lock.recipe, {}, artifact.kind, artifact.digest, why, notes=artifact.manifest.notes)
    status = Status.BUILT if same else Status.FAILED
    return _report(desk, (Trial(0, lock.recipe, outcome),), status, why, (chosen,)), artifact.digest


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
        search=Search(tried=1, of=1),
        conditions=conditions(desk),
    )

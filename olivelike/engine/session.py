"""A run from an opened workflow to a delivered report: the store, the inputs and the executor around `run`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from olivelike.bundle.place import recover
from olivelike.contracts.artifact import Artifact
from olivelike.contracts.report import Report, Status
from olivelike.contracts.target import Target
from olivelike.engine.deliver import deliver
from olivelike.engine.desk import Desk
from olivelike.engine.events import Listener, ignore
from olivelike.engine.opened import Opened
from olivelike.engine.prepare import Prepared, prepare
from olivelike.engine.run import run
from olivelike.engine.samples import sample_notes
from olivelike.engine.telling import varying_in
from olivelike.engine.trials import broken
from olivelike.errors import InputError, StoreError
from olivelike.evaluate.machine.fingerprint import machine_fingerprint, runtime_fingerprint
from olivelike.store import open_store
from olivelike.store.location import default_root
from olivelike.store.port import Store

WORKER = "olivelike.engine.worker"


@dataclass(frozen=True, slots=True)
class Settings:
    """The machine's side of a run, from flags; none of it changes the answer.

    Attributes:
        cache_dir: the store's folder; empty leaves it to the workflow, the environment and the defaults.
        ship_closest: write the closest candidate of an infeasible run all the same.
    """

    cache_dir: str = ""
    ship_closest: bool = False


def opened_store(root: Path) -> Store:
    """Opens a store that the user named.

    Raises:
        InputError: OL401, the folder cannot be used; nothing ran.
    """
    try:
        return open_store(root)
    except StoreError as error:
        raise InputError(*error.problems) from error


@contextmanager
def desk_for(opened: Opened, settings: Settings, listener: Listener = ignore) -> Iterator[tuple[Desk, Prepared]]:
    """Opens the store, prepares the inputs and gives the desk of a run; closes store and workers at the end.

    Raises:
        InputError: what is wrong with the model, the data, the scripts or the output path.
    """
    plan = opened.plan
    if plan.output.path:
        recover(plan.folder / plan.output.path)
    written = str(plan.folder / plan.run.cache) if plan.run.cache else ""
    store = opened_store(default_root(settings.cache_dir or written, os.environ, Path.cwd()))
    executor = opened.registry.executor_named(plan.run.executor)(WORKER, plan.run.workers)
    try:
        with store.lease():
            prepared = prepare(plan, store)
            desk = Desk(
                plan=plan,
                registry=opened.registry,
                store=store,
                executor=executor,
                data=prepared.data,
                runtime=runtime_fingerprint(),
                machine=machine_fingerprint(),
                listener=listener,
                origins=prepared.origins,
                told=varying_in(plan.space),
                notes=(*sample_notes(plan), *prepared.notes),
            )
            yield desk, prepared
    finally:
        executor.close()
        store.close()


def delivered(desk: Desk, report: Report, prepared: Prepared, settings: Settings) -> Report:
    """Delivers what a report chose; where that breaks, the report says so, and is written beside the output path."""
    try:
        return deliver(desk, report, prepared.source, prepared.revision, ship_closest=settings.ship_closest)
    except Exception as error:  # the boundary of a run: what was found out is not lost
        desk.log.debug("the model could not be written", exc_info=True)
        chosen = tuple(replace(choice, path="") for choice in report.chosen)
        report = replace(report, status=Status.FAILED, why=f"not written: {broken(error).reason}", chosen=chosen)
    with suppress(OSError):
        deliver(desk, report, prepared.source, prepared.revision, ship_closest=False)
    return report


def run_workflow(
    opened: Opened, settings: Settings, listener: Listener = ignore
) -> tuple[Report, Artifact | None, Target]:
    """Runs a workflow, delivers what it chose, and returns the report with the chosen artifact, if any.

    Raises:
        InputError: what is wrong with the workflow or what it names; nothing ran.
    """
    with desk_for(opened, settings, listener) as (desk, prepared):
        report = delivered(desk, run(desk, prepared.source), prepared, settings)
        best = desk.store.open(report.chosen[0].digest) if report.chosen else None
        return report, best, opened.plan.target

"""A run from an opened workflow to a delivered report: the store, the inputs and the executor around `run`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from olivelike.bundle.layout import require_ours
from olivelike.contracts.artifact import Artifact
from olivelike.contracts.report import Report
from olivelike.contracts.target import Target
from olivelike.engine.deliver import deliver
from olivelike.engine.desk import Desk
from olivelike.engine.events import Listener, ignore
from olivelike.engine.opened import Opened
from olivelike.engine.prepare import Prepared, prepare
from olivelike.engine.run import run
from olivelike.engine.telling import varying_in
from olivelike.evaluate.machine.fingerprint import machine_fingerprint, runtime_fingerprint
from olivelike.store import open_store
from olivelike.store.location import default_root

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


@contextmanager
def desk_for(opened: Opened, settings: Settings, listener: Listener = ignore) -> Iterator[tuple[Desk, Prepared]]:
    """Opens the store, prepares the inputs and gives the desk of a run; closes store and workers at the end.

    Raises:
        InputError: what is wrong with the model, the data, the scripts or the output path.
    """
    plan = opened.plan
    if plan.output.path:
        require_ours(plan.folder / plan.output.path)
    written = str(plan.folder / plan.run.cache) if plan.run.cache else ""
    store = open_store(default_root(settings.cache_dir or written, os.environ, Path.cwd()))
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
                told=varying_in(plan.space),
            )
            yield desk, prepared
    finally:
        executor.close()
        store.close()


def run_workflow(
    opened: Opened, settings: Settings, listener: Listener = ignore
) -> tuple[Report, Artifact | None, Target]:
    """Runs a workflow, delivers what it chose, and returns the report with the chosen artifact, if any.

    Raises:
        InputError: what is wrong with the workflow or what it names; nothing ran.
    """
    with desk_for(opened, settings, listener) as (desk, prepared):
        report = run(desk, prepared.source)
        report = deliver(desk, report, prepared.source, prepared.revision, ship_closest=settings.ship_closest)
        best = desk.store.open(report.chosen[0].digest) if report.chosen else None
        return report, best, opened.plan.target

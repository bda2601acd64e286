"""The desk of a run: the plan, the store, the executor and what was prepared, in one place for the steps and measurements."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from time import monotonic

from olivelike.contracts.artifact import Manifest
from olivelike.contracts.data import DataSpec
from olivelike.contracts.passes import AnyPass
from olivelike.contracts.ports import Executor
from olivelike.contracts.recipe import Varying
from olivelike.contracts.space import Limits
from olivelike.digest import JsonObject
from olivelike.engine.events import Event, Listener, ignore
from olivelike.engine.ledger import Flights, Ledger, Turns
from olivelike.engine.origins import Origins
from olivelike.plan.model import Plan
from olivelike.registry import Registry
from olivelike.sources.closure import script_files
from olivelike.store.port import Store

NO_LIMITS = Limits()
GRACE = 10.0
"""Seconds that a task may run on after the search's time is up."""


@dataclass(frozen=True)
class Desk:
    """What every step and measurement of a run works with.

    Attributes:
        plan: what is to be done.
        registry: for auxiliary passes, which the plan does not name.
        store: where artifacts and records are.
        executor: how tasks reach workers.
        data: the plan's data entries, their files in the store.
        runtime: the runtime's fingerprint (build and CPU features).
        machine: this machine's fingerprint.
        listener: told of everything that happens.
        deadline: the monotonic time at which the search's time is up.
        origins: where the files of data and scripts were taken from.
        notes: what the user should know of the inputs before anything runs.
        told: what tells the plan's recipes apart.
    """

    plan: Plan
    registry: Registry
    store: Store
    executor: Executor
    data: Mapping[str, DataSpec]
    runtime: JsonObject
    machine: JsonObject
    listener: Listener = ignore
    deadline: float = inf
    notes: tuple[str, ...] = ()
    told: Varying = frozenset()
    ledger: Ledger = field(default_factory=Ledger)
    turns: Turns = field(default_factory=Turns)
    origins: Origins = field(default_factory=Origins)
    flights: Flights = field(default_factory=Flights)
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("olivelike.engine"))

    def pass_named(self, name: str) -> type[AnyPass]:
        """Returns a pass's class."""
        return self.plan.passes.get(name) or self.registry.pass_named(name)

    def tell(self, event: Event) -> None:
        """Tells the listener what happens."""
        self.listener(event)

    def script(self, name: str) -> str:
        """Takes a user's script, as written in a configuration, into the store and returns its artifact's digest.

        Raises:
            InputError: OL209, it is missing or no Python.
        """
        path = self.plan.folder / name
        artifact = self.store.ingest(script_files(path), Manifest("script"))
        self.origins.note(artifact.folder, path.parent)
        return artifact.digest

    def limits(self, own: Limits = NO_LIMITS) -> Limits:
        """Returns what a task may take: its step's own limits, the workflow's where the step names none.

        No task runs on for long after the search's time is up, so that a hang cannot outlast it.
        """
        default = self.plan.run.limits
        seconds = own.seconds if isfinite(own.seconds) else default.seconds
        memory = own.bytes if isfinite(own.bytes) else default.bytes
        left = max(self.deadline - monotonic(), 0.0) + GRACE
        return Limits(min(seconds, left), memory)

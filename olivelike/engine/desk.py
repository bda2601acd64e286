"""The desk of a run: the plan, the store, the executor and what was prepared, in one place for the steps and measurements."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from olivelike.contracts.data import DataSpec
from olivelike.contracts.passes import AnyPass
from olivelike.contracts.ports import Executor
from olivelike.contracts.space import Limits
from olivelike.digest import JsonObject
from olivelike.engine.events import Event, Listener, ignore
from olivelike.engine.ledger import Ledger, Turns
from olivelike.plan.model import Plan
from olivelike.registry import Registry
from olivelike.store.port import Store


@dataclass(frozen=True)
class Desk:
    """What every step and measurement of a run works with.

    Attributes:
        plan: what is to be done.
        registry: for auxiliary passes, which the plan does not name.
        store: where artifacts and records are.
        executor: how tasks reach workers.
        data: the plan's data entries, their files in the store.
        scripts: user's scripts as written in metric configs to the digest of the artifact that holds them.
        runtime: the runtime's fingerprint (build and CPU features).
        machine: this machine's fingerprint.
        listener: told of everything that happens.
    """

    plan: Plan
    registry: Registry
    store: Store
    executor: Executor
    data: Mapping[str, DataSpec]
    scripts: Mapping[str, str]
    runtime: JsonObject
    machine: JsonObject
    listener: Listener = ignore
    ledger: Ledger = field(default_factory=Ledger)
    turns: Turns = field(default_factory=Turns)
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("olivelike.engine"))

    def pass_named(self, name: str) -> type[AnyPass]:
        """Returns a pass's class."""
        return self.plan.passes.get(name) or self.registry.pass_named(name)

    def tell(self, event: Event) -> None:
        """Tells the listener what happens."""
        self.listener(event)

    @property
    def default_limits(self) -> Limits:
        """The limits of a task that names none."""
        return self.plan.run.limits

    def limits(self, own: Limits) -> Limits:
        """Returns a step's limits, each default where the step names none."""
        default = self.default_limits
        return Limits(min(own.seconds, default.seconds), min(own.bytes, default.bytes))

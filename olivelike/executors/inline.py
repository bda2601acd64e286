"""The executor `inline`: tasks run in this very process, one after the other for each calling thread."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from typing import cast

from olivelike.contracts.ports import Answer, Executor, Reply
from olivelike.contracts.space import Limits
from olivelike.digest import JsonObject
from olivelike.executors.failure import failed_by


class Inline(Executor):
    """Calls the worker's entry directly: for debugging, and where no process may be started.

    No limit is kept, and a crash of native code takes this process along.
    """

    def __init__(self, entry: str, workers: int) -> None:
        self._entry = entry

    def run(self, task: JsonObject, limits: Limits) -> Reply:
        """Runs one task; an exception (`sys.exit` included) is a `Failed`. Limits are ignored."""
        try:
            answer = cast("Callable[[JsonObject], JsonObject]", import_module(self._entry).answer)
            return Answer(json.loads(json.dumps(answer(json.loads(json.dumps(task))))))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the executor's boundary
            return failed_by(error)

    @property
    def started(self) -> int:
        """No worker is ever started."""
        return 0

    def close(self) -> None:
        """Does nothing: there is no worker to end."""

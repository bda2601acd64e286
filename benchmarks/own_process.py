"""One piece of work in a process of its own, with its seconds and its peak of anonymous memory.

Asks for nothing beside the standard library, so that programs in foreign environments can use it too.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import TypeAlias

Taken: TypeAlias = "dict[str, float]"
"""What a piece of work took: `seconds`, and `memory` in bytes."""
TOLD = "took: "


class AnonymousMemory(threading.Thread):
    """Watches how much memory the process holds beside mapped files (Linux)."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.first = self.peak = self._now()

    def run(self) -> None:
        """Looks every two milliseconds."""
        while True:
            self.peak = max(self.peak, self._now())
            sleep(0.002)

    @staticmethod
    def _now() -> int:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("RssAnon"):
                return int(line.split()[1]) * 1024
        return 0


def watched(work: Callable[[], object]) -> None:
    """Does the work and prints a line with what it took; called in the process of its own."""
    memory = AnonymousMemory()
    memory.start()
    begin = perf_counter()
    work()
    seconds = perf_counter() - begin
    print(f"\n{TOLD}{json.dumps({'seconds': seconds, 'memory': memory.peak - memory.first})}", flush=True)


def in_own_process(
    command: Sequence[str], made: Path, limit: float, environment: Mapping[str, str] | None = None
) -> Taken | str:
    """Runs a command that calls `watched`; returns what it took, or why there is nothing.

    Args:
        command: the program and its arguments.
        made: the file that it has to write.
        limit: seconds after which it is ended.
        environment: of the process; without it the same as here.
    """
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=limit, check=False, env=environment and dict(environment)
        )
    except subprocess.TimeoutExpired:
        return f"longer than {limit:g} s"
    if done.returncode or not made.exists():
        lines = (done.stderr or "no output").strip().splitlines()
        return f"failed: {lines[-1][:120] if lines else done.returncode}"
    told = [
        line for line in done.stdout.splitlines() if line.startswith(TOLD)
    ]  # tools print before it, and some as they end
    if not told:
        return "failed: it ended without saying what it took"
    found: Taken = json.loads(told[-1].removeprefix(TOLD))
    return found


def middle(results: Sequence[Taken | str], key: str) -> float:
    """Returns the median over the repetitions that gave something, 0 where none did."""
    found = [each[key] for each in results if not isinstance(each, str)]
    return median(found) if found else 0.0

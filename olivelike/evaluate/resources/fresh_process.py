"""Fresh processes: a model loaded and run in a process that never held another, and what that took."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.target import Target
from olivelike.digest import JsonObject
from olivelike.errors import InputError, MeasureError, OlivelikeError, Problem, fail
from olivelike.evaluate.resources.resident import memory_of

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

PROGRAM = "olivelike.evaluate.resources.fresh_main"
LOOK_SECONDS = 0.001
MOST_LOG = 300


@dataclass(frozen=True, slots=True)
class Life:
    """What one fresh process took.

    Attributes:
        load_seconds: to create the session.
        run_seconds: of each run, in order.
        before: memory in bytes before the model was loaded, as `resident.memory_of` names it.
        after_load: the same once the session was there.
        after_runs: the same at the end; its `peak` is the most since `before` where the system can forget what was earlier.
        most_anonymous: the most anonymous memory that was seen from outside, 0 where the system does not tell.
    """

    load_seconds: float
    run_seconds: tuple[float, ...]
    before: Mapping[str, int]
    after_load: Mapping[str, int]
    after_runs: Mapping[str, int]
    most_anonymous: int = 0


class Living(Protocol):
    """Lives a model's life in a fresh process: loads it, runs it so many times on the feeds."""

    def __call__(self, artifact: Artifact, feeds: Mapping[str, Array], runs: int) -> Life:
        """Returns what it took."""


@dataclass(frozen=True, slots=True)
class FreshProcesses:
    """Starts one Python process for each life; implements `Living`.

    Attributes:
        target: where models run.
        scratch: an empty folder.
        watched: look at the process's memory once a millisecond, which times must not suffer from.
    """

    target: Target
    scratch: Path
    watched: bool = False

    def __call__(self, artifact: Artifact, feeds: Mapping[str, Array], runs: int) -> Life:
        """Starts a process, waits for its end and returns what it took.

        Raises:
            InputError: what the process found wrong with the user's input (OL105, OL107, OL210).
            MeasureError: OL504, the model cannot be loaded or run; OL501, the process died.
        """
        order, answer, log = (self.scratch / name for name in ("order.json", "answer.json", "log.txt"))
        answer.unlink(missing_ok=True)
        order.write_text(json.dumps(self._order(artifact, feeds, runs)), encoding="utf-8")
        # -P: a file in the current folder must not take the place of a module.
        command = [sys.executable, "-P", "-m", PROGRAM, str(order), str(answer)]
        with (
            log.open("wb") as stream,
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream) as process,
        ):
            try:
                most = _most_anonymous(process) if self.watched else 0
                code = process.wait()
            except BaseException:
                process.kill()
                raise
        if code or not answer.is_file():
            raise _died(artifact, code, log)
        return _life(json.loads(answer.read_bytes()), most)

    def _order(self, artifact: Artifact, feeds: Mapping[str, Array], runs: int) -> JsonObject:
        return {
            "folder": str(artifact.folder),
            "manifest": artifact.manifest.to_json(),
            "digest": artifact.digest,
            "target": self.target.to_json(),
            "feeds": self._saved(list(feeds.values())),
            "names": list(feeds),
            "runs": runs,
        }

    def _saved(self, arrays: Sequence[Array]) -> str:
        import numpy as np

        path = self.scratch / "feeds.npz"
        # By place, not by name: an input may be called like an argument of `savez`. Texts become such of a fixed width.
        np.savez(path, *(array.astype(str) if array.dtype == object else array for array in arrays))
        return str(path)


def _most_anonymous(process: subprocess.Popen[bytes]) -> int:
    """Returns the most anonymous memory seen until a process ends; what comes and goes between two looks is not seen."""
    most = 0
    while True:
        with suppress(ProcessLookupError):
            most = max(most, memory_of(process.pid).get("anonymous", 0))
        try:
            process.wait(LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        return most


def _life(answer: JsonObject, most_anonymous: int) -> Life:
    if "problems" in answer:
        kind: type[OlivelikeError] = InputError if answer["input"] else MeasureError
        raise kind(*(Problem(**each) for each in cast("list[dict[str, str]]", answer["problems"])))
    return Life(
        cast("float", answer["load_seconds"]),
        tuple(cast("Sequence[float]", answer["run_seconds"])),
        cast("dict[str, int]", answer["before"]),
        cast("dict[str, int]", answer["after_load"]),
        cast("dict[str, int]", answer["after_runs"]),
        most_anonymous,
    )


def _died(artifact: Artifact, code: int, log: Path) -> OlivelikeError:
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    reason = f": {lines[-1][:MOST_LOG]}" if lines else ""
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    hint = "the machine may have been out of memory" if code == -9 else ""
    claim = f"the process that loaded and ran {artifact.model.name} died ({how}){reason}"
    return fail(MeasureError, "OL501", claim, hint=hint)

"""The program of a fresh process: loads one model, runs it, and writes down what that took in seconds and memory.

Called as `python -m olivelike.evaluate.resources.fresh_main ORDER ANSWER`: two JSON files, the second to be written.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, cast

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.target import Target
from olivelike.digest import JsonObject
from olivelike.errors import InputError, OlivelikeError
from olivelike.evaluate.resources.resident import forget_own_peak, memory_of
from olivelike.evaluate.sessions.session import open_session

if TYPE_CHECKING:
    from olivelike.contracts.data import Array


def measured(order: JsonObject) -> JsonObject:
    """Does what an order says: the artifact's `folder`, `manifest` and `digest`; `target`; `feeds` (a file), their `names`; `runs`.

    Everything that any model needs (Python, numpy, the runtime's library, the feeds) is there before the first look at the
    memory, so that the differences are the model's own.
    """
    import onnxruntime  # noqa: F401  # not part of what loading the model takes

    manifest = Manifest.from_json(cast("JsonObject", order["manifest"]))
    artifact = Artifact(Path(str(order["folder"])), manifest, str(order["digest"]))
    target = Target.from_json(cast("JsonObject", order["target"]))
    feeds = _feeds(str(order["feeds"]), cast("list[str]", order["names"]))
    forget_own_peak()
    before = memory_of(os.getpid())
    begin = perf_counter()
    session = open_session(artifact, target)
    load_seconds = perf_counter() - begin
    after_load = memory_of(os.getpid())
    runs = [session.time(feeds) for _ in range(cast("int", order["runs"]))]
    return {
        "load_seconds": load_seconds,
        "run_seconds": list(runs),
        "before": dict(before),
        "after_load": dict(after_load),
        "after_runs": dict(memory_of(os.getpid())),
    }


def _feeds(file: str, names: list[str]) -> dict[str, Array]:
    import numpy as np

    with np.load(file, allow_pickle=False) as archive:
        return {name: _runnable(archive[f"arr_{place}"]) for place, name in enumerate(names)}


def _runnable(array: Array) -> Array:
    """Returns texts as the objects that the runtime takes; they were saved as fixed-width texts, which need no pickle."""
    return array.astype(object) if array.dtype.kind == "U" else array


def main(order: Path, answer: Path) -> None:
    """Reads the order and writes the answer: what was measured, or the problems and whether they are the user's input."""
    try:
        found = measured(json.loads(order.read_bytes()))
    except OlivelikeError as error:
        found = {"problems": [asdict(each) for each in error.problems], "input": isinstance(error, InputError)}
    answer.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

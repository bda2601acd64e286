"""The runtime's own profile of a session, read: what each node took in each run."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from olivelike.digest import JsonObject
from olivelike.errors import MeasureError, fail

KERNEL = "_kernel_time"
RUN = "model_run"
MICROSECONDS = 1e-3
"""In milliseconds: the runtime writes whole microseconds."""


@dataclass(frozen=True, slots=True, order=True)
class Kernel:
    """A node of the optimized graph: its name, operator, and the provider that it ran on."""

    name: str
    op_type: str
    provider: str


@dataclass(frozen=True, slots=True)
class ProfiledRun:
    """One run: its milliseconds in all, and in each kernel without those that ran inside it (the body of an `If`)."""

    ms: float
    kernels: Mapping[Kernel, float]

    @property
    def kernel_ms(self) -> float:
        """The milliseconds of all kernels together."""
        return sum(self.kernels.values())


@dataclass(frozen=True, slots=True)
class _Event:
    name: str
    begin: int
    duration: int
    thread: int
    arguments: Mapping[str, object]

    @property
    def end(self) -> int:
        return self.begin + self.duration


def read_profile(path: Path, runs: int) -> tuple[ProfiledRun, ...]:
    """Returns the last runs of a profile, oldest first.

    Args:
        path: the JSON file that `InferenceSession.end_profiling` names (events of the Chrome trace format).
        runs: how many; those before them were warming up.

    Raises:
        MeasureError: OL504, the profile holds fewer runs: the runtime stops writing after a million events.
    """
    events = cast("list[JsonObject]", json.loads(path.read_bytes()))
    found = sorted(_events(events, "Session", RUN), key=lambda event: event.begin)
    nodes = sorted(_events(events, "Node", KERNEL), key=lambda event: (event.begin, -event.duration))
    if len(found) < runs:
        claim = f"the runtime's profile holds {len(found)} of {runs} runs"
        raise fail(MeasureError, "OL504", claim, hint="lower `runs`: it keeps a million events at most")
    split = _by_run(nodes, found[-runs:])
    return tuple(
        ProfiledRun(run.duration * MICROSECONDS, _alone(inside))
        for run, inside in zip(found[-runs:], split, strict=True)
    )


def _events(events: Iterable[JsonObject], category: str, ending: str) -> Iterable[_Event]:
    for event in events:
        name = str(event["name"])
        if event.get("cat") == category and name.endswith(ending):
            begin, duration, thread = (cast("int", event[key]) for key in ("ts", "dur", "tid"))
            yield _Event(name, begin, duration, thread, cast("dict[str, object]", event.get("args", {})))


def _by_run(nodes: Sequence[_Event], runs: Sequence[_Event]) -> list[list[_Event]]:
    split: list[list[_Event]] = [[] for _ in runs]
    place = 0
    for node in nodes:
        while place < len(runs) and node.begin > runs[place].end:
            place += 1
        if place < len(runs) and node.begin >= runs[place].begin:
            split[place].append(node)
    return split


def _alone(events: Sequence[_Event]) -> dict[Kernel, float]:
    """Adds up each kernel's time without what ran inside it on the same thread; events come in order of their beginning."""
    taken: defaultdict[Kernel, float] = defaultdict(float)
    around: defaultdict[int, list[_Event]] = defaultdict(list)
    for event in events:
        open_here = around[event.thread]
        while open_here and event.end > open_here[-1].end:
            open_here.pop()
        if open_here:
            taken[_kernel(open_here[-1])] -= event.duration * MICROSECONDS
        taken[_kernel(event)] += event.duration * MICROSECONDS
        open_here.append(event)
    return dict(taken)


def _kernel(event: _Event) -> Kernel:
    op_type, provider = (str(event.arguments.get(key, "")) for key in ("op_name", "provider"))
    name = event.name.removesuffix(KERNEL) or f"{op_type} {event.arguments.get('node_index', '')}".strip()
    return Kernel(name, op_type, provider)

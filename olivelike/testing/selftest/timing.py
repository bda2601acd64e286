"""Timing with a planted truth on this very machine: a model against itself, and against one made three percent slower."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import Session, TensorInfo
from olivelike.contracts.outcome import Measurement, Paired
from olivelike.engine.bench import Verdict, verdict_of
from olivelike.evaluate.machine.quiet import quiet_machine
from olivelike.evaluate.timing.latency import Latency, LatencyConfig
from olivelike.testing.measure_context import MemoryContext, artifact_at
from olivelike.testing.models import matmul_chain, save
from olivelike.testing.selftest.rates import Rate, most_errors

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

SLOWER = 0.03
SECONDS = 6.0
TRIES, MOST_DIFFERENT = 200, 16
"""5 % of 200, and its sampling error."""
FOUND = 0.95
LOAD = """
import numpy as np
a = np.random.default_rng(0).normal(size=(400, 400))
while True:
    a = np.tanh(a @ a)
"""


def timing_rates(tries: int, slow_tries: int, seed: int) -> Iterator[Rate]:
    """Yields how often a model is called different from itself, and how often one made 3 % slower is called slower.

    Args:
        tries: comparisons of the model with itself.
        slow_tries: comparisons with the slowed one, while a second process loads every core of the machine.
        seed: of the order of runs.
    """
    with TemporaryDirectory(prefix="olivelike-") as room, quiet_machine():
        base, twin = twins(Path(room))
        plain = MemoryContext(Path(room))
        found = [_verdict(twin, base, replace(plain, seed=seed + number)) for number in range(tries)]
        different = sum(verdict in {Verdict.FASTER, Verdict.SLOWER} for verdict in found)
        most = most_errors(tries, TRIES, MOST_DIFFERENT)
        yield Rate("a model was called different from itself", different, tries, most=most)
        with _load():
            slowed = [
                _verdict(twin, base, SlowedContext(Path(room), seed=seed + number, slowed=twin.digest))
                for number in range(slow_tries)
            ]
        name = f"a model made {SLOWER:.0%} slower was called slower, under load"
        yield Rate(
            name, sum(verdict is Verdict.SLOWER for verdict in slowed), slow_tries, least=round(FOUND * slow_tries)
        )


def twins(room: Path) -> tuple[Artifact, Artifact]:
    """Writes a model of a tenth of a millisecond, and the same again under another digest."""
    folders = [room / name for name in ("base", "twin")]
    for folder in folders:
        folder.mkdir()
        save(matmul_chain(layers=4, width=256), folder)
    base, twin = (artifact_at(folder) for folder in folders)
    return base, replace(twin, digest="twin")


def _verdict(candidate: Artifact, reference: Artifact, context: MemoryContext) -> Verdict:
    config = LatencyConfig(batch=16, values=("p50",), seconds=SECONDS, longest=SECONDS)
    found = Latency().measure(candidate, reference, config, context)["p50"]
    assert isinstance(found, Measurement)
    assert isinstance(found.versus, Paired)
    return verdict_of(found.versus.interval)


@dataclass(frozen=True)
class SlowedContext(MemoryContext):
    """Makes the model of one digest really take 3 % longer."""

    slowed: str = ""

    def open(self, artifact: Artifact) -> Session:
        """Loads a model on the target."""
        session = MemoryContext.open(self, artifact)
        return SlowedSession(session) if artifact.digest == self.slowed else session


@dataclass(frozen=True)
class SlowedSession:
    """Waits, busily, for a share of the time that each run took."""

    session: Session
    share: float = SLOWER

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """The model's inputs."""
        return self.session.inputs

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """The model's outputs."""
        return self.session.outputs

    def run(self, feeds: Mapping[str, Array], outputs: Sequence[str] = ()) -> dict[str, Array]:
        """Runs the model."""
        return self.session.run(feeds, outputs)

    def time(self, feeds: Mapping[str, Array]) -> float:
        """Runs the model once and waits."""
        taken = self.session.time(feeds)
        begin = perf_counter()
        while perf_counter() - begin < self.share * taken:
            pass
        return taken + perf_counter() - begin


@contextmanager
def _load() -> Iterator[None]:
    """Keeps every core busy in a second process."""
    process = subprocess.Popen([sys.executable, "-c", LOAD])
    try:
        yield
    finally:
        process.kill()
        process.wait()

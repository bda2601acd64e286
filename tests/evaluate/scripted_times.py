"""A measure context whose models take the seconds they are told, for exact tests of timed metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.data import Dataset
from olivelike.contracts.metric import Prospect, Session, TensorInfo
from olivelike.contracts.outcome import Measurement
from olivelike.contracts.target import Target
from olivelike.testing.measure_context import RandomDataset

if TYPE_CHECKING:
    from olivelike.contracts.data import Array


@dataclass
class ScriptedSession:
    """Takes the seconds it is told, one after the other."""

    seconds: Iterator[float]
    inputs: tuple[TensorInfo, ...] = (TensorInfo("image", "float32", ("n", 3)),)
    outputs: tuple[TensorInfo, ...] = ()

    def run(self, feeds: Mapping[str, Array], outputs: Sequence[str] = ()) -> dict[str, Array]:
        raise AssertionError("latency times runs and nothing else")

    def time(self, feeds: Mapping[str, Array]) -> float:
        return next(self.seconds)


@dataclass
class ScriptedContext:
    """Times are scripted by the artifact's digest."""

    seconds: Mapping[str, Iterator[float]]
    scratch: Path = Path()
    target: Target = field(default_factory=Target)
    seed: int = 0
    manifests: list[Manifest] = field(default_factory=list)
    held_against: Callable[[Mapping[str, Measurement]], Prospect] = lambda values: Prospect.CLEAR
    seconds_left: float = float("inf")
    level: float = 0.95
    hurries: list[bool] = field(default_factory=list)
    has_data: bool = False

    def hurried(self) -> None:
        self.hurries.append(True)

    def prospect(self, values: Mapping[str, Measurement]) -> Prospect:
        return self.held_against(values)

    def open(self, artifact: Artifact) -> Session:
        self.manifests.append(artifact.manifest)
        return ScriptedSession(self.seconds[artifact.digest])

    def data(self, session: Session) -> Dataset:
        return RandomDataset(session.inputs, 0)

    def call(self, script: object) -> Callable[..., object]:
        raise AssertionError(script)

    def progress(self, done: float, text: str = "") -> None:
        del done, text


def named(digest: str, **session: bool | str) -> Artifact:
    return Artifact(Path(), Manifest("onnx", session=session), digest)

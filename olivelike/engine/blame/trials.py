"""Trials of hybrids: each is written, loaded and measured once, and counted."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.target import Target
from olivelike.engine.blame.drop import AccuracyDrop, NoiseDrop
from olivelike.engine.blame.hybrid import hybrid
from olivelike.engine.blame.pairing import Pairing, Unit
from olivelike.evaluate.sessions.session import RuntimeSession, open_session
from olivelike.onnxfile.write import write_model

if TYPE_CHECKING:
    from onnx import ModelProto

LOG = logging.getLogger("olivelike.blame")


@dataclass
class Trials:
    """Measures what restoring units does, and remembers.

    Attributes:
        pairing: the two models.
        compare: what measures a drop.
        beside: artifacts whose custom operators the models need.
        evaluations: how many models were run over the data, BASE not among them.
    """

    pairing: Pairing
    compare: AccuracyDrop | NoiseDrop
    beside: Sequence[Artifact] = ()
    evaluations: int = 0
    _known: dict[frozenset[Unit], float] = field(default_factory=dict)

    def drop(self, restored: Iterable[Unit]) -> float:
        """Returns the drop that is left with some units back in float."""
        chosen = frozenset(restored)
        if chosen not in self._known:
            self._known[chosen] = self._measured(hybrid(self.pairing, chosen), chosen)
        return self._known[chosen]

    def know(self, restored: Collection[Unit], drop: float) -> None:
        """Notes a drop that was measured elsewhere."""
        self.evaluations += 1
        self._known[frozenset(restored)] = drop

    def _measured(self, model: ModelProto, chosen: Collection[Unit]) -> float:
        self.evaluations += 1
        with TemporaryDirectory(prefix="olivelike-") as room:
            found = self.compare.of(load(write_model(model, Path(room)), self.beside))
        LOG.info("evaluation %d: %d units in float, drop %.6g", self.evaluations, len(chosen), found)
        return found


def load(path: Path, beside: Sequence[Artifact] = ()) -> RuntimeSession:
    """Loads a model file on the CPU, with the custom operators of some artifacts."""
    return open_session(Artifact(path.parent, Manifest("onnx", {"model": path.name}), ""), Target(), beside=beside)


def size_of(model: ModelProto) -> int:
    """Returns the bytes that a model takes as a file, external data included."""
    with TemporaryDirectory(prefix="olivelike-") as room:
        write_model(model, Path(room))
        return sum(file.stat().st_size for file in Path(room).iterdir())

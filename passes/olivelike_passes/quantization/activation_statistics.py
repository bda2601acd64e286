"""The pass `activation_statistics`: what flows into the matrices of a model, channel by channel, learned from data once."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pydantic import Field

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.data import DataName
from olivelike.contracts.passes import Pass, PassConfig, PassContext, Reads
from olivelike.contracts.target import Target
from olivelike.digest import Json, canonical_json
from olivelike.onnxfile.read import read_structure
from olivelike.onnxfile.walk import graphs
from olivelike_passes.matrices import matrices
from olivelike_passes.quantization.moments import Moments, add_products
from olivelike_passes.quantization.observing import AT_ONCE, Plan, Sampling, Watched
from olivelike_passes.slices import at_once
from olivelike_passes.weights import free_weights, lift_constants, replaceable_weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto

    Floats = NDArray[np.float32]
    Values = NDArray[np.generic]

STATISTICS = "statistics.json"
CHANNELS = "channels.npy"
KINDS = ("mean_magnitude", "peak", "mean", "mean_square", "low", "high")
GRAMS_AT_ONCE = 400_000_000
"""Bytes of sums of products that are held at a time; more take several runs over the data."""
NOTHING = "the model multiplies nothing by a constant matrix that data flow into, so that there is nothing to look at"


class StatisticsConfig(PassConfig):
    """How `activation_statistics` looks at the data."""

    data: DataName
    """The data entry to run the model on."""
    samples: int = Field(0, ge=0)
    """How many samples to use, the first ones of the entry; 0 uses all."""
    batch: int = Field(0, ge=0)
    """Samples per run; 0 takes what the model fixes, or 8, or fewer where their values would take too much memory."""
    gram: bool = False
    """Also sum up the products of every pair of channels, from which a layer's output error follows exactly."""


class ActivationStatistics(Pass[StatisticsConfig]):
    """Finds mean, mean magnitude, mean square and extremes of every channel that flows into a matrix or a convolution.

    What it does:
        Runs the model on data and looks at the inputs of `MatMul` and `Gemm` with constant matrices (per channel of the last
        axis), and of `Conv` (per input channel). With `gram` it also writes `X^T X / rows` of each matrix's input X.

    When to use it:
        Never by hand: passes that weigh errors by what the data are like ask for it (`sensitivity`, GPTQ, AWQ), and all that
        ask on the same model share one run.

    Limits:
        Runs on the CPU, unoptimized. Values made inside branches, loops and functions are not seen. Numbers that are not
        finite count as zero. Grams beyond 0.4 GB, in float64, are summed up in several runs over the data.

    Example:
        ```yaml
        passes:
          - mixed_precision: {bits: 5.5, data: calibration}   # looks at the data first
        ```
    """

    name = "activation_statistics"
    config = StatisticsConfig
    produces = "statistics"
    reads = frozenset({Reads.DATA})
    tools = ("numpy", "onnx", "onnxruntime")
    auxiliary = True

    def refuses(self, source: Artifact, config: StatisticsConfig, target: Target) -> Sequence[str]:
        """Refuses models without constant matrices."""
        model = read_structure(source.model)
        lift_constants(model)
        free_weights(model)
        return () if _inputs(model) else (NOTHING,)

    def run(self, source: Artifact, out: Path, config: StatisticsConfig, context: PassContext) -> Manifest:
        """Writes the statistics.

        Raises:
            RefusedError: OL301, the data are empty, or the runtime cannot load the model.
            InputError: OL206, the model cannot be run on the data.
        """
        watched = Watched(source, context, Sampling(config.data, config.samples, config.batch))
        inputs = _inputs(watched.model)
        names = watched.floats(inputs)
        plan = watched.plan(names)
        moments = {name: Moments(inputs[name].channels) for name in names}
        runs = _runs([inputs[name] for name in names], plan, gram=config.gram)
        for number, run in enumerate(runs):
            sums = {piece: piece.zeros() for piece in run}
            new = [piece.of.name for piece in run if piece.start == 0]
            for values in watched.values([*dict.fromkeys(piece.of.name for piece in run)], plan, (number, len(runs))):
                for name in new:
                    moments[name].see(values[name], inputs[name].axis)
                _add(values, sums)
            for piece, total in sums.items():
                piece.write(out / _gram_file(names.index(piece.of.name)), total, moments[piece.of.name].rows)
        return _write(out, moments, {piece.of.name for run in runs for piece in run if piece.stop})


class Statistics:
    """What was learned of the values that flow into matrices and convolutions.

    Attributes:
        rows: how many vectors of channels the value seen most often had.
        names: the values, in the order of the graph.
    """

    def __init__(self, artifact: Artifact) -> None:
        """Opens an artifact of the kind `statistics`; arrays are mapped from their files."""
        import numpy as np

        self._folder = artifact.folder
        written = json.loads((artifact.folder / artifact.manifest.parts["statistics"]).read_bytes())
        self._values = {entry["name"]: _Entry(**entry) for entry in written["values"]}
        self._channels = np.load(artifact.folder / CHANNELS, mmap_mode="r")
        self.names = tuple(self._values)
        self.rows = max((entry.rows for entry in self._values.values()), default=0)

    def __contains__(self, name: object) -> bool:
        """Whether a value was seen."""
        return name in self._values

    def rows_of(self, name: str) -> int:
        """Returns how many vectors of channels a value had."""
        return self._values[name].rows

    def mean_magnitude(self, name: str) -> Floats:
        """Returns the mean of `|x|` of every channel, float32 `[K]`."""
        return self._row(name, "mean_magnitude")

    def peak(self, name: str) -> Floats:
        """Returns the largest `|x|` of every channel, float32 `[K]`."""
        return self._row(name, "peak")

    def mean(self, name: str) -> Floats:
        """Returns the mean of every channel, float32 `[K]`."""
        return self._row(name, "mean")

    def mean_square(self, name: str) -> Floats:
        """Returns the mean of `x^2` of every channel, float32 `[K]`: the diagonal of the gram."""
        return self._row(name, "mean_square")

    def low(self, name: str) -> Floats:
        """Returns the lowest number of every channel, float32 `[K]`."""
        return self._row(name, "low")

    def high(self, name: str) -> Floats:
        """Returns the highest number of every channel, float32 `[K]`."""
        return self._row(name, "high")

    def has_gram(self, name: str) -> bool:
        """Whether the products of a value's channels were summed up."""
        return name in self._values and bool(self._values[name].gram)

    def gram(self, name: str) -> Floats:
        """Returns `X^T X / rows`, float32 `[K, K]`, mapped from its file.

        Raises:
            KeyError: there is none of this value.
        """
        import numpy as np

        if not self.has_gram(name):
            raise KeyError(name)
        return cast("Floats", np.load(self._folder / self._values[name].gram, mmap_mode="r"))

    def _row(self, name: str, kind: str) -> Floats:
        entry = self._values[name]
        return cast("Floats", self._channels[KINDS.index(kind), entry.start : entry.start + entry.channels])


def read_statistics(artifact: Artifact) -> Statistics:
    """Returns what an artifact of the kind `statistics` holds."""
    return Statistics(artifact)


@dataclass(frozen=True, slots=True)
class _Input:
    """A value that flows into matrices: how many channels it has, on which axis, and whether a gram of it makes sense."""

    name: str
    channels: int
    axis: int
    is_matrix: bool


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some rows of a value's gram that are summed up in one run over the data; none where no gram is wanted."""

    of: _Input
    start: int
    stop: int

    def zeros(self) -> NDArray[np.float64]:
        """Returns the sums to start from."""
        import numpy as np

        return np.zeros((self.stop - self.start, self.of.channels if self.stop else 0))

    def write(self, file: Path, total: NDArray[np.float64], rows: int) -> None:
        """Writes the mean products into their place in the value's file."""
        import numpy as np

        if not self.stop:
            return
        shape = (self.of.channels, self.of.channels)
        mode = "r+" if file.exists() else "w+"
        kept = np.lib.format.open_memmap(file, mode, np.float32, shape)
        np.divide(total, max(rows, 1), out=total)
        kept[self.start : self.stop] = total
        kept.flush()


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    rows: int
    start: int
    channels: int
    gram: str


def _inputs(model: ModelProto) -> dict[str, _Input]:
    """Returns the main graph's values that flow into constant matrices and into convolutions, in the order of the graph."""
    main = {entry.name for entry in model.graph.input} | {name for node in model.graph.node for name in node.output}
    inner = {name for graph in list(graphs(model))[1:] for node in graph.node for name in node.output}
    replaceable = replaceable_weights(model)
    weights = {tensor.name: tensor for tensor in model.graph.initializer if tensor.name not in replaceable}
    found = {
        matrix.node.input[0]: _Input(matrix.node.input[0], matrix.inputs, -1, is_matrix=True)
        for matrix in matrices(model)
        if matrix.kind != "Gather" and matrix.node.input[0] not in inner - main
    }
    for node in model.graph.node:
        if node.op_type == "Conv" and node.domain in ("", "ai.onnx") and node.input[1] in weights:
            group = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
            channels = int(weights[node.input[1]].dims[1]) * group
            found.setdefault(node.input[0], _Input(node.input[0], channels, 1, is_matrix=False))
    places = {name: place for place, node in enumerate(model.graph.node) for name in node.output}
    known = [entry for entry in found.values() if entry.name in main]
    return {entry.name: entry for entry in sorted(known, key=lambda entry: (places.get(entry.name, -1), entry.name))}


def _add(values: Mapping[str, Values], sums: Mapping[_Piece, NDArray[np.float64]]) -> None:
    """Adds the products of one batch's values to the sums of some pieces, several pieces at a time."""
    at_once(lambda piece: add_products(values[piece.of.name], sums[piece], piece.start), list(sums))


def _runs(inputs: Sequence[_Input], plan: Plan, *, gram: bool) -> list[list[_Piece]]:
    """Shares the work out to runs over the data, so that neither values nor sums take too much memory in one."""
    runs: list[list[_Piece]] = []
    held = summed = AT_ONCE + GRAMS_AT_ONCE
    for entry in inputs:
        step = max(GRAMS_AT_ONCE // (8 * entry.channels), 1)
        wanted = entry.channels if gram and entry.is_matrix else 0
        for start in range(0, max(wanted, 1), step):
            piece = _Piece(entry, start, min(start + step, wanted))
            size = 8 * (piece.stop - piece.start) * entry.channels
            held, summed = held + plan.sizes[entry.name], summed + size
            if held > AT_ONCE or summed > GRAMS_AT_ONCE:
                runs.append([])
                held, summed = plan.sizes[entry.name], size
            runs[-1].append(piece)
    return runs


def _write(out: Path, moments: Mapping[str, Moments], with_gram: Collection[str]) -> Manifest:
    import numpy as np

    values: list[Json] = []
    rows: list[NDArray[np.float32]] = []
    start = 0
    for number, (name, seen) in enumerate(moments.items()):
        gram = _gram_file(number) if name in with_gram else ""
        values.append({"name": name, "rows": seen.rows, "start": start, "channels": seen.channels, "gram": gram})
        rows.append(np.stack([getattr(seen, kind) for kind in KINDS]))
        start += seen.channels
    np.save(out / CHANNELS, np.concatenate([np.zeros((len(KINDS), 0), np.float32), *rows], axis=1))
    (out / STATISTICS).write_bytes(canonical_json({"values": values}))
    return Manifest(kind="statistics", parts={"statistics": STATISTICS})


def _gram_file(number: int) -> str:
    return f"gram-{number}.npy"

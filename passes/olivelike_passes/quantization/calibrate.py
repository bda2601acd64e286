"""The pass `calibrate`: the ranges that activations take on calibration data, computed once for all static variants."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.data import Batch, DataName, Dataset
from olivelike.contracts.passes import Pass, PassConfig, PassContext, Reads
from olivelike.contracts.target import Target
from olivelike.digest import canonical_json
from olivelike.errors import RefusedError, fail
from olivelike.onnxfile.read import read_structure, signature
from olivelike.onnxfile.write import write_model
from olivelike_passes.prepare import prepared
from olivelike_passes.quantization.quantizable import STATIC_TYPES, common_reasons, is_foreign
from olivelike_passes.quantization.ranges import Method, Observed, range_of
from olivelike_passes.runtime import open_session

if TYPE_CHECKING:
    from onnx import ModelProto
    from onnxruntime import InferenceSession

    from olivelike.contracts.data import Array

RANGES = "ranges.json"
USUAL_BATCH = 8


class CalibrateConfig(PassConfig):
    """How `calibrate` looks at the data."""

    data: DataName
    """The data entry to run the model on."""
    method: Method = "minmax"
    """`minmax` takes the extremes, `entropy` and `percentile` cut outliers off."""
    samples: int = Field(0, ge=0)
    """How many samples to use, the first ones of the entry; 0 uses all."""
    batch: int = Field(0, ge=0)
    """Samples per run; 0 takes what the model fixes, or 8. It bounds memory: one batch's activations are held at a time."""
    percentile: float = Field(99.999, gt=50, le=100)
    """For `percentile`: the share of values, in percent, whose magnitude is inside the range."""


class Calibrate(Pass[CalibrateConfig]):
    """Finds the range of every activation that a static quantizer may ask for.

    What it does:
        Runs the model on calibration data and writes `ranges.json`: activation to its lowest and highest value.

    When to use it:
        Never by hand: `static_quant` asks for it, and all its variants on the same model share one run.

    Limits:
        Runs on the CPU, unoptimized. Values that are not finite are left out. Activations inside branches and loops are
        not seen.

    Example:
        ```yaml
        passes:
          - static_quant: {calibration: entropy, data: calibration}   # runs calibrate first
        ```
    """

    name = "calibrate"
    config = CalibrateConfig
    produces = "calibration"
    reads = frozenset({Reads.DATA})
    tools = ("numpy", "onnx", "onnxruntime")
    auxiliary = True

    def refuses(self, source: Artifact, config: CalibrateConfig, target: Target) -> Sequence[str]:
        """Refuses models that no static quantizer takes."""
        return common_reasons(read_structure(source.model), (), STATIC_TYPES, ())

    def run(self, source: Artifact, out: Path, config: CalibrateConfig, context: PassContext) -> Manifest:
        """Writes the ranges.

        Raises:
            RefusedError: OL301, the data are empty, or the runtime cannot load the model.
        """
        model = prepared(source, context.scratch)
        wanted = _activations(model)
        session = open_session(_exposing(model, wanted, context.scratch), source)
        observed = {name: Observed(histogram=config.method != "minmax") for name in wanted}
        dataset = context.data(config.data, source.model)
        most = min(config.samples or dataset.count, dataset.count)
        done = 0
        for batch in _batches(dataset, source.model, config):
            for name, values in _values(session, wanted, batch):
                observed[name].see(values)
            done += batch.size
            context.progress(done / max(most, 1), f"{done} of {most} samples")
        if not done:
            raise fail(RefusedError, "OL301", f"the data entry {config.data!r} gives no batch to calibrate on")
        ranges = {name: list(range_of(seen, config.method, config.percentile)) for name, seen in observed.items()}
        (out / RANGES).write_bytes(canonical_json(ranges))
        return Manifest(kind="calibration", parts={"ranges": RANGES})


def read_ranges(artifact: Artifact) -> dict[str, tuple[float, float]]:
    """Returns the ranges that a calibration artifact holds."""
    written: dict[str, list[float]] = json.loads((artifact.folder / artifact.manifest.parts["ranges"]).read_bytes())
    return {name: (low, high) for name, (low, high) in written.items()}


def _activations(model: ModelProto) -> list[str]:
    """Returns the float32 values that go in or out of nodes a static quantizer knows, in the order of the graph."""
    from onnx import TensorProto

    graph = model.graph
    entries = (*graph.input, *graph.output, *graph.value_info)
    floats = {entry.name for entry in entries if entry.type.tensor_type.elem_type == TensorProto.FLOAT}
    floats -= {tensor.name for tensor in graph.initializer}
    nodes = (node for node in graph.node if node.op_type in STATIC_TYPES and not is_foreign(node))
    names = dict.fromkeys(name for node in nodes for name in (*node.input, *node.output))
    return [name for name in names if name in floats]


def _exposing(model: ModelProto, wanted: Sequence[str], scratch: Path) -> Path:
    """Writes the model with the wanted values among its outputs; inputs stay out of them, they are known."""
    from onnx import ValueInfoProto

    known = {entry.name for entry in (*model.graph.input, *model.graph.output)}
    model.graph.output.extend(ValueInfoProto(name=name) for name in wanted if name not in known)
    folder = scratch / "exposing"
    folder.mkdir()
    return write_model(model, folder)


def _batches(dataset: Dataset, model: Path, config: CalibrateConfig) -> Iterator[Batch]:
    """Yields batches of a size that the model takes; where it fixes the size, a smaller rest is left out."""
    fixed = [value.shape[0] for value in signature(model).inputs if value.shape and isinstance(value.shape[0], int)]
    size = fixed[0] if fixed else config.batch or USUAL_BATCH
    for batch in dataset.batches(size, config.samples):
        if not fixed or batch.size == size:
            yield batch


def _values(session: InferenceSession, wanted: Sequence[str], batch: Batch) -> Iterator[tuple[str, Array]]:
    computed = [name for name in wanted if name not in batch.feeds]
    yield from zip(computed, session.run(computed, dict(batch.feeds)), strict=True)
    yield from ((name, batch.feeds[name]) for name in wanted if name in batch.feeds)

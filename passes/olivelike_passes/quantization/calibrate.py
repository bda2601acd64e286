"""The pass `calibrate`: the ranges that activations take on calibration data, computed once for all static variants."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.data import DataName
from olivelike.contracts.passes import Pass, PassConfig, PassContext, Reads
from olivelike.contracts.target import Target
from olivelike.digest import canonical_json
from olivelike.onnxfile.read import read_structure
from olivelike_passes.quantization.observing import Sampling, Watched, grouped
from olivelike_passes.quantization.quantizable import STATIC_TYPES, common_reasons, is_foreign
from olivelike_passes.quantization.ranges import Method, Observed, Rule
from olivelike_passes.slices import at_once

if TYPE_CHECKING:
    from onnx import ModelProto

    from olivelike.contracts.data import Array

RANGES = "ranges.json"
ONLY_FOR = {"percentile": "percentile", "bits": "mse", "symmetric": "mse"}
"""Which method a parameter is for."""


class CalibrateConfig(PassConfig):
    """How `calibrate` looks at the data."""

    data: DataName
    """The data entry to run the model on."""
    method: Method = "minmax"
    """`minmax` takes the extremes, `moving_average` the mean of the batches' extremes; `percentile` and `entropy` cut outliers
    off, and `mse` does where that costs less than the coarser grid would."""
    samples: int = Field(0, ge=0)
    """How many samples to use, the first ones of the entry; 0 uses all."""
    batch: int = Field(0, ge=0)
    """Samples per run; 0 takes what the model fixes, or 8, or fewer where their values would take too much memory."""
    percentile: float = Field(99.999, gt=50, le=100)
    """For `percentile`: the share of values, in percent, whose magnitude is inside the range."""
    bits: int = Field(8, ge=2, le=16)
    """For `mse`: the bits of the grid."""
    symmetric: bool = False
    """For `mse`: whether zero lies in the middle of the grid."""

    @model_validator(mode="before")
    @classmethod
    def _leave_out_what_has_no_effect(cls, value: object) -> object:
        """A method takes no other's parameters: equal ranges have equal configurations, so that variants share them."""
        if not isinstance(value, Mapping):
            return value
        method = value.get("method", "minmax")
        idle = {name for name, only in ONLY_FOR.items() if method != only}
        return {name: item for name, item in value.items() if name not in idle}


class Calibrate(Pass[CalibrateConfig]):
    """Finds the range of every activation that a static quantizer may ask for.

    What it does:
        Runs the model on calibration data and writes `ranges.json`: activation to its lowest and highest value.

    When to use it:
        Never by hand: `static_quant` asks for it, and all its variants on the same model share one run.

    Limits:
        Runs on the CPU, unoptimized. Values that are not finite are left out. Activations inside branches and loops are
        not seen. A percentile is exact to 1/128 of itself, and never too small. What `moving_average` finds depends on the
        size of batches. Memory does not grow with samples; activations beyond 128 MB are watched in several runs.

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
            InputError: OL206, the model cannot be run on the data.
        """
        watched = Watched(source, context, Sampling(config.data, config.samples, config.batch))
        names = watched.floats(_activations(watched.model))
        plan = watched.plan(names)
        rule = Rule(config.method, config.percentile, config.bits, config.symmetric)
        ranges: dict[str, list[float]] = {}
        groups = grouped(plan, names)
        for number, group in enumerate(groups):
            observed = {name: Observed(rule) for name in group}
            for values in watched.values(group, plan, (number, len(groups))):
                at_once(partial(_see, observed, values), group)
            ranges |= {name: list(seen.range()) for name, seen in observed.items()}
        (out / RANGES).write_bytes(canonical_json(ranges))
        return Manifest(kind="calibration", parts={"ranges": RANGES})


def read_ranges(artifact: Artifact) -> dict[str, tuple[float, float]]:
    """Returns the ranges that a calibration artifact holds."""
    written: dict[str, list[float]] = json.loads((artifact.folder / artifact.manifest.parts["ranges"]).read_bytes())
    return {name: (low, high) for name, (low, high) in written.items()}


def _see(observed: Mapping[str, Observed], values: Mapping[str, Array], name: str) -> None:
    observed[name].see(values[name])


def _activations(model: ModelProto) -> list[str]:
    """Returns the values that go in or out of nodes a static quantizer knows, in the order of the graph."""
    nodes = (node for node in model.graph.node if node.op_type in STATIC_TYPES and not is_foreign(node))
    return list(dict.fromkeys(name for node in nodes for name in (*node.input, *node.output)))

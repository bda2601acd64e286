"""The pass `sensitivity`: how much each layer loses in each format, by its weights and by what flows through it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, cast

from pydantic import Field

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.data import DataName
from olivelike.contracts.passes import Auxiliary, Pass, PassConfig, PassContext
from olivelike.contracts.target import Target
from olivelike.digest import Json, canonical_json
from olivelike.onnxfile.read import read_structure
from olivelike_passes.quantization.activation_statistics import (
    ActivationStatistics,
    Statistics,
    StatisticsConfig,
    read_statistics,
)
from olivelike_passes.quantization.formats import FormatName
from olivelike_passes.quantization.layers import Layer, layers
from olivelike_passes.quantization.loss import Loss, loss_of
from olivelike_passes.weights import free_weights, lift_constants

if TYPE_CHECKING:
    from onnx import ModelProto

TABLE = "sensitivity.json"
USUAL: tuple[FormatName, ...] = ("int8", "int8_per_channel", "int4_b32", "int4_b128", "float16")
WITH_ACTIVATIONS = frozenset({"int8", "int8_per_channel"})
"""Formats of passes that round activations to 8 bits as well."""
DIGITS = 6
NOTHING = "the model has no MatMul, Gemm, Gather or Conv with a constant weight, so that nothing can be rounded"


class SensitivityConfig(PassConfig):
    """How `sensitivity` judges."""

    data: DataName = ""
    """The data entry whose samples flow through the model; without one, only weights are looked at."""
    samples: int = Field(0, ge=0)
    """How many samples to use, the first ones of the entry; 0 uses all."""
    gram: bool = True
    """Take the products of inputs into account, by which the error of a matrix's output is exact; otherwise inputs count
    as if they had nothing to do with each other, which is cheaper."""
    formats: tuple[FormatName, ...] = USUAL
    """The formats to try."""


class Sensitivity(Pass[SensitivityConfig]):
    """Finds what each layer loses in each format: the table by which formats are shared out to layers.

    What it does:
        Reads each weight once, rounds it to the nearest in each format, and writes `sensitivity.json`: the signal to noise
        ratio of the weight in dB, and the error of the layer's output as a share of the output (both squared and summed up),
        by the products of inputs that `activation_statistics` has learned. Beside it stands the error that 8-bit
        activations would add, whose step follows from the range of all inputs: outliers show there.

    When to use it:
        Never by hand: `mixed_precision` asks for it, and passes that leave the most sensitive layers out.

    Limits:
        A layer's error says nothing of what later layers make of it. Of convolutions, and of inputs whose grams were not
        asked for, only the mean squares of channels count. In branches, loops and functions no data were seen: there the
        weight's own error stands in. Of a very large matrix some outputs, evenly spread, stand for all.

    Example:
        ```yaml
        passes:
          - mixed_precision: {bits: 5.5, data: calibration}   # asks for the table first
        ```
    """

    name = "sensitivity"
    config = SensitivityConfig
    produces = "sensitivity"
    tools = ("numpy", "onnx")
    auxiliary = True

    def needs(self, config: SensitivityConfig) -> Mapping[str, Auxiliary]:
        """Asks for the statistics of activations, if there are data."""
        if not config.data:
            return {}
        settings = StatisticsConfig(data=config.data, samples=config.samples, gram=config.gram)
        return {"statistics": Auxiliary(ActivationStatistics.name, settings.model_dump(mode="json"))}

    def refuses(self, source: Artifact, config: SensitivityConfig, target: Target) -> Sequence[str]:
        """Refuses models without weights that could be rounded."""
        return () if any(layers(_structure(source))) else (NOTHING,)

    def run(self, source: Artifact, out: Path, config: SensitivityConfig, context: PassContext) -> Manifest:
        """Writes the table.

        Raises:
            RefusedError: OL301, a weight is not finite.
        """
        statistics = read_statistics(context.needed["statistics"]) if config.data else None
        found = list(layers(_structure(source)))
        table: list[Json] = []
        for number, layer in enumerate(found):
            loss = loss_of(layer, source.model, config.formats, statistics)
            table.append(_entry(layer, loss, statistics))
            context.progress((number + 1) / len(found), layer.node)
        (out / TABLE).write_bytes(canonical_json({"formats": list(config.formats), "layers": table}))
        return Manifest(kind="sensitivity", parts={"table": TABLE})


class _Rounding(TypedDict):
    sqnr_db: float | None
    output_error: float


@dataclass(frozen=True, slots=True)
class LayerLoss:
    """What one layer loses.

    Attributes:
        node: the node's name, or what it makes if it has none.
        operator: its type.
        weight: the name of its weight.
        elements: of the weight.
        activation_error: the output's relative squared error that 8-bit activations add; 0 where no data were seen.
        formats: format to SQNR of the weight in dB (None: exact) and relative squared error of the output.
    """

    node: str
    operator: str
    weight: str
    elements: int
    activation_error: float
    formats: Mapping[str, _Rounding]

    def error(self, format: FormatName) -> float:
        """Returns the output's relative squared error, that of activations included where the format rounds them too.

        Raises:
            KeyError: the format was not tried.
        """
        added = self.activation_error if format in WITH_ACTIVATIONS else 0.0
        return self.formats[format]["output_error"] + added


def read_sensitivity(artifact: Artifact) -> tuple[LayerLoss, ...]:
    """Returns the table that an artifact of the kind `sensitivity` holds, in the order of the graph."""
    written = json.loads((artifact.folder / artifact.manifest.parts["table"]).read_bytes())
    return tuple(
        LayerLoss(
            entry["node"], entry["operator"], entry["weight"], entry["elements"], entry["activation_error"] or 0.0,
            cast("dict[str, _Rounding]", entry["formats"]),
        )
        for entry in written["layers"]
    )  # fmt: skip


def most_sensitive(artifact: Artifact, format: FormatName, k: int) -> tuple[str, ...]:
    """Returns the names of the nodes whose outputs lose most in a format, the worst first; tables are left out.

    Args:
        artifact: of the kind `sensitivity`.
        format: one of those that were tried.
        k: how many.
    """
    multiplying = [loss for loss in read_sensitivity(artifact) if loss.operator != "Gather"]
    ranked = sorted(multiplying, key=lambda loss: (-loss.error(format), loss.node))
    return tuple(loss.node for loss in ranked[:k])


def _structure(source: Artifact) -> ModelProto:
    model = read_structure(source.model)
    lift_constants(model)
    free_weights(model)
    return model


def _entry(layer: Layer, loss: Loss, statistics: Statistics | None) -> Json:
    seen = statistics is not None and layer.input in statistics
    return {
        "node": layer.node,
        "operator": layer.kind,
        "weight": layer.tensor.name,
        "elements": layer.outputs * layer.inputs,
        "input": layer.input,
        "by": loss.by,
        "activation_error": _short(loss.activation_error) if seen else None,
        "formats": {
            name: {"sqnr_db": None if found.sqnr is None else _short(found.sqnr), "output_error": _short(found.error)}
            for name, found in loss.formats.items()
        },
    }


def _short(value: float) -> float:
    """Leaves out digits that change with the order of sums."""
    return float(f"{value:.{DIGITS - 2}g}")

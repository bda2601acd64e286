"""The pass `mixed_precision`: a format for each matrix, named by pattern or chosen by what it loses under a budget of bits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import prod
from typing import TYPE_CHECKING, cast

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.passes import Auxiliary, PassContext
from olivelike.contracts.target import Target
from olivelike.digest import Json
from olivelike.errors import RefusedError, fail
from olivelike.onnxfile.walk import initializers, nodes
from olivelike_passes.graph.graph_pass import GraphPass, Rewritten
from olivelike_passes.matrices import matrices
from olivelike_passes.naming import name_of
from olivelike_passes.quantization.blocks.choice import choices, reads, tables
from olivelike_passes.quantization.budget import Option, cheapest, shared_out
from olivelike_passes.quantization.mixed_precision_config import (
    FLOAT,
    NAMES,
    BlockFormat,
    MixedFormat,
    MixedPrecisionConfig,
    weight_only,
)
from olivelike_passes.quantization.sensitivity import LayerLoss, Sensitivity, SensitivityConfig, read_sensitivity
from olivelike_passes.quantization.weight_only import WeightOnly
from olivelike_passes.weights import WEIGHTS_ARE_INPUTS, free_weights, lift_constants, replaceable_weights

if TYPE_CHECKING:
    from onnx import ModelProto

NOTHING = "there is no MatMul, Gemm or Gather with a constant matrix, so that nothing could get a format"
FLOAT_BITS = {1: 32, 10: 16}
"""Bits of a weight that stays as it is, by its element type."""


class MixedPrecision(GraphPass[MixedPrecisionConfig]):
    """Gives each matrix a format of its own: the precise ones where errors cost most, the small ones elsewhere.

    What it does:
        Rounds the weights of `MatMul` and `Gemm` (and of `Gather`) in blocks, each matrix in the format that `assign` names or,
        under a budget of `bits`, in one chosen by what `sensitivity` says it loses. Writes the operators of `weight_only`.
        The report's notes say which node got which format, and what of the assignment could not be applied.

    When to use it:
        Where one format for all is too coarse or too large: a few layers at 8 bits often win back most of what 4 bits lose.
        `bits` is a number that a search can turn.

    Limits:
        Layers are judged one by one: that an error matters more in one place of the network than in another is not seen.
        Formats of activations do not change. The budget counts matrices that could be rounded, and tables with
        `embeddings`; a weight that several nodes share counts once.

    Example:
        ```yaml
        passes:
          - mixed_precision: {bits: [4.5, 5, 6], formats: [int4_b32, int4_b128, int8_b128], embeddings: true}
        ```
        ```yaml
        passes:
          - mixed_precision:
              assign: [{nodes: "*down_proj*", format: int8_b128}, {nodes: "*lm_head*", format: float}]
              rest: int4_b32
        ```
    """

    name = "mixed_precision"
    config = MixedPrecisionConfig
    tools = ("numpy", "onnx")

    def needs(self, config: MixedPrecisionConfig) -> Mapping[str, Auxiliary]:
        """Asks for the sensitivity of layers under a budget, and for what the method learns from."""
        found = dict(WeightOnly().needs(weight_only(config, {})))
        if config.bits:
            settings = SensitivityConfig(data=config.data, samples=config.samples, formats=config.formats)
            found["sensitivity"] = Auxiliary(Sensitivity.name, settings.model_dump(mode="json"))
        return found

    def unsuitable(self, model: ModelProto, config: MixedPrecisionConfig, target: Target) -> Sequence[str]:
        """Refuses patterns that match no node, and what `weight_only` refuses."""
        names = {name_of(node) for node in nodes(model)}
        unknown = [
            f"assign has {each.nodes!r}, which matches no node"
            for each in config.assign
            if not any(fnmatchcase(name, each.nodes) for name in names)
        ]
        lift_constants(model)
        if not any(matrices(model)):
            return unknown or [WEIGHTS_ARE_INPUTS if replaceable_weights(model) else NOTHING]
        asked = _named(model, config)
        asked |= dict.fromkeys(_open(model, config, asked), config.formats[0])  # whether it can be rounded at all
        return unknown or WeightOnly().unsuitable(model, weight_only(config, asked), target)

    def rewrite(
        self, model: ModelProto, source: Artifact, config: MixedPrecisionConfig, context: PassContext
    ) -> Rewritten:
        """Rounds the matrices.

        Raises:
            RefusedError: OL301, the budget is too small; a weight is not finite; nothing is left to round.
        """
        free_weights(model)
        lift_constants(model)
        asked = _named(model, config)
        losses = read_sensitivity(context.needed["sensitivity"]) if config.bits else ()
        if config.bits:
            asked |= _chosen(model, config, asked, losses)
        settings = weight_only(config, asked)
        found = choices(model, settings)
        if not found.chosen:
            claim = "every matrix stays in float: the budget leaves room for that, or nothing else was asked for"
            raise fail(RefusedError, "OL301", claim, hint="lower `bits`")
        left = {name: why for name, why in found.left.items() if asked.get(name, FLOAT) != FLOAT}
        left |= dict.fromkeys(_other_nodes(model, config), "no constant matrix")
        applied = {name_of(choice.matrix.node): asked[name_of(choice.matrix.node)] for choice in found.chosen}
        notes: dict[str, Json] = {
            "formats": dict(sorted(Counter(applied.values()).items())),
            "applied": dict(sorted(applied.items())),
            "not_applied": dict(sorted(left.items())),
        }
        if losses:
            notes["output_errors"] = {loss.node: _errors(loss) for loss in losses if loss.node in asked}
        made = WeightOnly().rewrite(model, source, settings, context)
        return Rewritten(made.model, notes, made.made)


def _named(model: ModelProto, config: MixedPrecisionConfig) -> dict[str, MixedFormat]:
    """Returns the formats that the configuration names itself, by node."""
    found: dict[str, MixedFormat] = {}
    for matrix in matrices(model):
        name = name_of(matrix.node)
        named = next((each.format for each in config.assign if fnmatchcase(name, each.nodes)), None)
        if named is not None:
            found[name] = named
        elif not config.bits and matrix.kind != "Gather":
            found[name] = config.rest
    return found


def _open(model: ModelProto, config: MixedPrecisionConfig, named: Collection[str]) -> list[str]:
    """Returns the nodes whose formats are chosen under the budget."""
    if not config.bits:
        return []
    wanted = (matrix for matrix in matrices(model) if config.embeddings or matrix.kind != "Gather")
    return [name for name in dict.fromkeys(name_of(matrix.node) for matrix in wanted) if name not in named]


def _chosen(
    model: ModelProto,
    config: MixedPrecisionConfig,
    named: Mapping[str, MixedFormat],
    losses: Sequence[LayerLoss],
) -> dict[str, MixedFormat]:
    """Chooses formats under the budget, one for each weight, however many nodes share it.

    Raises:
        RefusedError: OL301, the budget is too small for any choice.
    """
    free = _open(model, config, named)
    forms = {format: _Stored.of(model, config, dict.fromkeys([*free, *named], format)) for format in NAMES}
    wide = {tensor.name: prod(tensor.dims) * FLOAT_BITS.get(tensor.data_type, 16) for tensor in initializers(model)}
    shared: dict[str, list[LayerLoss]] = defaultdict(list)
    for loss in losses:
        if loss.node in free or loss.node in named:
            shared[loss.weight].append(loss)
    groups = list(shared.values())
    items = [
        [Option(format, bits, _error(group, format)) for format, bits in _bits(group, config, named, forms, wide)]
        for group in groups
    ]
    weights = sum(group[0].elements for group in groups)
    if cheapest(items) > config.bits * weights:
        least = cheapest(items) / weights
        claim = f"a budget of {config.bits:g} bits for a weight is too small: with these formats they take {least:.3g}"
        raise fail(RefusedError, "OL301", claim, hint="raise `bits`, or add a smaller format")
    found = shared_out(items, config.bits * weights)
    return {
        loss.node: cast("MixedFormat", option.name)
        for group, option in zip(groups, found, strict=True)
        for loss in group
        if loss.node in free
    }


@dataclass(frozen=True, slots=True)
class _Stored:
    """What becomes of all matrices in one format.

    Attributes:
        tensors: node to the new tensors that it reads, each named by what tells them apart, with the bits that they take.
    """

    tensors: Mapping[str, tuple[tuple[object, ...], int]]

    @classmethod
    def of(cls, model: ModelProto, config: MixedPrecisionConfig, asked: Mapping[str, MixedFormat]) -> _Stored:
        chosen = choices(model, weight_only(config, asked)).chosen
        together = tables(chosen)
        found: dict[str, tuple[tuple[object, ...], int]] = {}
        for choice in chosen:
            matrix, grid = choice.matrix, choice.grid
            table = reads(choice, together) is not None or matrix.kind == "Gather"
            codes = matrix.inputs if table else choice.blocks * grid.block
            scales = choice.blocks * FLOAT_BITS.get(matrix.tensor.data_type, 32)
            key = (id(matrix.tensor), table, matrix.rows_are_outputs)
            found[name_of(matrix.node)] = key, matrix.outputs * (codes * grid.stored_bits + scales)
        return cls(found)

    def bits(self, nodes: Sequence[str]) -> int | None:
        """Returns the bits that the weights of some nodes take together; none if one cannot have the format."""
        if not all(name in self.tensors for name in nodes):
            return None
        return sum(dict(self.tensors[name] for name in nodes).values())


def _bits(
    group: Sequence[LayerLoss],
    config: MixedPrecisionConfig,
    named: Mapping[str, MixedFormat],
    forms: Mapping[BlockFormat, _Stored],
    wide: Mapping[str, int],
) -> Iterator[tuple[MixedFormat, float]]:
    """Yields the formats that the nodes of a weight may have, and the bits that the weight takes in each."""
    nodes_of = [loss.node for loss in group]
    fixed = {named[name] for name in nodes_of if name in named}
    for format in sorted(fixed) or [FLOAT, *config.formats]:
        bits = wide[group[0].weight] if format == FLOAT else forms[cast("BlockFormat", format)].bits(nodes_of)
        if bits is not None:
            yield format, bits
        elif fixed:
            yield format, wide[group[0].weight]  # it cannot be applied, and stays as it is


def _error(group: Sequence[LayerLoss], format: str) -> float:
    return sum(loss.formats[format]["output_error"] for loss in group if format in loss.formats)


def _errors(loss: LayerLoss) -> dict[str, Json]:
    return {format: found["output_error"] for format, found in loss.formats.items()}


def _other_nodes(model: ModelProto, config: MixedPrecisionConfig) -> Iterator[str]:
    """Yields the nodes that `assign` names beside those with a constant matrix."""
    known = {name_of(matrix.node) for matrix in matrices(model)}
    for node in nodes(model):
        name = name_of(node) if node.name or node.output else ""
        named = next((each.format for each in config.assign if fnmatchcase(name, each.nodes)), FLOAT)
        if named != FLOAT and name not in known:
            yield name

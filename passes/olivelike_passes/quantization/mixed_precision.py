"""The pass `mixed_precision`: a format for each matrix, named by pattern or chosen by what it loses under a budget of bits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from glob import escape
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from pydantic import Field, model_validator

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.data import DataName
from olivelike.contracts.passes import Auxiliary, PassConfig, PassContext
from olivelike.contracts.target import Target
from olivelike.digest import Json
from olivelike.errors import RefusedError, fail
from olivelike.onnxfile.walk import initializers, nodes
from olivelike_passes.graph.graph_pass import GraphPass, Rewritten
from olivelike_passes.matrices import matrices
from olivelike_passes.naming import name_of
from olivelike_passes.quantization.blocks.choice import choices
from olivelike_passes.quantization.budget import Option, cheapest, shared_out
from olivelike_passes.quantization.formats import Format, FormatName
from olivelike_passes.quantization.sensitivity import LayerLoss, Sensitivity, SensitivityConfig, read_sensitivity
from olivelike_passes.quantization.weight_only import WeightOnly
from olivelike_passes.quantization.weight_only_config import MethodName, WeightOnlyConfig
from olivelike_passes.weights import WEIGHTS_ARE_INPUTS, free_weights, lift_constants, replaceable_weights

if TYPE_CHECKING:
    from onnx import ModelProto

BlockFormat: TypeAlias = Literal[
    "int2_b16", "int2_b32", "int4_b16", "int4_b32", "int4_b64", "int4_b128", "int8_b32", "int8_b128"
]
MixedFormat: TypeAlias = Literal[BlockFormat, "float"]
FLOAT: MixedFormat = "float"
NOTHING = "there is no MatMul, Gemm or Gather with a constant matrix, so that nothing could get a format"
FLOAT_BITS = {1: 32, 10: 16}
"""Bits of a weight that stays as it is, by its element type."""


class Assignment(PassConfig):
    """A format for some nodes."""

    nodes: str
    """The nodes whose matrices are meant; `*` and `?` match as in file names (`*down_proj*`)."""
    format: MixedFormat
    """Their format: `int4_b32` has 4 bits in blocks of 32 inputs with a scale each, `float` stays as it is."""


class MixedPrecisionConfig(PassConfig):
    """Which matrix gets which format."""

    assign: tuple[Assignment, ...] = ()
    """Formats by name; of several that match, the first counts."""
    rest: MixedFormat = "float"
    """Without `bits`: the format of matrices that `assign` does not name."""
    bits: float = Field(0, ge=0, le=32)
    """The bits that a weight of all these matrices may take in the mean, scales included; formats of those that `assign` does
    not name are then chosen so that the layers' errors, summed up, are least. 0 chooses nothing."""
    formats: tuple[BlockFormat, ...] = ("int4_b32", "int8_b32")
    """With `bits`: the formats to choose from, beside `float`."""
    data: DataName = ""
    """With `bits`, and for methods that learn: the data entry that layers are judged on. Without one, only their weights
    are looked at."""
    samples: int = Field(0, ge=0)
    """How many samples of `data` to use, the first ones; 0 uses all."""
    embeddings: bool = False
    """Whether tables (`Gather`) get a format too; `assign` names them in any case."""
    method: MethodName = "rtn"
    """How weights are rounded, as in `weight_only`; those that choose zero points (`hqq`) are not for this pass."""
    accuracy_level: Literal[0, 1, 4] = 0
    """What `MatMulNBits` may compute in, as in `weight_only`."""

    @model_validator(mode="before")
    @classmethod
    def _leave_out_what_has_no_effect(cls, value: object) -> object:
        """Equal models have equal configurations, so that none is tried twice."""
        if not isinstance(value, Mapping):
            return value
        idle = {"rest"} if value.get("bits") else {"formats", "embeddings"}
        return {name: item for name, item in value.items() if name not in idle}

    @model_validator(mode="after")
    def _says_something(self) -> MixedPrecisionConfig:
        if not self.bits and not self.assign and self.rest == FLOAT:
            raise ValueError("nothing is asked for: give `assign`, `rest` or `bits`")
        if self.bits and not self.formats:
            raise ValueError("with `bits` there must be formats to choose from")
        _weight_only(self, {})
        return self


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
        found = dict(WeightOnly().needs(_weight_only(config, {})))
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
        return unknown or WeightOnly().unsuitable(model, _weight_only(config, asked), target)

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
        settings = _weight_only(config, asked)
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


def _weight_only(config: MixedPrecisionConfig, asked: Mapping[str, MixedFormat]) -> WeightOnlyConfig:
    """Returns the configuration of `weight_only` that gives each node what is asked for it, and leaves all others."""
    overrides: list[Json] = []
    for name, format in asked.items():
        if format == FLOAT:
            continue
        form = Format.named(cast("FormatName", format))
        overrides.append({"nodes": escape(name), "bits": form.bits, "block_size": form.block})
    return WeightOnlyConfig.model_validate(
        {
            "overrides": [*overrides, {"nodes": "*", "keep": True}],
            "method": config.method,
            "data": config.data,
            "samples": config.samples,
            "accuracy_level": config.accuracy_level,
        }
    )


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
    possible = {
        format: {
            name_of(choice.matrix.node)
            for choice in choices(model, _weight_only(config, dict.fromkeys(free, format))).chosen
        }
        for format in config.formats
    }
    wide = {tensor.name: FLOAT_BITS.get(tensor.data_type, 16) for tensor in initializers(model)}
    shared: dict[str, list[LayerLoss]] = defaultdict(list)
    for loss in losses:
        if loss.node in free or loss.node in named:
            shared[loss.weight].append(loss)
    groups = list(shared.values())
    items = [_options(group, named, possible, wide[group[0].weight]) for group in groups]
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


def _options(
    group: Sequence[LayerLoss],
    named: Mapping[str, MixedFormat],
    possible: Mapping[BlockFormat, Collection[str]],
    wide: int,
) -> list[Option]:
    """Returns the formats that the nodes of a weight may take, with its bits and what they lose together."""
    elements = group[0].elements
    fixed = [named[loss.node] for loss in group if loss.node in named]
    if fixed:
        bits = wide if FLOAT in fixed else Format.named(cast("FormatName", fixed[0])).bits_per_weight
        return [Option(fixed[0], bits * elements, 0.0)]
    options = [Option(FLOAT, wide * elements, 0.0)]
    for format, names in possible.items():
        if all(loss.node in names for loss in group):
            error = sum(loss.formats[format]["output_error"] for loss in group)
            options.append(Option(format, Format.named(format).bits_per_weight * elements, error))
    return options


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

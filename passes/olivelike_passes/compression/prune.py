"""The pass `prune`: small weights become zeros, or whole channels go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, assert_never

from pydantic import Field, model_validator

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.passes import PassConfig, PassContext
from olivelike.contracts.target import Target
from olivelike.errors import RefusedError, fail
from olivelike.onnxfile.inference import inferred
from olivelike.onnxfile.made import Made
from olivelike.onnxfile.tensors import kept_apart, mapped
from olivelike_passes.compression.candidates import candidates, emptied, not_finite, reasons_against
from olivelike_passes.compression.channels import Group, channel_groups
from olivelike_passes.compression.masks import few_of_each, without_smallest
from olivelike_passes.graph.graph_pass import GraphPass, Rewritten
from olivelike_passes.matrices import matrices
from olivelike_passes.naming import matching
from olivelike_passes.weights import free_weights, lift_constants

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto, TensorProto

    Values = NDArray[np.generic]
    Shapes = dict[str, tuple[int | None, ...]]

SMALLEST = 256
"""Weights of fewer elements stay dense: nothing is saved there."""


class PruneConfig(PassConfig):
    """What `prune` takes away."""

    pattern: Literal["elements", "n_of_m", "channels"] = "elements"
    """`elements` zeroes the smallest elements of each weight; `n_of_m` all but the `n` largest of each `m` neighbours, which some
    accelerators skip; `channels` takes out whole channels, which makes the model itself smaller and faster."""
    share: float = Field(0.5, gt=0, lt=1)
    """For `elements` and `channels`: the share that goes, of each weight's elements or of each group's channels."""
    n: int = Field(2, ge=1)
    """For `n_of_m`: how many of each `m` stay."""
    m: int = Field(4, ge=2, le=32)
    """For `n_of_m`: how many neighbours, along the axis that is summed over, are looked at together."""
    multiple_of: int = Field(8, ge=1)
    """For `channels`: how many are left is a multiple of this where there are that many, as processors like it."""
    nodes: tuple[str, ...] = ("*",)
    """Names of the nodes whose weights are pruned; `*` and `?` match as in file names."""
    exclude_nodes: tuple[str, ...] = ()
    """Names of nodes whose weights stay as they are; the first and the last layer are usual here."""

    @model_validator(mode="before")
    @classmethod
    def _leave_out_what_has_no_effect(cls, value: object) -> object:
        """Equal models have equal configurations, so that none is tried twice."""
        if not isinstance(value, Mapping):
            return value
        own = {"elements": {"share"}, "n_of_m": {"n", "m"}, "channels": {"share", "multiple_of"}}
        pattern = str(value.get("pattern", "elements"))
        idle = set().union(*own.values()) - own[pattern] if pattern in own else set()
        return {name: item for name, item in value.items() if name not in idle}

    @model_validator(mode="after")
    def _n_is_less_than_m(self) -> PruneConfig:
        if self.n >= self.m:
            raise ValueError(f"n must be less than m: {self.n} of {self.m} takes nothing away")
        return self


class Prune(GraphPass[PruneConfig]):
    """Takes away what contributes least: single weights, a pattern of them, or whole channels.

    What it does:
        `elements` and `n_of_m` set weights of least magnitude to zero and keep the graph. `channels` finds which weights
        must lose the same channel together (through activations, normalizations, additions, depthwise convolutions and
        flattening), takes out the channels whose weights are smallest, and refuses to touch a group that it cannot follow
        to its ends. The notes say how many zeros or channels there are.

    When to use it:
        `channels` for a network that is too wide for its task; `elements` before `cluster` or for a file that is compressed
        for transport; `n_of_m` for hardware that skips zeros in this pattern.

    Limits:
        Nothing is trained afterwards, so accuracy falls quickly: let the search choose `share`, and train again where it
        matters. Zeros make nothing faster on a CPU. Channels of inputs and outputs, and of what a branch or a loop reads,
        stay. Attention and layer norms are not followed: their channels stay.

    Example:
        ```yaml
        passes:
          - prune: {pattern: channels, share: [0.125, 0.25]}
        ```
    """

    name = "prune"
    config = PruneConfig
    tools = ("numpy", "onnx")

    def unsuitable(self, model: ModelProto, config: PruneConfig, target: Target) -> Sequence[str]:
        """Refuses quantized models, unknown nodes, and models without a weight that is large enough."""
        reasons = reasons_against(model, config.nodes, config.exclude_nodes)
        lift_constants(model)
        free_weights(model)
        found = [] if reasons else list(candidates(model, config.nodes, config.exclude_nodes, SMALLEST))
        if not reasons and not found:
            reasons.append(f"the model has no constant weight of two axes and at least {SMALLEST} elements to prune")
        elif found and config.pattern == "n_of_m" and _summed_axes(model).keys().isdisjoint(t.name for t in found):
            reasons.append("n_of_m prunes the weights of MatMul, Gemm and Conv, and no such weight is large enough")
        return reasons

    def rewrite(self, model: ModelProto, source: Artifact, config: PruneConfig, context: PassContext) -> Rewritten:
        """Announces the weights that change.

        Raises:
            RefusedError: OL301, a weight is not finite; there are no channels that can be taken out.
        """
        lift_constants(model)
        free_weights(model)
        weights = list(candidates(model, config.nodes, config.exclude_nodes, SMALLEST))
        bad = not_finite(weights, source.model)
        if bad:
            raise fail(
                RefusedError, "OL301", f"the weight {bad!r} holds NaN or an infinity, which has no size to go by"
            )
        match config.pattern:
            case "elements":
                return _zeroed(model, weights, source.model, lambda values, _: without_smallest(values, config.share))
            case "n_of_m":
                axes = _summed_axes(model)
                return _zeroed(
                    model,
                    [tensor for tensor in weights if tensor.name in axes],
                    source.model,
                    lambda values, name: few_of_each(values, axes[name], config.n, config.m),
                )
            case "channels":
                return _narrowed(model, {tensor.name for tensor in weights}, source.model, config)
            case _:
                assert_never(config.pattern)


def _zeroed(
    model: ModelProto, weights: Sequence[TensorProto], path: Path, prune: Callable[[Values, str], Values]
) -> Rewritten:
    made = Made()
    for tensor in weights:
        made.announce([emptied(tensor)], _pruned(kept_apart(tensor), path, prune))
        tensor.CopyFrom(emptied(tensor))
    return Rewritten(model, {"weights": len(weights)}, made)


def _pruned(tensor: TensorProto, path: Path, prune: Callable[[Values, str], Values]) -> Callable[[], list[Values]]:
    return lambda: [prune(mapped(tensor, path), tensor.name)]


def _summed_axes(model: ModelProto) -> dict[str, int]:
    """Returns for weights the axis that is summed over: the inputs of a matrix, the input channels of a convolution."""
    found = {m.tensor.name: 1 if m.rows_are_outputs else 0 for m in matrices(model) if m.kind != "Gather"}
    return found | {n.input[1]: 1 for n in model.graph.node if n.op_type == "Conv" and n.domain in ("", "ai.onnx")}


def _narrowed(model: ModelProto, wanted: set[str], path: Path, config: PruneConfig) -> Rewritten:
    shapes = _shapes(model, path)
    left_out = set(matching(model, config.exclude_nodes))
    excluded = {name for node in model.graph.node if node.name in left_out for name in node.input}
    cuts: dict[str, list[tuple[int, Values]]] = defaultdict(list)
    taken, all_of_them = 0, 0
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    for group in channel_groups(model, shapes):
        names = {place.tensor for place in group.places}
        left = _left(group.size, config)
        if names & excluded or not names & wanted:
            continue
        all_of_them += group.size
        if left == group.size:
            continue
        kept = _strongest(group, held, path, left)
        for place in group.places:
            cuts[place.tensor].append((place.axis, _entries(kept, place.block)))
        for node in model.graph.node:
            if node.output[0] in group.depthwise:
                next(a for a in node.attribute if a.name == "group").i = left
        taken += group.size - left
    if not cuts:
        raise _nothing_taken(all_of_them, config)
    made = Made()
    for name, parts in cuts.items():
        new = _cut(held[name], path, sorted(parts, key=lambda part: part[0]), made)
        held[name].CopyFrom(new)
    del model.graph.value_info[:]
    return Rewritten(model, {"channels": all_of_them, "taken_out": taken}, made)


def _nothing_taken(channels: int, config: PruneConfig) -> Exception:
    if channels:
        claim = f"a share of {config.share:g} takes no channel away where {config.multiple_of} go at a time"
        return fail(RefusedError, "OL301", claim, hint="ask for a larger `share` or a smaller `multiple_of`")
    claim = "no group of channels can be taken out: all lead to an output, or through operators that are not followed"
    return fail(RefusedError, "OL301", claim, hint="`pattern: elements` needs no channels")


def _left(size: int, config: PruneConfig) -> int:
    """Returns how many of a group's channels stay.

    >>> _left(64, PruneConfig(share=0.1)), _left(24, PruneConfig(share=0.5)), _left(6, PruneConfig(share=0.5))
    (56, 16, 3)
    """
    wanted = size * (1 - config.share)
    multiple = config.multiple_of if size > config.multiple_of else 1
    return min(max(int(wanted / multiple + 0.5), 1) * multiple, size)


def _strongest(group: Group, held: dict[str, TensorProto], path: Path, count: int) -> Values:
    """Returns the channels that stay, ascending: those made by the largest weights, each weight counted alike.

    The magnitude of a filter as its importance: H. Li et al., "Pruning filters for efficient ConvNets", 2016 (arXiv 1608.08710).
    """
    import numpy as np

    importance = np.zeros(group.size)
    for place in sorted(group.makers, key=lambda place: (place.tensor, place.axis)):
        values = mapped(held[place.tensor], path)
        others = tuple(axis for axis in range(values.ndim) if axis != place.axis)
        norms = np.sqrt(np.square(values.astype(np.float32)).sum(axis=others, dtype=np.float64))
        importance += norms / (norms.mean() or 1.0)
    return np.sort(np.argsort(-importance, kind="stable")[:count])


def _entries(channels: Values, block: int) -> Values:
    import numpy as np

    return (channels[:, None].astype(np.int64) * block + np.arange(block)).reshape(-1)


def _cut(tensor: TensorProto, path: Path, parts: Sequence[tuple[int, Values]], made: Made) -> TensorProto:
    """Announces what is left of a weight, and returns it without values."""
    import numpy as np
    import onnx

    dims = list(tensor.dims)
    for axis, entries in parts:
        dims[axis] = len(entries)
    new = onnx.TensorProto(name=tensor.name, data_type=tensor.data_type, dims=dims)
    source = kept_apart(tensor)

    def make() -> list[Values]:
        values = mapped(source, path)
        for axis, entries in parts:
            values = np.take(values, entries.astype(np.int64), axis=axis)
        return [values]

    made.announce([new], make)
    return new


def _shapes(model: ModelProto, path: Path) -> Shapes:
    graph = inferred(model, path).graph
    found: Shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for entry in (*graph.input, *graph.value_info, *graph.output):
        if entry.type.tensor_type.HasField("shape"):
            dims = entry.type.tensor_type.shape.dim
            found[entry.name] = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in dims)
    return found

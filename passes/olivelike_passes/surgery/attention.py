"""Rewrites around the attention mask: sequence lengths instead of it, and a value in it that can be quantized."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from olivelike.onnxfile.wiring import reads
from olivelike_passes.surgery.opened import Opened
from olivelike_passes.surgery.rewrite import Absent, Found, NoParameters, Parameters, Rewrite

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

GROUPED = "GroupQueryAttention"
MASK = "attention_mask"
LENGTHS = {5: "past_seq_len", 6: "total_seq_len"}
"""Inputs of `GroupQueryAttention` (`seqlens_k`, `total_sequence_length`: ONNX Runtime, ContribOperators.md), and the inputs
of the model that they become, which keep the names that Olive gives them."""
READERS = ("Add", "Mul", "Expand", "Where", "Shape")
"""What reads a mask, and hardly anything that is large: other values are not looked at."""


class MaskValue(Parameters):
    """Which values of a mask become which."""

    threshold: float = -3e30
    """Values below it are replaced."""
    replacement: float = Field(-1e4, le=0)
    """What they become: low enough that softmax gives nothing, high enough to be quantized."""


def mask_to_sequence_lengths(opened: Opened, _: NoParameters) -> Found:
    """Lets a model be told its sequence lengths, where it computed them from an attention mask.

    Pattern: `GroupQueryAttention` nodes whose `seqlens_k` and `total_sequence_length` are computed from the input
    `attention_mask`, which leads nowhere else. Result: the inputs `past_seq_len` int32 [batch, 1] (`seqlens_k`: the total
    length less one) and `total_seq_len` int32 [] in their place; the mask and what was computed from it are gone. Numbers
    are equal where the lengths given are those of the mask.
    """
    graph = opened.model.graph
    nodes = [node for node in opened.main.nodes if node.op_type == GROUPED and len(node.input) > max(LENGTHS)]
    if not nodes or MASK not in opened.main.inputs:
        return Absent(f"found no {GROUPED} in a model with the input {MASK!r}")
    dependent = _computed_from(opened, MASK)
    if any(node.input[place] not in dependent for node in nodes for place in LENGTHS):
        return Absent(f"the lengths of {GROUPED} are not computed from {MASK!r}")
    names = {place: opened.fresh(name) for place, name in LENGTHS.items()}
    lost = [node.input[place] for node in nodes for place in LENGTHS]
    for node in nodes:
        for place, name in names.items():
            node.input[place] = name
    _add_inputs(opened, names)
    opened.leave(lost)
    if opened.main.is_read(MASK):
        reader = opened.main.readers(MASK)
        raise opened.refuse(
            f"step mask_to_sequence_lengths: {MASK!r} leads elsewhere, too: {', '.join(node.name for node in reader)}",
            "remove_rope_multi_cache before it, if the model has two rotary caches",
        )
    del graph.input[[entry.name for entry in graph.input].index(MASK)]
    opened.look()
    return len(nodes)


def _computed_from(opened: Opened, name: str) -> set[str]:
    found = {name}
    for node in opened.main.nodes:
        if found.intersection(reads(node)):
            found.update(node.output)
    return found


def _add_inputs(opened: Opened, names: dict[int, str]) -> None:
    import onnx

    graph = opened.model.graph
    entries = {entry.name: entry.type.tensor_type.shape.dim for entry in graph.input}
    dims = entries.get("input_ids") or entries[MASK]
    batch: int | str | None = None
    if dims:
        batch = dims[0].dim_value if dims[0].HasField("dim_value") else dims[0].dim_param or None
    for place, shape in ((5, [batch, 1]), (6, [])):
        graph.input.append(onnx.helper.make_tensor_value_info(names[place], onnx.TensorProto.INT32, shape))


def replace_mask_value(opened: Opened, parameters: MaskValue) -> Found:
    """Replaces the lowest numbers, by which masks forbid positions, with one that quantizes well.

    Pattern: a float initializer, `Constant` or value of a `ConstantOfShape` with a value below the threshold, read by `Add`,
    `Mul`, `Expand`, `Where` and `Shape` alone. Result: the same graph; those values are the replacement. Numbers differ
    where softmax did not give zero anyway, and in rows in which all positions are forbidden.
    """
    count = 0
    for scope in opened.scopes:
        for name in [tensor.name for tensor in scope.graph.initializer]:
            held = scope.constant(name)
            if held is not None and name not in scope.outputs and _is_mask(list(scope.takers(name))):
                count += _replace(opened, held, parameters)
        for node in scope.nodes:
            if node.op_type not in ("Constant", "ConstantOfShape") or node.output[0] in scope.outputs:
                continue
            if _is_mask(list(scope.takers(node.output[0]))):
                count += _replace_held(opened, node, parameters)
    return count


def _replace_held(opened: Opened, node: NodeProto, parameters: MaskValue) -> bool:
    for attribute in node.attribute:
        if attribute.name == "value":
            return _replace(opened, attribute.t, parameters)
        if attribute.name == "value_float" and attribute.f < parameters.threshold:
            attribute.f = parameters.replacement
            return True
    return False


def _is_mask(readers: list[NodeProto]) -> bool:
    return bool(readers) and all(node.op_type in READERS for node in readers)


def _replace(opened: Opened, tensor: TensorProto, parameters: MaskValue) -> bool:
    import numpy as np
    import onnx

    kinds = onnx.TensorProto
    if tensor.data_type not in (kinds.FLOAT, kinds.FLOAT16, kinds.DOUBLE, kinds.BFLOAT16):
        return False
    values = opened.values(tensor)
    low = values.astype(np.float64) < parameters.threshold
    if not low.any():
        return False
    new = np.where(low, np.asarray(parameters.replacement, values.dtype), values).astype(values.dtype)
    name = tensor.name
    tensor.CopyFrom(onnx.numpy_helper.from_array(new, name))
    return True


REWRITES = (
    Rewrite(
        "mask_to_sequence_lengths",
        "AttentionMaskToSequenceLengths",
        mask_to_sequence_lengths,
        f"{GROUPED} whose lengths are computed from {MASK!r}",
    ),
    Rewrite(
        "replace_mask_value",
        "ReplaceAttentionMaskValue",
        replace_mask_value,
        "float constant below the threshold that only Add, Mul, Expand, Where or Shape reads",
        MaskValue,
    ),
)

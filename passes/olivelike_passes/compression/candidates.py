"""Which weights of a model are worth compressing: large constants of floating point that nodes picked by name read."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from olivelike.onnxfile.tensors import mapped
from olivelike.onnxfile.wiring import reads
from olivelike_passes.holds import quantized_reasons
from olivelike_passes.matrices import FLOATS
from olivelike_passes.naming import matching, unmatched
from olivelike_passes.slices import ELEMENTS
from olivelike_passes.weights import replaceable_weights

if TYPE_CHECKING:
    from pathlib import Path

    from onnx import ModelProto, TensorProto


def candidates(
    model: ModelProto, nodes: Sequence[str], exclude_nodes: Sequence[str], min_elements: int
) -> Iterator[TensorProto]:
    """Yields the main graph's weights of two axes or more that may be given other values.

    Args:
        model: the model's structure.
        nodes: patterns of node names; only weights that such a node reads.
        exclude_nodes: patterns of node names; no weight that such a node reads.
        min_elements: smaller weights stay as they are.

    Yields:
        Initializers of float32, float16 or bfloat16 that are no inputs and no outputs, in the order of the model.
    """
    left_out = replaceable_weights(model) | {output.name for output in model.graph.output}
    left_out |= _read_by(model, exclude_nodes)
    wanted = _read_by(model, nodes)
    for tensor in model.graph.initializer:
        fits = len(tensor.dims) >= 2 and tensor.data_type in FLOATS and math.prod(tensor.dims) >= min_elements
        if fits and tensor.name in wanted and tensor.name not in left_out:
            yield tensor


def reasons_against(model: ModelProto, nodes: Sequence[str], exclude_nodes: Sequence[str]) -> list[str]:
    """Returns the reasons against compressing a model that hold for every way of compression."""
    reasons = quantized_reasons(model)
    reasons += [
        f"nodes has {pattern!r}, which matches no node" for pattern in unmatched(model, nodes) if pattern != "*"
    ]
    return reasons + [
        f"exclude_nodes has {pattern!r}, which matches no node" for pattern in unmatched(model, exclude_nodes)
    ]


def not_finite(tensors: Collection[TensorProto], model: Path) -> str:
    """Returns the name of the first weight that holds NaN or an infinity; empty if none does."""
    import numpy as np

    for tensor in tensors:
        flat = mapped(tensor, model).reshape(-1)
        for start in range(0, flat.size, ELEMENTS):
            if not np.isfinite(flat[start : start + ELEMENTS].astype(np.float32)).all():
                return str(tensor.name)
    return ""


def emptied(tensor: TensorProto) -> TensorProto:
    """Returns a tensor of the same name, type and shape without values."""
    import onnx

    return onnx.TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)


def _read_by(model: ModelProto, patterns: Sequence[str]) -> frozenset[str]:
    names = frozenset(matching(model, patterns))
    if "*" in patterns:  # unnamed nodes too
        return frozenset(name for node in model.graph.node for name in reads(node))
    return frozenset(name for node in model.graph.node if node.name in names for name in reads(node))

"""Divide what flows into matrices by factors that their weights are multiplied with: in the norm before them, or by a `Mul`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.onnxfile.tensors import mapped
from olivelike_passes.quantization.blocks.choice import FLOAT16, Choice
from olivelike_passes.quantization.blocks.learned import Learned
from olivelike_passes.quantization.blocks.opened import MICROSOFT, OpenModel

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

    from olivelike_passes.quantization.blocks.grid import Floats

NORMS = {
    "LayerNormalization": (1, 2), "Mul": (0, 1), "RMSNormalization": (1,), "SimplifiedLayerNormalization": (1,),
    "SkipLayerNormalization": (2, 3), "SkipSimplifiedLayerNormalization": (2,),
}  # fmt: skip
"""Which inputs of an operator, if one number for each channel, its first output is proportional to when all are scaled."""


def scale_inputs(opened: OpenModel, chosen: Sequence[Choice], learned: Learned, model: Path) -> dict[int, str]:
    """Scales what flows into the matrices that are to be rounded so; returns what their nodes read, by their identity.

    Args:
        opened: the model.
        chosen: all matrices that are quantized.
        learned: finds the factors, and keeps them for the weights.
        model: the model's file.
    """
    import numpy as np

    groups: dict[tuple[int, str], list[Choice]] = defaultdict(list)
    for choice in chosen:
        if choice.method == "awq" and learned.knows(choice):
            groups[id(choice.matrix.graph), choice.input].append(choice)
    counts = Counter(name for _, name in groups)
    found: dict[int, str] = {}
    for (_, name), group in groups.items():
        factors = learned.scale(group) if counts[name] == 1 else np.ones(1, np.float32)
        if not (factors == 1).all():
            value = _divided(opened, name, group, factors, model)
            found |= {id(choice.matrix.node): value for choice in group}
    return found


def _divided(opened: OpenModel, name: str, group: Sequence[Choice], factors: Floats, model: Path) -> str:
    """Returns the name of a value divided by factors."""
    import numpy as np

    readers = [choice.matrix.node for choice in group]
    maker = opened.only_for(name, readers)
    if maker is not None and _folded(opened, maker, factors, model):
        return name
    first = group[0].matrix
    kind = np.float16 if first.tensor.data_type == FLOAT16 else np.float32
    inverse = opened.constant(first.tensor, "activations", (1 / factors).astype(kind))
    scaled = opened.value(f"{name}_scaled")
    opened.before(readers[0], opened.node("Mul", [name, inverse], scaled, scaled))
    return scaled


def _folded(opened: OpenModel, maker: NodeProto, factors: Floats, model: Path) -> bool:
    """Divides a norm's weights in place, if the node is one."""
    import numpy as np

    own = maker.domain in ("", "ai.onnx", MICROSOFT)
    places = [place for place in NORMS.get(maker.op_type, ()) if own]
    places = [place for place in places if place < len(maker.input) and maker.input[place]]
    tensors = [opened.constant_of(maker.input[place]) for place in places]
    fit: list[tuple[int, TensorProto]] = [
        (place, tensor)
        for place, tensor in zip(places, tensors, strict=True)
        if tensor is not None and tuple(tensor.dims) == factors.shape
    ]
    if not fit or len(fit) != (1 if maker.op_type == "Mul" else len(places)):
        return False
    for place, tensor in fit:
        values = mapped(tensor, model)
        divided = (values.astype(np.float32) / factors).astype(values.dtype)
        maker.input[place] = opened.constant(tensor, "scaled", divided)
        opened.replaced(tensor)
    return True

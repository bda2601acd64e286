"""What is quantized in a model, and how: which style, how many bits, in blocks of which size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from olivelike.digest import JsonObject
from olivelike.onnxfile.quantized import is_quantized
from olivelike.onnxfile.sizes import PACKED_BITS
from olivelike.onnxfile.walk import graphs, nodes, tensors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnx import ModelProto, NodeProto

PAIR = ("QuantizeLinear", "DequantizeLinear")
DYNAMIC = ("DynamicQuantize", "MatMulInteger", "ConvInteger")
WEIGHT_ONLY = ("NBits", "Bnb4", "FpQ4", "Fpq4", "BlockQuantized", "QMoE")
FOUR_BITS = ("Bnb4", "FpQ4", "Fpq4")
USUAL_BITS = 4
"""Of an operator with an attribute `bits` that leaves it out (`MatMulNBits`, ONNX Runtime's ContribOperators.md)."""


class Style(Enum):
    """How a model is quantized.

    `QDQ`: pairs of `QuantizeLinear` and `DequantizeLinear` around float operators. `QOPERATOR`: operators that compute on
    integers with fixed scales. `DYNAMIC`: scales of activations are found while running. `WEIGHT_ONLY`: weights alone.
    `FLOAT16` and `BFLOAT16`: weights that are narrow floats.
    """

    QDQ = "qdq"
    QOPERATOR = "qoperator"
    DYNAMIC = "dynamic"
    WEIGHT_ONLY = "weight_only"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"


@dataclass(frozen=True, slots=True)
class Quantized:
    """One style of quantization in a model.

    Attributes:
        style: which.
        operators: types of its nodes, each with their number; none for narrow floats, which every operator may take.
        weight_bits: of the weights, as far as the graph says so.
        block_sizes: how many weights share a scale; empty where a tensor or a channel does.
    """

    style: Style
    operators: Mapping[str, int]
    weight_bits: tuple[int, ...]
    block_sizes: tuple[int, ...]

    def to_json(self) -> JsonObject:
        """Returns it as the answer holds it."""
        return {
            "style": self.style.value,
            "operators": dict(self.operators),
            "weight_bits": list(self.weight_bits),
            "block_sizes": list(self.block_sizes),
        }


def quantization_of(model: ModelProto) -> tuple[Quantized, ...]:
    """Returns the styles of quantization in a model; nothing for one in float32. Reads the structure only."""
    widths = dict(_widths(model))
    rounds = any(node.op_type == PAIR[0] for node in nodes(model))
    found: dict[Style, list[NodeProto]] = {}
    for node in nodes(model):
        if is_quantized(node.op_type):
            found.setdefault(_style(node, rounds=rounds), []).append(node)
    styles = [_quantized(style, found[style], widths) for style in Style if style in found]
    return (*styles, *_narrow_floats(model))


def told(found: Iterable[Quantized]) -> str:
    """Returns styles in a few words, for a reason.

    >>> told([Quantized(Style.WEIGHT_ONLY, {"MatMulNBits": 2}, (4,), (32,))])
    'weight_only, 4 bits in blocks of 32'
    """
    return "; ".join(map(_told, found))


def _told(style: Quantized) -> str:
    bits = f", {' and '.join(map(str, style.weight_bits))} bits" if style.weight_bits else ""
    blocks = f" in blocks of {' and '.join(map(str, style.block_sizes))}" if style.block_sizes else ""
    return f"{style.style.value}{bits}{blocks}"


def _narrow_floats(model: ModelProto) -> Iterator[Quantized]:
    import onnx

    held = {tensor.data_type for tensor in tensors(model) if tensor.dims}
    for style, kind in ((Style.FLOAT16, onnx.TensorProto.FLOAT16), (Style.BFLOAT16, onnx.TensorProto.BFLOAT16)):
        if kind in held:
            yield Quantized(style, {}, (16,), ())


def _style(node: NodeProto, *, rounds: bool) -> Style:
    if node.op_type in PAIR:
        return Style.QDQ if rounds else Style.WEIGHT_ONLY
    if any(part in node.op_type for part in WEIGHT_ONLY):
        return Style.WEIGHT_ONLY
    return Style.DYNAMIC if node.op_type.startswith(DYNAMIC) else Style.QOPERATOR


def _quantized(style: Style, found: list[NodeProto], widths: Mapping[str, int]) -> Quantized:
    counts = Counter(node.op_type for node in found)
    bits = {width for node in found for width in _bits(node, widths)}
    blocks = {a.i for node in found for a in node.attribute if a.name == "block_size" and a.i}
    return Quantized(style, dict(sorted(counts.items())), tuple(sorted(bits)), tuple(sorted(blocks)))


def _bits(node: NodeProto, widths: Mapping[str, int]) -> Iterator[int]:
    """Yields the bits of the weights that a node reads."""
    if node.op_type.endswith(FOUR_BITS):
        yield 4
    elif any(part in node.op_type for part in WEIGHT_ONLY):
        yield next((a.i for a in node.attribute if a.name in {"bits", "expert_weight_bits"}), USUAL_BITS)
    elif node.op_type != PAIR[0]:
        large = node.input[:1] if node.op_type == PAIR[1] else node.input
        yield from (widths[name] for name in large if name in widths)


def _widths(model: ModelProto) -> Iterator[tuple[str, int]]:
    """Yields the bits of integer and 8-bit float weights of more than one element: scales and zero points tell nothing."""
    import onnx

    eight = {"INT8", "UINT8", "FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ"}
    known = {**dict.fromkeys(eight, 8), "INT16": 16, "UINT16": 16, **PACKED_BITS}
    names = {number: name for name, number in onnx.TensorProto.DataType.items()}
    for graph in graphs(model):
        for tensor in graph.initializer:
            kind = names.get(tensor.data_type, "")
            if kind in known and tensor.dims:
                yield tensor.name, known[kind]

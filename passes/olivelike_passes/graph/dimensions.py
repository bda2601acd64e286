"""The shapes that a model states: of its inputs and outputs, of inner values, inside sequences and optionals too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from olivelike.onnxfile.walk import graphs

if TYPE_CHECKING:
    from onnx import ModelProto, TensorShapeProto, ValueInfoProto


def stated_shapes(model: ModelProto) -> Iterator[TensorShapeProto]:
    """Yields every shape that the graphs state; functions speak of dimensions of their own and are left out."""
    for graph in graphs(model):
        for entry in (*graph.input, *graph.output, *graph.value_info):
            yield from shapes_of(entry)


def shapes_of(entry: ValueInfoProto) -> Iterator[TensorShapeProto]:
    """Yields the shapes in a value's type: of a tensor, of a sequence's elements, of what an optional may hold."""
    ahead = [entry.type]
    while ahead:
        kind = ahead.pop()
        match kind.WhichOneof("value"):
            case "tensor_type" | "sparse_tensor_type" as field:
                if getattr(kind, field).HasField("shape"):
                    yield getattr(kind, field).shape
            case "sequence_type" | "optional_type" as field:
                ahead.append(getattr(kind, field).elem_type)
            case _:
                pass

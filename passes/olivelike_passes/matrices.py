"""The matrices of a model: constant weights by which its nodes multiply, and out of which they look rows up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from olivelike.onnxfile.wiring import graphs_inside, makers
from olivelike_passes.weights import replaceable_weights

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

Kind: TypeAlias = Literal["MatMul", "Gemm", "Gather"]
FLOATS = (1, 10, 16)
"""The element types float32, float16 and bfloat16, as `TensorProto.DataType` counts them."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """A weight matrix and the node that uses it.

    A `MatMul` or `Gemm` computes `x @ W` with W of shape `[inputs, outputs]`; a `Gather` looks up rows of `[outputs, inputs]`.

    Attributes:
        node: the node.
        graph: the graph the node stands in: the main graph, or one inside it.
        tensor: the weight; its values may lie outside the file.
        kind: the node's type.
        rows_are_outputs: whether the tensor holds `[outputs, inputs]`: a `Gemm` with `transB`, a tied embedding behind a
            `Transpose`, a `Gather`.
        behind: the `Transpose` between the tensor and the node, if there is one.
    """

    node: NodeProto
    graph: GraphProto
    tensor: TensorProto
    kind: Kind
    rows_are_outputs: bool
    behind: NodeProto | None = None

    @property
    def outputs(self) -> int:
        """Rows or columns that are each made of one set of weights (N; of a `Gather`, the entries)."""
        return int(self.tensor.dims[0 if self.rows_are_outputs else 1])

    @property
    def inputs(self) -> int:
        """The axis that is summed over (K; of a `Gather`, the length of an entry)."""
        return int(self.tensor.dims[1 if self.rows_are_outputs else 0])


def matrices(model: ModelProto) -> Iterator[Matrix]:
    """Yields the weight matrices of a model in the order of its nodes, those of branches and loops too.

    Of `MatMul` (second input of rank 2), `Gemm` (without `transA` and with `alpha` 1) and `Gather` (on axis 0 of a matrix). The
    weight is an initializer of float32, float16 or bfloat16 that cannot be replaced as the model runs; a matrix that several
    nodes use is yielded for each.
    """
    yield from _of_graph(model.graph, {}, replaceable_weights(model))


def _of_graph(
    graph: GraphProto, around: dict[str, TensorProto], replaceable: frozenset[str] = frozenset()
) -> Iterator[Matrix]:
    own = {output for node in graph.node for output in node.output} | {entry.name for entry in graph.input}
    held = {name: tensor for name, tensor in around.items() if name not in own}
    held |= {tensor.name: tensor for tensor in graph.initializer if tensor.name not in replaceable}
    made_by = makers(graph.node)
    for node in graph.node:
        found = _of_node(node, graph, held, made_by)
        if found is not None:
            yield found
        for inner in graphs_inside(node):
            yield from _of_graph(inner, held)


def _of_node(
    node: NodeProto, graph: GraphProto, held: dict[str, TensorProto], made_by: dict[str, int]
) -> Matrix | None:
    if node.domain not in ("", "ai.onnx") or len(node.input) < 2:
        return None
    match node.op_type:
        case "MatMul":
            behind = _transpose(node.input[1], graph, made_by)
            tensor = _matrix(held.get(behind.input[0] if behind else node.input[1]))
            return None if tensor is None else Matrix(node, graph, tensor, "MatMul", behind is not None, behind)
        case "Gemm":
            tensor = _matrix(held.get(node.input[1]))
            plain = not _attribute(node, "transA", 0) and _attribute(node, "alpha", 1.0) == 1.0
            turned = bool(_attribute(node, "transB", 0))
            return Matrix(node, graph, tensor, "Gemm", turned) if plain and tensor is not None else None
        case "Gather":
            tensor = _matrix(held.get(node.input[0]))
            return Matrix(node, graph, tensor, "Gather", True) if tensor and not _attribute(node, "axis", 0) else None
    return None


def _matrix(tensor: TensorProto | None) -> TensorProto | None:
    return (
        tensor
        if tensor is not None and len(tensor.dims) == 2 and tensor.data_type in FLOATS and all(tensor.dims)
        else None
    )


def _transpose(value: str, graph: GraphProto, made_by: dict[str, int]) -> NodeProto | None:
    """Returns the `Transpose` of two axes that makes a value."""
    if value not in made_by:
        return None
    node = graph.node[made_by[value]]
    turned = [list(attribute.ints) for attribute in node.attribute if attribute.name == "perm"] in ([], [[1, 0]])
    return node if node.op_type == "Transpose" and node.domain in ("", "ai.onnx") and turned else None


def _attribute(node: NodeProto, name: str, default: float) -> float:
    import onnx

    return next((float(onnx.helper.get_attribute_value(a)) for a in node.attribute if a.name == name), default)

"""The types of all values of a graph, those of branches, loops and functions too, by what operators are defined for.

A type is written as ONNX writes it: `tensor(float)`, `seq(tensor(int64))`. Shapes play no part, so that a model without its
weights is enough, and operators of the runtime's own domains are followed as well as ONNX's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from olivelike_passes.precision.definitions import OWN, definition_of

if TYPE_CHECKING:
    from onnx import FunctionProto, NodeProto, TypeProto, ValueInfoProto

FLOAT = "tensor(float)"
BY_ATTRIBUTE: Mapping[str, tuple[str, str]] = {
    "Bernoulli": ("dtype", "as input"),
    "BlackmanWindow": ("output_datatype", FLOAT),
    "Cast": ("to", ""),
    "ConstantOfShape": ("value", FLOAT),
    "EyeLike": ("dtype", "as input"),
    "HammingWindow": ("output_datatype", FLOAT),
    "HannWindow": ("output_datatype", FLOAT),
    "MelWeightMatrix": ("output_datatype", FLOAT),
    "Multinomial": ("dtype", "tensor(int32)"),
    "RandomNormal": ("dtype", FLOAT),
    "RandomNormalLike": ("dtype", "as input"),
    "RandomUniform": ("dtype", FLOAT),
    "RandomUniformLike": ("dtype", "as input"),
}
"""Operators of which an attribute says what they give, and what they give where it is left out."""


def kind_of(entry: ValueInfoProto) -> str:
    """Returns the type of an input, an output or another declared value; empty where it declares none.

    >>> import onnx
    >>> kind_of(onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT16, [2, 3]))
    'tensor(float16)'
    """
    return _written(entry.type)


def tensor_kind(number: int) -> str:
    """Returns the type of tensors of an element type, given as `TensorProto.DataType` counts them."""
    names = _names()
    return f"tensor({names[number]})" if number in names else ""


def kinds_made(
    node: NodeProto, given: Sequence[str], opsets: Mapping[str, int], functions: Mapping[tuple[str, str], FunctionProto]
) -> list[str]:
    """Returns the types of what a node makes, one for each of its outputs; empty for what is not known.

    Args:
        node: a node without graphs inside.
        given: the types of its inputs, in order; empty where an input is left out or its type is not known.
        opsets: domain to the version that the model imports.
        functions: the model's own operators, by domain and name.
    """
    function = functions.get((node.domain, node.op_type))
    if function is not None:
        return _of_function(function, given, functions)
    if node.domain in OWN and node.op_type == "Constant":
        return [_constant(node)]
    definition = definition_of(node, opsets)
    if definition is None:
        return ["" for _ in node.output]
    bound = {definition.input(place): kind for place, kind in enumerate(given) if kind}
    if node.domain in OWN and node.op_type in BY_ATTRIBUTE:
        bound[definition.output(0)] = _by_attribute(node, given)
    if node.domain in OWN and node.op_type == "LayerNormalization":
        bound.setdefault("U", FLOAT)  # the precision of its statistics, `stash_type`
    made = (definition.output(place) for place in range(len(node.output)))
    return [kind if "(" in kind else bound.get(kind, "") or _only(definition.allowed.get(kind)) for kind in made]


def _of_function(
    function: FunctionProto, given: Sequence[str], functions: Mapping[tuple[str, str], FunctionProto]
) -> list[str]:
    opsets = {"" if entry.domain in OWN else entry.domain: entry.version for entry in function.opset_import}
    known = dict(zip(function.input, given, strict=False))
    known |= {entry.name: kind_of(entry) for entry in function.value_info}
    for node in function.node:
        inputs = [known.get(name, "") for name in node.input]
        known |= dict(zip(node.output, kinds_made(node, inputs, opsets, functions), strict=True))
    return [known.get(name, "") for name in function.output]


def _constant(node: NodeProto) -> str:
    kinds = {"int": "int64", "ints": "int64", "string": "string", "strings": "string"}
    for attribute in node.attribute:
        if attribute.name == "value":
            return tensor_kind(attribute.t.data_type)
        if attribute.name == "sparse_value":
            return tensor_kind(attribute.sparse_tensor.values.data_type)
        if attribute.name.startswith("value_"):
            return f"tensor({kinds.get(attribute.name.removeprefix('value_'), 'float')})"
    return ""


def _by_attribute(node: NodeProto, given: Sequence[str]) -> str:
    name, otherwise = BY_ATTRIBUTE[node.op_type]
    found = next((attribute for attribute in node.attribute if attribute.name == name), None)
    if found is not None:
        return tensor_kind(found.t.data_type if found.HasField("t") else found.i)
    return given[0] if otherwise == "as input" and given else otherwise


def _only(allowed: frozenset[str] | None) -> str:
    return next(iter(allowed)) if allowed and len(allowed) == 1 else ""


def _written(kind: TypeProto) -> str:
    match kind.WhichOneof("value"):
        case "tensor_type":
            return tensor_kind(kind.tensor_type.elem_type)
        case "sparse_tensor_type":
            return f"sparse_{tensor_kind(kind.sparse_tensor_type.elem_type)}"
        case "sequence_type":
            return f"seq({_written(kind.sequence_type.elem_type)})"
        case "optional_type":
            return f"optional({_written(kind.optional_type.elem_type)})"
        case "map_type":
            key = _names().get(kind.map_type.key_type, "")
            return f"map({key}, {_written(kind.map_type.value_type)})"
        case _:
            return ""


@cache
def _names() -> Mapping[int, str]:
    import onnx

    return {number: name.lower() for name, number in onnx.TensorProto.DataType.items() if number}

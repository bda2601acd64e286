"""Nodes of fused operators, named after the node whose place they take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

MICROSOFT = "com.microsoft"
"""The domain of ONNX Runtime's own operators (docs/ContribOperators.md in its repository)."""


def fused_node(
    kind: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    name: str,
    domain: str = MICROSOFT,
    **attributes: float | str | Sequence[int],
) -> NodeProto:
    """Returns a node; inputs and outputs at the end that are empty are left off."""
    import onnx

    node = onnx.helper.make_node(kind, _cut(inputs), _cut(outputs), name=name, domain=domain)
    node.attribute.extend(onnx.helper.make_attribute(key, value) for key, value in attributes.items())
    return node


def add_integers(node: NodeProto, numbers: Mapping[str, int]) -> None:
    """Gives a node attributes that are integers."""
    import onnx

    node.attribute.extend(onnx.helper.make_attribute(name, number) for name, number in numbers.items())


def onnx_vector(name: str, numbers: Sequence[int]) -> TensorProto:
    """Returns an int64 vector."""
    import onnx

    return onnx.helper.make_tensor(name, onnx.TensorProto.INT64, [len(numbers)], numbers)


def _cut(names: Sequence[str]) -> Sequence[str]:
    end = len(names)
    while end and not names[end - 1]:
        end -= 1
    return names[:end]

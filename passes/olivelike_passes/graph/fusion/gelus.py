"""The family of GELU activations, written out in small operators, become one operator, with the bias before it if there is one.

Hendrycks, Gimpel, "Gaussian Error Linear Units" (arXiv 1606.08415): x * Phi(x), which `Gelu` computes with the error
function, `FastGelu` approximates with a hyperbolic tangent and `QuickGelu` with a logistic function.
"""

from __future__ import annotations

from math import isclose, pi, sqrt
from typing import TYPE_CHECKING

from olivelike_passes.graph.fusion.build import fused_node
from olivelike_passes.graph.fusion.net import Net
from olivelike_passes.graph.fusion.nodes import word

if TYPE_CHECKING:
    from onnx import NodeProto

CUBIC = 0.044715
CLOSE = 1e-5
"""Exporters round constants to float32, or write a few decimals of them."""
GELU_OPSET = 20
LONGEST = 6
"""So many multiplications at most follow the function: more are no GELU."""


def fuse_gelus(net: Net) -> None:
    """Puts fused operators in for GELUs that are written out, and takes biases into those that can."""
    for node in net.nodes("Erf", "Tanh", "Sigmoid"):
        if net.has(node):
            _fuse_function(net, node)
    for node in net.nodes("Gelu"):
        _take_bias(net, node, "FastGelu" if word(node, "approximate", "none") == "tanh" else "BiasGelu")


def _fuse_function(net: Net, node: NodeProto) -> None:
    match node.op_type:
        case "Erf":
            factor, value = _scaled(net, node.input[0])
            end = _half_of_one_more(net, node, value) if isclose(factor, sqrt(0.5), rel_tol=CLOSE) else None
            if end is not None:
                _put_gelu(net, value, end)
        case "Tanh":
            value = _cubic_of(net, node.input[0])
            end = _half_of_one_more(net, node, value) if value else None
            if end is not None:
                _put_fast_gelu(net, value, end)
        case _:
            factor, value = _scaled(net, node.input[0])
            end = _product(net, node.output[0], value, 1.0) if factor > 0 else None
            if end is not None:
                fused = fused_node("QuickGelu", [value], [end.output[0]], end.name, alpha=factor)
                net.replace([fused], "QuickGelu")


def _put_gelu(net: Net, value: str, end: NodeProto) -> None:
    if net.opset < GELU_OPSET:
        node = fused_node("Gelu", [value], [end.output[0]], end.name)
    else:
        node = fused_node("Gelu", [value], [end.output[0]], end.name, "", approximate="none")
    net.replace([node], "Gelu")
    _take_bias(net, node, "BiasGelu")


def _put_fast_gelu(net: Net, value: str, end: NodeProto) -> None:
    node = fused_node("FastGelu", [value], [end.output[0]], end.name)
    net.replace([node], "FastGelu")
    _take_bias(net, node, "FastGelu")


def _take_bias(net: Net, node: NodeProto, kind: str) -> None:
    """Puts an operator that adds a vector itself in for one whose input is a sum with a vector."""
    add = net.inner(node.input[0], "Add")
    for source, vector in () if add is None else (tuple(add.input), tuple(add.input)[::-1]):
        length = net.vector(vector)
        if length is not None and net.last(source) == length:
            net.replace([fused_node(kind, [source, vector], list(node.output), node.name)], kind)
            return


def _scaled(net: Net, value: str) -> tuple[float, str]:
    """Returns by which constant what value is multiplied to give this one."""
    node = net.maker(value, "Mul", "Div")
    found = None if node is None else net.with_number(node)
    if node is None or found is None:
        return 1.0, value
    other, number = found
    if node.op_type == "Mul":
        return number, other
    return (1 / number, other) if other == node.input[0] and number else (1.0, value)


def _half_of_one_more(net: Net, function: NodeProto, value: str) -> NodeProto | None:
    """Returns the node that makes half of a value times one more than a function of it."""
    add = net.taker(function.output[0], "Add")
    number = None if add is None else net.with_number(add)
    return (
        _product(net, add.output[0], value, 0.5) if add is not None and number is not None and number[1] == 1 else None
    )


def _product(net: Net, factor: str, value: str, times: float) -> NodeProto | None:
    """Returns the node that makes the product of a factor, a value and a number, in whichever order."""
    number, met = 1.0, False
    for _ in range(LONGEST):
        node = net.taker(factor, "Mul", "Div")
        if node is None or list(node.input).count(factor) != 1:
            return None
        constant = net.with_number(node)
        if constant is not None:
            if node.op_type == "Div" and (constant[0] != node.input[0] or not constant[1]):
                return None
            number *= constant[1] if node.op_type == "Mul" else 1 / constant[1]
        else:
            other = node.input[1] if node.input[0] == factor else node.input[0]
            scale, source = (1.0, other) if other == value else _scaled(net, other)
            if met or source != value or node.op_type == "Div":
                return None
            number, met = number * scale, True
        if met and isclose(number, times, rel_tol=CLOSE):
            return node
        factor = node.output[0]
    return None


def _cubic_of(net: Net, value: str) -> str:
    """Returns the value whose cubic polynomial this one is that stands within the approximation, or nothing."""
    wanted = {1: sqrt(2 / pi), 3: sqrt(2 / pi) * CUBIC}
    for candidate in _leaves(net, value, LONGEST):
        found = _polynomial(net, value, candidate, LONGEST)
        if found.keys() == wanted.keys() and all(isclose(found[n], wanted[n], rel_tol=1e-4) for n in wanted):
            return candidate
    return ""


def _leaves(net: Net, value: str, depth: int) -> list[str]:
    """Returns the values that one is computed from by sums, products and powers, nearest first."""
    node = net.maker(value, "Mul", "Add", "Pow") if depth else None
    inner = [] if node is None else [name for name in node.input if net.constant(name) is None]
    found = dict.fromkeys([*inner, *(leaf for name in dict.fromkeys(inner) for leaf in _leaves(net, name, depth - 1))])
    return list(found)


def _polynomial(net: Net, value: str, of: str, depth: int) -> dict[int, float]:
    """Returns a value's coefficients by the power of another, empty where it is no polynomial of it."""
    if value == of:
        return {1: 1.0}
    number = net.number(value)
    if number is not None:
        return {0: number} if net.keeps_rank(value, of) else {}
    node = net.maker(value, "Mul", "Add", "Pow") if depth else None
    if node is None:
        return {}
    left = _polynomial(net, node.input[0], of, depth - 1)
    if node.op_type == "Pow":
        power = net.number(node.input[1]) or (net.known.contents.get(node.input[1]) or (0,))[0]
        fits = left == {1: 1.0} and power in (2, 3) and net.keeps_rank(node.input[1], of)
        return {int(power): 1.0} if fits and isinstance(power, (int, float)) else {}
    right = _polynomial(net, node.input[1], of, depth - 1)
    if not left or not right:
        return {}
    found: dict[int, float] = {}
    pairs = (
        [*left.items(), *right.items()]
        if node.op_type == "Add"
        else [(a + b, x * y) for a, x in left.items() for b, y in right.items()]
    )
    for power, coefficient in pairs:
        found[power] = found.get(power, 0.0) + coefficient
    return found

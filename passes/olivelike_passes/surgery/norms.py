"""Rewrites of normalizations, and of the divisions they are made of, into forms that runtimes fuse or accelerators have."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from olivelike_passes.surgery.opened import MICROSOFT, Opened
from olivelike_passes.surgery.rewrite import Found, NoParameters, Rewrite
from olivelike_passes.surgery.scope import OWN, Scope, attribute_of

if TYPE_CHECKING:
    from onnx import NodeProto

AXES_ARE_INPUTS = 13
"""From this opset on `ReduceSum` takes its axes as an input."""
SUM_OF_SKIP = 3
"""The output of `SkipSimplifiedLayerNormalization` that is input plus skip (ONNX Runtime, ContribOperators.md)."""
SIMPLIFIED = ("SimplifiedLayerNormalization", "RMSNormalization", "SkipSimplifiedLayerNormalization")


def simplified_layer_norm_to_l2_norm(opened: Opened, _: NoParameters) -> Found:
    """Writes a norm by the root mean square as an L2 norm and a scale.

    Pattern: `SimplifiedLayerNormalization` or `RMSNormalization` over the last axis, or
    `SkipSimplifiedLayerNormalization` (`com.microsoft`) without bias, with a constant scale of one axis and N elements,
    and no other output in use than the result and, of the last, the sum. Result: [`Add` of input and skip, whose output is
    the sum,] `LpNormalization(axis=-1, p=2)`, `Mul` by the scale times sqrt(N); a scale of ones becomes one number.
    Numbers differ by what epsilon was: the new form adds none.
    """
    scales: dict[tuple[int, str], str] = {}
    count = 0
    for scope, node in opened.nodes(*SIMPLIFIED):
        skip = node.op_type.startswith("Skip")
        inputs = [name for name in node.input if name]
        scale = inputs[-1]
        if not _is_plain(scope, node, skip) or node.domain not in (*OWN, MICROSOFT):
            continue
        source = inputs[0]
        if skip:
            named = node.output[SUM_OF_SKIP] if len(node.output) > SUM_OF_SKIP else ""
            source = named or opened.fresh(f"{node.output[0]}_sum")
            scope.put(node, opened.node("Add", inputs[:2], [source], f"{node.name}_Add"))
        key = (id(scope.home(scale)), scale)
        if key not in scales:
            scales[key] = _times_root(opened, scope, scale)
        length = opened.fresh(f"{node.output[0]}_l2")
        scope.put(
            node,
            opened.node("LpNormalization", [source], [length], f"{node.name}_L2Norm", axis=-1, p=2),
            opened.node("Mul", [length, scales[key]], [node.output[0]], f"{node.name}_Mul"),
        )
        count += 1
    return count


def _is_plain(scope: Scope, node: NodeProto, skip: bool) -> bool:
    inputs = [name for name in node.input if name]
    used = {place for place, name in enumerate(node.output) if place and scope.is_read(name)}
    scale = (
        scope.constant(inputs[-1]) if len(inputs) == 2 + skip and used <= ({SUM_OF_SKIP} if skip else set()) else None
    )
    return scale is not None and len(scale.dims) == 1 and attribute_of(node, "axis", -1) == -1


def _times_root(opened: Opened, scope: Scope, name: str) -> str:
    import numpy as np

    tensor = scope.constant(name)
    assert tensor is not None, "looked at before"
    scale = opened.values(tensor)
    root = np.sqrt(np.asarray(len(scale), np.float64))
    ones = bool((scale == 1).all())
    new = np.asarray([root] if ones else scale.astype(np.float64) * root).astype(scale.dtype)
    return opened.weight(opened.main, new, f"{name}_times_root")


def pow_reduce_sum_pow_div_to_lp_norm(opened: Opened, _: NoParameters) -> Found:
    """Writes a division by the root of the sum of squares as the operator it is.

    Pattern: `Div(x, Pow(ReduceSum(Pow(x, 2)), 0.5))`, both exponents constant, the sum over one axis known by its number
    and kept (`keepdims=1`). Result: `LpNormalization(axis, p=2)`. Equal numbers, except that of a vector of zeros the old
    form gives NaN and the new one zeros in ONNX Runtime.
    """
    count = 0
    for scope, division in opened.nodes("Div"):
        root = _power(opened, scope, division.input[1], 0.5)
        total = scope.maker(root.input[0], "ReduceSum") if root is not None else None
        square = _power(opened, scope, total.input[0], 2.0) if total is not None else None
        if total is None or square is None or square.input[0] != division.input[0] or division.domain not in OWN:
            continue
        axis = _one_axis(opened, scope, total)
        if axis is None or attribute_of(total, "keepdims", 1) != 1:
            continue
        inputs, outputs = [division.input[0]], [division.output[0]]
        scope.put(division, opened.node("LpNormalization", inputs, outputs, f"{division.name}_lp_norm", axis=axis, p=2))
        count += 1
    return count


def _power(opened: Opened, scope: Scope, value: str, exponent: float) -> NodeProto | None:
    node = scope.maker(value, "Pow")
    tensor = scope.constant(node.input[1]) if node is not None else None
    if node is None or tensor is None or math.prod(tensor.dims) != 1 or len(tensor.dims) > 1:
        return None
    return node if float(opened.values(tensor).reshape(())) == exponent else None


def _one_axis(opened: Opened, scope: Scope, total: NodeProto) -> int | None:
    if opened.opset < AXES_ARE_INPUTS:
        axes = attribute_of(total, "axes", [])
        found = [int(axis) for axis in axes] if isinstance(axes, list) else []
    else:
        tensor = scope.constant(total.input[1]) if len(total.input) > 1 else None
        found = [int(axis) for axis in opened.values(tensor).reshape(-1)] if tensor is not None else []
    return found[0] if len(found) == 1 else None


def reciprocal_mul_to_div(opened: Opened, _: NoParameters) -> Found:
    """Divides by a value where it was inverted and multiplied by, as runtimes expect a norm to be written.

    Pattern: `Mul(a, Reciprocal(x))` in either order. Result: `Div(a, x)`; the `Reciprocal` goes where nothing else reads
    it. Numbers differ by rounding in the last place.
    """
    count = 0
    for scope, product in opened.nodes("Mul"):
        for place in (1, 0):
            inverse = scope.maker(product.input[place], "Reciprocal")
            if inverse is None or product.domain not in OWN:
                continue
            inputs, outputs = [product.input[1 - place], inverse.input[0]], [product.output[0]]
            scope.put(product, opened.node("Div", inputs, outputs, f"{product.name}_Div"))
            count += 1
            break
    return count


REWRITES = (
    Rewrite(
        "simplified_layer_norm_to_l2_norm",
        "SimplifiedLayerNormToL2Norm",
        simplified_layer_norm_to_l2_norm,
        f"{SIMPLIFIED[0]}, {SIMPLIFIED[1]} or {SIMPLIFIED[2]} over the last axis with a constant scale and no bias",
    ),
    Rewrite(
        "pow_reduce_sum_pow_div_to_lp_norm",
        "PowReduceSumPowDiv2LpNorm",
        pow_reduce_sum_pow_div_to_lp_norm,
        "Div(x, Pow(ReduceSum(Pow(x, 2)), 0.5)) over one known axis",
    ),
    Rewrite("reciprocal_mul_to_div", "ReciprocalMulToDiv", reciprocal_mul_to_div, "Mul(a, Reciprocal(x))"),
)

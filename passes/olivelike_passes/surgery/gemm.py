"""Rewrites between `Gemm` and `MatMul` with `Add`: quantizers and accelerators each know one of the two."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from olivelike_passes.surgery.opened import Opened
from olivelike_passes.surgery.rewrite import Found, NoParameters, Rewrite
from olivelike_passes.surgery.scope import OWN, Scope, attribute_of
from olivelike_passes.surgery.shapes import Shapes, shapes_of

if TYPE_CHECKING:
    from onnx import NodeProto


def gemm_to_matmul_add(opened: Opened, _: NoParameters) -> Found:
    """Writes `Gemm` as `MatMul` and `Add`, for quantizers that look for `MatMul`.

    Pattern: `Gemm` with alpha and beta 1 and transA 0. Result: `MatMul`, and `Add` where there is a third input; with transB
    a constant weight is transposed (once, however often it is used), and any other is read through a `Transpose`. The rest of
    the `Gemm` nodes stay. Numbers differ by rounding at most.
    """
    turned: dict[tuple[int, str], str] = {}
    count = 0
    for scope, node in opened.nodes("Gemm"):
        inputs = list(node.input)
        plain = all(attribute_of(node, name, 1.0) == 1.0 for name in ("alpha", "beta"))
        if not plain or attribute_of(node, "transA", 0) or node.domain not in OWN:
            continue
        base, weight = node.name or node.output[0], inputs[1]
        if attribute_of(node, "transB", 0):
            weight = _turned(opened, scope, node, turned)
        added = len(inputs) > 2 and bool(inputs[2])
        product = opened.fresh(f"{base}_matmul_out") if added else node.output[0]
        scope.put(node, opened.node("MatMul", [inputs[0], weight], [product], f"{base}_MatMul"))
        if added:
            scope.put(node, opened.node("Add", [product, inputs[2]], [node.output[0]], f"{base}_Add"))
        count += 1
    return count


def _turned(opened: Opened, scope: Scope, node: NodeProto, turned: dict[tuple[int, str], str]) -> str:
    name = node.input[1]
    tensor = scope.constant(name)
    if tensor is None:
        output = opened.fresh(f"{node.output[0]}_transpose_B")
        scope.put(node, opened.node("Transpose", [name], [output], f"{node.name or output}_Transpose", perm=[1, 0]))
        return output
    home = scope.home(name) or scope
    if (id(home), name) not in turned:
        turned[id(home), name] = opened.weight(home, opened.values(tensor).T, f"{name}_transposed")
    return turned[id(home), name]


@dataclass(frozen=True, slots=True)
class _Product:
    """A `MatMul`, the `Add` that alone reads it, and the shapes before and after, both empty where x has 2 axes already."""

    matmul: NodeProto
    add: NodeProto
    bias: str
    flat: tuple[int, ...]
    shape: tuple[int, ...]


def matmul_add_to_gemm(opened: Opened, _: NoParameters) -> Found:
    """Writes `MatMul` and `Add` as `Gemm`.

    Pattern: `MatMul(x, w)` that only an `Add` reads; w has 2 axes; the other input of the `Add` has one axis, of as many
    elements as w has columns, or one. Result where x has 2 axes: `Gemm(x, w, bias)`. Result where x has more, all of known
    size: `Reshape` to 2 axes, `Gemm`, `Reshape` back; a `Relu` that alone reads the sum goes before the last `Reshape`. The
    rest stays. Numbers differ by rounding at most.
    """
    shapes = shapes_of(opened)
    count = 0
    for scope, matmul in opened.nodes("MatMul"):
        found = _product(scope, matmul, shapes) if matmul.domain in OWN else None
        if found is not None:
            _put_gemm(opened, scope, found)
            count += 1
    return count


def _product(scope: Scope, matmul: NodeProto, shapes: Shapes) -> _Product | None:
    add = scope.only_reader(matmul.output[0], "Add")
    if add is None:
        return None
    bias = next(name for name in add.input if name != matmul.output[0])
    if any(_is_whole(scope, name) for name in (*matmul.input, bias)):  # there is a Gemm of them, and no runtime has it
        return None
    x, weight, added = (shapes.of(scope, name) for name in (*matmul.input, bias))
    if (
        len(x) < 2
        or len(weight) != 2
        or len(added) != 1
        or not isinstance(weight[1], int)
        or added[0] not in (1, weight[1])
    ):
        return None
    if len(x) == 2:
        return _Product(matmul, add, bias, (), ())
    known = [
        size for size in (*x, weight[1]) if isinstance(size, int) and size > 0
    ]  # a Reshape to 0 means another thing
    if len(known) <= len(x):
        return None
    return _Product(matmul, add, bias, (math.prod(known[:-2]), known[-2]), (*known[:-2], known[-1]))


def _is_whole(scope: Scope, name: str) -> bool:
    """Whether a value is a constant of anything but floating-point numbers."""
    import onnx

    tensor = scope.constant(name)
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
    return tensor is not None and tensor.data_type not in floats


def _put_gemm(opened: Opened, scope: Scope, found: _Product) -> None:
    base = found.matmul.name or found.matmul.output[0]
    gemm = base.replace("MatMul", "Gemm") if "MatMul" in base else f"{base}_Gemm"
    x, weight = found.matmul.input
    output = found.add.output[0]
    scope.drop(found.matmul)
    if not found.shape:
        scope.put(found.add, opened.node("Gemm", [x, weight, found.bias], [output], gemm))
        return
    relu = scope.only_reader(output, "Relu")
    flat, product = opened.fresh(f"{gemm}_flat"), opened.fresh(f"{gemm}_output")
    scope.put(
        found.add,
        _reshape(opened, scope, x, flat, found.flat, f"{gemm}_Reshape_pre"),
        opened.node("Gemm", [flat, weight, found.bias], [product], gemm),
    )
    if relu is not None:
        output, active = relu.output[0], opened.fresh(f"{gemm}_relu")
        scope.put(relu, opened.node("Relu", [product], [active], relu.name or active))
        scope.put(relu, _reshape(opened, scope, active, output, found.shape, f"{gemm}_Reshape_post"))
    else:
        scope.put(found.add, _reshape(opened, scope, product, output, found.shape, f"{gemm}_Reshape_post"))


def _reshape(opened: Opened, scope: Scope, value: str, output: str, shape: tuple[int, ...], name: str) -> NodeProto:
    import numpy as np

    sizes = opened.weight(scope, np.asarray(shape, np.int64), f"{name}_shape")
    return opened.node("Reshape", [value, sizes], [output], name)


REWRITES = (
    Rewrite("gemm_to_matmul_add", "GemmToMatMulAdd", gemm_to_matmul_add, "Gemm with alpha and beta 1 and transA 0"),
    Rewrite(
        "matmul_add_to_gemm",
        "MatMulAddToGemm",
        matmul_add_to_gemm,
        "MatMul by a value of 2 axes whose only reader is an Add of one axis, with x of 2 axes or of known size",
    ),
)

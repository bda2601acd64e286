"""The operators that read rounded weights, put in the place of `MatMul`, `Gemm` and `Gather`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from olivelike.onnxfile.tensors import kept_apart
from olivelike_passes.matrices import Matrix
from olivelike_passes.quantization.blocks.choice import FLOAT16, Choice, reads
from olivelike_passes.quantization.blocks.opened import MICROSOFT, OpenModel

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import NodeProto

Layout: TypeAlias = Literal["blocks", "rows", "signed_rows", "matrix"]
"""How codes lie: `[outputs, blocks, bytes]`, `[outputs, bytes]`, the same as whole numbers around 0, `[inputs, outputs]`."""
Make: TypeAlias = "Callable[[Choice, Layout], Sequence[NDArray[Any]]]"
UINT8 = 2
FIRST_IR = {2: 13, 4: 10, 8: 3}
"""The IR version from which on whole numbers of so many bits exist."""


class Forms:
    """Replaces nodes one after the other; a weight that several read in the same form is stored once."""

    def __init__(self, opened: OpenModel, shared: Mapping[int, Choice], make: Make) -> None:
        """Gets ready.

        Args:
            opened: the model.
            shared: embeddings that other matrices read as well, by the identity of their tensors.
            make: makes the new tensors of a matrix.
        """
        self._opened = opened
        self._make = make
        self._shared = shared
        self._stored: dict[tuple[object, ...], list[str]] = {}

    def nbits(self, choice: Choice, accuracy_level: int, activations: str) -> None:
        """Puts `MatMulNBits` in the place of a `MatMul` or `Gemm`."""
        matrix = choice.matrix
        table = reads(choice, self._shared)
        if table is None:
            names, grid = self._stored_as(choice, "blocks"), choice.grid
        else:
            names, grid = self._stored_as(table, "rows"), table.grid
            names = [self._in_blocks(table, matrix.node, names[0]), *names[1:]]
        sizes = {"K": matrix.inputs, "N": matrix.outputs, "bits": grid.stored_bits, "block_size": grid.block}
        if accuracy_level:
            sizes["accuracy_level"] = accuracy_level
        inputs = [activations, *names]
        bias = self._plain_bias(matrix)
        if bias:
            inputs += [""] * (5 - len(inputs)) + [bias]
        rest = None if bias else self._addition(matrix)
        self._opened.become(matrix.node, "MatMulNBits", inputs, MICROSOFT, **sizes)
        self._finish(choice, rest)

    def lookup(self, choice: Choice) -> None:
        """Puts `GatherBlockQuantized` in the place of a `Gather`."""
        node, grid = choice.matrix.node, choice.grid
        names = self._stored_as(choice, "rows")
        sizes = {"gather_axis": 0, "quantize_axis": 1, "block_size": grid.block, "bits": grid.stored_bits}
        self._opened.become(node, "GatherBlockQuantized", [names[0], node.input[1], *names[1:]], MICROSOFT, **sizes)
        self._finish(choice, None)

    def dequantized(self, choice: Choice, activations: str) -> None:
        """Puts a blocked `DequantizeLinear` before a `MatMul` (a `Gemm` becomes one, and an `Add`)."""
        matrix, grid = choice.matrix, choice.grid
        names = self._stored_as(choice, "matrix")
        weight = self._opened.value(f"{names[0]}_dequantized")
        new = self._opened.node("DequantizeLinear", names, weight, weight, axis=0, block_size=grid.block)
        self._opened.before(matrix.node, new)
        rest = self._addition(matrix)
        self._opened.become(matrix.node, "MatMul", [activations, weight])
        self._finish(choice, rest)

    def dequantized_rows(self, choice: Choice) -> None:
        """Puts a `Gather` of 8-bit codes, one of scales and a blocked `DequantizeLinear` in the place of a `Gather`."""
        node = choice.matrix.node
        names = self._stored_as(choice, "signed_rows")
        rows = [self._opened.value(f"{node.output[0]}_{each}") for each in ("codes", "scales", "zeros")[: len(names)]]
        for name, found in zip(names, rows, strict=True):
            self._opened.before(node, self._opened.node("Gather", [name, node.input[1]], found, found, axis=0))
        self._opened.become(node, "DequantizeLinear", rows, axis=-1, block_size=choice.grid.block)
        self._finish(choice, None)

    def _stored_as(self, choice: Choice, layout: Layout) -> list[str]:
        """Returns the names of a matrix's new tensors, which are announced when they are asked for first."""
        matrix, grid = choice.matrix, choice.grid
        # The runtime turns QDQ into its own operator only where weights lie in the node's own graph, and fails elsewhere
        # (1.32.0: "Missing required weight").
        graph = matrix.graph if layout == "matrix" else None
        key = (id(matrix.tensor), matrix.rows_are_outputs, grid, choice.method, choice.input, layout, id(graph))
        if key not in self._stored:
            kinds, shapes = self._kinds(choice, layout), _shapes(choice, layout)
            ends = (f"q{grid.bits}", "scales", "zeros")[: 2 if grid.symmetric else 3]
            parts = [(end, kind, shape) for end, kind, shape in zip(ends, kinds, shapes, strict=False)]
            source = replace(choice, matrix=replace(matrix, tensor=kept_apart(matrix.tensor)))
            self._stored[key] = self._opened.announce(matrix.tensor, parts, lambda: self._make(source, layout), graph)
        return self._stored[key]

    def _kinds(self, choice: Choice, layout: Layout) -> tuple[int, int, int]:
        """Returns the element types of codes, scales and zeros."""
        import onnx

        grid, scales = choice.grid, int(choice.matrix.tensor.data_type)
        if layout in ("blocks", "rows"):
            return UINT8, scales, scales if grid.float_zeros else UINT8
        self._opened.at_least_ir(FIRST_IR[grid.stored_bits])
        codes = onnx.TensorProto.DataType.Value(f"{'' if grid.symmetric else 'U'}INT{grid.stored_bits}")
        return codes, scales, codes

    def _in_blocks(self, table: Choice, node: NodeProto, codes: str) -> str:
        """Returns a table in the shape in which `MatMulNBits` takes it: the runtime reshapes it as it loads the model."""
        import numpy as np

        shape = np.asarray(_shapes(table, "blocks")[0], np.int64)
        sizes = self._opened.constant(table.matrix.tensor, "block_shape", shape)
        turned = self._opened.value(f"{codes}_in_blocks")
        self._opened.before(node, self._opened.node("Reshape", [codes, sizes], turned, turned))
        return turned

    def _plain_bias(self, matrix: Matrix) -> str:
        """Returns a `Gemm`'s bias that `MatMulNBits` takes as it is: one number for each output."""
        bias, scale = _bias(matrix)
        return bias if bias and scale == 1 and self._opened.shape_of(bias) == (matrix.outputs,) else ""

    def _addition(self, matrix: Matrix) -> list[NodeProto] | None:
        """Returns the nodes that add a `Gemm`'s bias to what the node makes from now on under another name."""
        import numpy as np

        bias, scale = _bias(matrix)
        if not bias:
            return None
        node, new = matrix.node, []
        output = node.output[0]
        product = self._opened.value(f"{output}_product")
        if scale != 1:
            kind = np.float16 if matrix.tensor.data_type == FLOAT16 else np.float32
            factor = self._opened.constant(matrix.tensor, "beta", np.asarray(scale, kind))
            scaled = self._opened.value(f"{output}_bias")
            new.append(self._opened.node("Mul", [bias, factor], scaled, scaled))
            bias = scaled
        new.append(self._opened.node("Add", [product, bias], output, f"{node.name or output}_Add"))
        node.output[0] = product
        return new

    def _finish(self, choice: Choice, rest: Sequence[NodeProto] | None) -> None:
        matrix = choice.matrix
        if rest:
            self._opened.after(matrix.node, *rest)
        behind = [(matrix.graph, matrix.behind)] if matrix.behind is not None else []
        self._opened.replaced(matrix.tensor, *behind)


def _bias(matrix: Matrix) -> tuple[str, float]:
    """Returns the name of a `Gemm`'s third input, if it has one, and the number that it is multiplied with."""
    node = matrix.node
    if matrix.kind != "Gemm" or len(node.input) < 3:
        return "", 1.0
    return node.input[2], next((float(each.f) for each in node.attribute if each.name == "beta"), 1.0)


def _shapes(choice: Choice, layout: Layout) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
    """Returns the shapes of codes, scales and zeros."""
    matrix, grid = choice.matrix, choice.grid
    inputs, outputs, blocks, bits = matrix.inputs, matrix.outputs, choice.blocks, grid.stored_bits
    spacing = [outputs, blocks]
    zeros = spacing if grid.float_zeros else [outputs, -(-blocks * bits // 8)]
    match layout:
        case "blocks":
            return [outputs, blocks, grid.block * bits // 8], spacing, zeros
        case "rows":
            return [outputs, inputs * bits // 8], spacing, zeros
        case "signed_rows":
            return [outputs, inputs], spacing, spacing
        case "matrix":
            return [inputs, outputs], [blocks, outputs], [blocks, outputs]

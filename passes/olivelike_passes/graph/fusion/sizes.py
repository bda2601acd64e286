"""Sizes as values of the graph, for fused operators that want them: each is computed once for all that need it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from olivelike_passes.graph.fusion.build import fused_node
from olivelike_passes.graph.fusion.dims import Dim
from olivelike_passes.graph.fusion.heads import SPLIT, Heads
from olivelike_passes.graph.fusion.net import Net

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import NodeProto

INT32 = 6


class Sizes:
    """Makes values of sizes; nodes that compute them stand as early as what they are computed from."""

    def __init__(self, net: Net) -> None:
        self._net = net
        self._made: dict[object, str] = {}
        self._sources: dict[Dim, list[tuple[str, int]]] = {}

    def learn(self, heads: Heads) -> None:
        """Remembers from which value the size of a batch, or a length, can be read."""
        source, axis = (heads.whole, 1) if heads.whole else (heads.value, 2)
        self._sources.setdefault(heads.batch, [(source, 0)])
        self._sources.setdefault(heads.length, [(source, axis)])

    def learn_total(self, length: Dim, past: str, new: Heads) -> None:
        """Remembers that a length is the one of heads kept from earlier and of new ones together."""
        self.learn(new)
        self._sources.setdefault(length, [(past, 2), *self._sources[new.length]])

    def vector(self, size: Dim) -> str:
        """Returns an int64 vector of one size."""
        if isinstance(size, int):
            return self.whole_numbers([size])
        if size not in self._made:
            parts = [
                self._add("Gather", [self._add("Shape", [source]), self.whole_numbers([axis])], axis=0)
                for source, axis in self._sources[size]
            ]
            self._made[size] = parts[0] if len(parts) == 1 else self._add("Add", parts)
        return self._made[size]

    def lengths(self, batch: Dim, length: Dim) -> tuple[str, str]:
        """Returns the int32 vector of a batch of equal lengths, less one, and the int32 vector of that one length."""
        key = ("lengths", batch, length)
        if key not in self._made:
            total = self._add("Cast", [self.vector(length)], to=INT32)
            less = self._add("Sub", [total, self._constant(_array([1], "int32"))])
            self._made[key] = self._add("Expand", [less, self.vector(batch)])
            self._made["total", length] = total
        return self._made[key], self._made["total", length]

    def expanded(self, mask: str, wanted: tuple[Dim, Dim, Dim]) -> str:
        """Returns a mask with four axes, as large as it is to be: for the batch, the length, and the length of the keys."""
        key = ("mask", mask, *wanted)
        if key not in self._made:
            batch, *lengths = (self.vector(size) for size in wanted)
            sizes = self._add("Concat", [batch, self.whole_numbers([1]), *lengths], axis=0)
            self._made[key] = self._add("Expand", [mask, sizes])
        return self._made[key]

    def together(self, heads: Heads) -> str:
        """Returns heads put together, or what they were split from: [batch, length, heads * size]."""
        if heads.whole:
            return heads.whole
        turned = self._add("Transpose", [heads.value], perm=SPLIT)
        return self._add("Reshape", [turned, self.whole_numbers([0, 0, heads.count * heads.size])])

    def rows(self, table: str) -> str:
        """Returns the number of each row of a value [batch, length, ...], counted through: int64 [batch, length]."""
        key = ("rows", table)
        if key not in self._made:
            shape = self._add("Shape", [table])
            lengths = self._add("Gather", [shape, self.whole_numbers([0, 1])], axis=0)
            count = self._add("ReduceProd", [lengths], keepdims=0)
            counted = self._add(
                "Range", [self._constant(_array(0, "int64")), count, self._constant(_array(1, "int64"))]
            )
            self._made[key] = self._add("Reshape", [counted, lengths])
        return self._made[key]

    def cos_and_sin(self, angles: str) -> tuple[str, str]:
        """Returns cosines and sines of a value, all its axes but the last made one."""
        key = ("angles", angles)
        if key not in self._made:
            size = self._net.last(angles)
            flat = self._add("Reshape", [angles, self.whole_numbers([-1, size if isinstance(size, int) else 0])])
            self._made[key] = self._add("Cos", [flat])
            self._made["sines", angles] = self._add("Sin", [flat])
        return self._made[key], self._made["sines", angles]

    def repeated(self, rows: str, batch: Dim) -> str:
        """Returns numbers of rows [1, length] for every sequence of a batch."""
        key = ("repeated", rows, batch)
        if key not in self._made:
            wanted = self._add("Concat", [self.vector(batch), self.whole_numbers([1])], axis=0)
            self._made[key] = self._add("Expand", [rows, wanted])
        return self._made[key]

    def stacked(self, query: str, count: int, times: int, size: int) -> str:
        """Returns a query [batch, length, count * times * size] as [batch, times * length, count * size]."""
        apart = self._add("Reshape", [query, self.whole_numbers([0, 0, count, times, size])])
        turned = self._add("Transpose", [apart], perm=(0, 3, 1, 2, 4))
        return self._add("Reshape", [turned, self.whole_numbers([0, -1, count * size])])

    def unstacked(self, value: str, result: str, name: str, count: int, times: int, size: int) -> list[NodeProto]:
        """Returns the nodes that undo what `stacked` did."""
        apart, turned = self._net.new_name(f"{result}_apart"), self._net.new_name(f"{result}_turned")
        names = [self._net.new_name("fuse/Reshape"), self._net.new_name("fuse/Transpose")]
        split, joined = (
            self.whole_numbers([0, times, -1, count, size]),
            self.whole_numbers([0, 0, count * times * size]),
        )
        return [
            fused_node("Reshape", [value, split], [apart], names[0], ""),
            fused_node("Transpose", [apart], [turned], names[1], "", perm=(0, 2, 3, 1, 4)),
            fused_node("Reshape", [turned, joined], [result], name, ""),
        ]

    def tiled(self, mask: str, times: int) -> str:
        """Returns a mask [.., .., length, keys] as many times below itself."""
        key = ("tiled", mask, times)
        if key not in self._made:
            self._made[key] = self._add("Tile", [mask, self.whole_numbers([1, 1, times, 1])])
        return self._made[key]

    def regrouped(self, mask: str, count: int) -> str:
        """Returns a mask [.., heads, length, keys] with those of heads that share a key below one another: `count` of them."""
        key = ("regrouped", mask, count)
        if key not in self._made:
            self._made[key] = self._add("Reshape", [mask, self.whole_numbers([0, count, -1, 0])])
        return self._made[key]

    def zero_for_nan(self, value: str, result: str) -> list[NodeProto]:
        """Returns the nodes that put 0 in the place of what is no number."""
        found = self._net.new_name(f"{result}_nan")
        zero = self._constant(_array(0, "float32"))
        names = [self._net.new_name("fuse/IsNaN"), self._net.new_name("fuse/Where")]
        return [
            fused_node("IsNaN", [value], [found], names[0], ""),
            fused_node("Where", [found, zero, value], [result], names[1], ""),
        ]

    def whole_numbers(self, numbers: Sequence[int]) -> str:
        """Returns a constant int64 vector."""
        return self._constant(_array(numbers, "int64"))

    def _constant(self, array: NDArray[np.generic]) -> str:
        import onnx

        key = ("constant", array.dtype.name, array.shape, array.tobytes())
        if key not in self._made:
            name = self._net.new_name("fuse/constant")
            self._made[key] = self._net.add_constant(onnx.numpy_helper.from_array(array, name))
        return self._made[key]

    def _add(self, kind: str, inputs: Sequence[str], **attributes: int | Sequence[int]) -> str:
        made = self._net.new_name(f"fuse/{kind}")
        self._net.insert(fused_node(kind, inputs, [made], made, "", **attributes))
        return made


def _array(numbers: float | Sequence[int], kind: str) -> NDArray[np.generic]:
    import numpy as np

    return np.asarray(numbers, kind)

"""New tensors whose values are made when they are written: a model of any size is converted one tensor at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from olivelike.onnxfile.sizes import byte_count

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import TensorProto

    Raw = NDArray[np.generic]


class Made:
    """Tensors that are announced by name, type and shape, and whose values come later.

    What belongs together (a weight's codes, scales and zero points) is made in one go, when the writer asks for the first of
    it, and let go as soon as the last was written; so a group's tensors should stand beside each other in the graph.
    """

    def __init__(self) -> None:
        """Starts with nothing announced."""
        self._groups: dict[str, _Group] = {}

    def announce(self, tensors: Sequence[TensorProto], make: Callable[[], Sequence[Raw]]) -> None:
        """Announces tensors that are made together.

        Args:
            tensors: initializers with name, type and shape and without values; their names are nobody else's in the model.
            make: returns their values in the same order. Types of less than a byte come packed, as uint8.
        """
        group = _Group(tuple(tensors), make)
        self._groups |= {tensor.name: group for tensor in tensors}

    def __contains__(self, name: str) -> bool:
        """Whether a tensor was announced, and not taken yet."""
        return name in self._groups

    def take(self, tensor: TensorProto) -> memoryview:
        """Returns an announced tensor's raw little-endian bytes, once.

        Raises:
            ValueError: what was made does not fill the tensor.
        """
        values = self._groups.pop(tensor.name).values_of(tensor.name)
        if values.nbytes != byte_count(tensor):
            claim = (
                f"{tensor.name!r} takes {byte_count(tensor)} bytes as it was announced, and {values.nbytes} were made"
            )
            raise ValueError(claim)
        return values.reshape(-1).view("uint8").data


class _Group:
    def __init__(self, tensors: tuple[TensorProto, ...], make: Callable[[], Sequence[Raw]]) -> None:
        self._names = [tensor.name for tensor in tensors]
        self._make = make
        self._values: dict[str, Raw] = {}

    def values_of(self, name: str) -> Raw:
        """Returns the values of one of the group's tensors and lets go of them."""
        import numpy as np

        if not self._values:
            made = [np.ascontiguousarray(values) for values in self._make()]
            self._values = dict(zip(self._names, made, strict=True))
        return self._values.pop(name)

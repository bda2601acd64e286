"""Which weights are equal: of one type and shape and the same bytes, found by reading one at a time and no more than needed."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.onnxfile.tensors import inlined, raw_pieces

if TYPE_CHECKING:
    from onnx import TensorProto

FIRST = 1 << 14
"""Bytes by which weights are told apart before all of them are read."""


def equal_weights(tensors: Iterable[TensorProto], model: Path) -> list[list[TensorProto]]:
    """Returns the groups of two and more equal tensors, each in the order given, the groups in that of their first.

    Shapes and types are compared first, then the first bytes of those left, then all bytes; a zero below zero is not zero.

    Args:
        tensors: initializers.
        model: the file beside which their external data lie.
    """
    groups = _split([list(tensors)], lambda tensor: (tensor.data_type, tuple(tensor.dims)))
    groups = _split(groups, lambda tensor: _digest(tensor, model, most=FIRST))
    return _split(groups, lambda tensor: _digest(tensor, model))


def transposed_pairs(tensors: Iterable[TensorProto], model: Path) -> list[tuple[str, str]]:
    """Returns the names of matrices that are each other's transpose; those that are their own are left out."""
    matrices = [tensor for tensor in tensors if len(tensor.dims) == 2]
    shapes = {(tensor.data_type, tuple(tensor.dims)) for tensor in matrices}
    turned = [tensor for tensor in matrices if (tensor.data_type, tuple(tensor.dims)[::-1]) in shapes]
    straight: dict[Hashable, str] = {}
    pairs = []
    for tensor in turned:
        across = straight.get((tensor.data_type, tuple(tensor.dims)[::-1], _transposed_digest(tensor, model)))
        if across is not None:
            pairs.append((across, tensor.name))
        straight.setdefault((tensor.data_type, tuple(tensor.dims), _digest(tensor, model)), tensor.name)
    return pairs


def _split(groups: Sequence[Sequence[TensorProto]], by: Callable[[TensorProto], Hashable]) -> list[list[TensorProto]]:
    """Returns the parts of two and more that groups fall into."""
    found = []
    for group in groups:
        parts: dict[Hashable, list[TensorProto]] = defaultdict(list)
        for tensor in group:
            parts[by(tensor)].append(tensor)
        found += [part for part in parts.values() if len(part) > 1]
    return found


def _digest(tensor: TensorProto, model: Path, most: int = 0) -> bytes:
    state = hashlib.sha256()
    if tensor.data_type == tensor.STRING:
        for text in tensor.string_data:
            state.update(len(text).to_bytes(8, "little") + text)
    else:
        for piece in islice(raw_pieces(tensor, model), 1 if most else None):
            state.update(memoryview(piece)[: most or None])
    return state.digest()


def _transposed_digest(tensor: TensorProto, model: Path) -> bytes:
    import numpy as np
    from onnx import numpy_helper

    values = numpy_helper.to_array(inlined(tensor, model))
    return hashlib.sha256(np.ascontiguousarray(values.T).tobytes()).digest()

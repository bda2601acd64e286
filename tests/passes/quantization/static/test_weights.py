"""Tests of large weights while a static quantizer works: their codes, and what rounding takes from them."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from onnx import NodeProto
from onnx.numpy_helper import from_array

from olivelike.testing.building import float_value, model_of, node_of, random_values
from olivelike_passes import slices
from olivelike_passes.quantization.static.sources import Sources
from olivelike_passes.quantization.static.weights import Weight, lost, weights_of
from olivelike_passes.quantization.tool import Scheme

MATMUL = node_of("MatMul", ["x", "w"], ["y"])
TURNED = node_of("Gemm", ["x", "w"], ["y"], transB=1)
CONV = node_of("Conv", ["x", "w"], ["y"])


def weight_of(node: NodeProto, *shape: int) -> Weight:
    tensor = from_array(random_values("w", *shape), "w")
    model = model_of([node], [float_value("x", None)], [float_value("y", None)], [tensor])
    return next(weights_of(model, Sources(model, Path("model.onnx")), above=0))


def scheme(*, per_channel: bool = False) -> Scheme:
    return Scheme("int8", True, per_channel, False, [], [])


@pytest.mark.parametrize(("node", "shape"), [(MATMUL, (600, 900)), (TURNED, (900, 600)), (CONV, (900, 60, 3, 3))])
@pytest.mark.parametrize("per_channel", [False, True])
def test_rounding_takes_less_than_half_a_step_and_slices_come_in_order(
    node: NodeProto, shape: tuple[int, ...], per_channel: bool
) -> None:
    weight = weight_of(node, *shape)
    parts = list(lost(weight, scheme(per_channel=per_channel)))
    assert len(parts) > 1
    assert [part.start for part, _ in parts[1:]] == [part.stop for part, _ in parts[:-1]]
    error = np.concatenate([rows for _, rows in parts]).reshape(shape)
    values = weight.values().astype(np.float64)
    other = tuple(axis for axis in range(len(shape)) if axis != weight.axis)
    step = 2 * np.abs(values).max(other if per_channel else None, keepdims=True) / 254
    assert np.abs(error / step).max() < 0.5 + 1e-5  # scales are float32
    codes = (values - error) / step
    assert np.abs(codes - np.rint(codes)).max() < 1e-4  # 127 float32 steps of 1e-7, and a margin


def test_what_rounding_takes_is_never_held_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = weight_of(MATMUL, 2048, 4096)
    monkeypatch.setattr(slices, "cores", lambda: 2)  # each works on a slice of its own
    tracemalloc.start()
    for _ in lost(weight, scheme(per_channel=True)):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The weight is copied out of the model, its codes take a quarter of that, and slices of 2 MB the rest; in float64 it is 2.
    assert peak < 1.8 * weight.values().nbytes

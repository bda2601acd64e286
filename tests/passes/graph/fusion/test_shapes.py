"""Tests of shapes followed by name."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from olivelike.testing.building import node_of, whole_tensor
from olivelike.testing.transformer_models import decoder_layer, encoder_layer
from olivelike_passes.graph.fusion.content_rules import CONTENTS
from olivelike_passes.graph.fusion.dims import Shape
from olivelike_passes.graph.fusion.shape_rules import SHAPES
from olivelike_passes.graph.fusion.shapes import ALIKE, PAIRS, Shapes

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

X = {"x": ("batch", "length", 12)}


def followed(nodes: list[NodeProto], shapes: Mapping[str, Shape], contents: Mapping[str, Shape]) -> Shapes:
    known = Shapes({**{name: (len(each),) for name, each in contents.items()}, **shapes}, contents)
    for node in nodes:
        known.follow(node)
    return known


@pytest.mark.parametrize(
    ("nodes", "contents", "shape"),
    [
        ([node_of("Reshape", ["x", "c"], ["y"])], {"c": (0, 0, 3, -1)}, ("batch", "length", 3, 4)),
        ([node_of("Reshape", ["x", "c"], ["y"], allowzero=1)], {"c": (0, 5)}, (0, 5)),
        ([node_of("Reshape", ["x", "c"], ["y"])], {"c": (-1, 12)}, (("*", "batch", "length"), 12)),
        ([node_of("Reshape", ["x", "c"], ["y"])], {"c": (("-", "a", "b"), -1)}, None),
        ([node_of("Transpose", ["x"], ["y"])], {}, (12, "length", "batch")),
        ([node_of("Slice", ["x", "s", "e", "a"], ["y"])], {"s": (2,), "e": (-1,), "a": (2,)}, ("batch", "length", 9)),
        (
            [node_of("Slice", ["x", "s", "e", "a"], ["y"])],
            {"s": (0,), "e": (5,), "a": (1,)},
            ("batch", ("min", 5, "length"), 12),
        ),
        ([node_of("Slice", ["x", "s", "e", "a", "t"], ["y"])], {"s": (0,), "e": (5,), "a": (1,), "t": (2,)}, None),
        ([node_of("ReduceMean", ["x"], ["y"], axes=[-1])], {}, ("batch", "length", 1)),
        ([node_of("ReduceMean", ["x", "a"], ["y"], keepdims=0)], {"a": (0,)}, ("length", 12)),
        ([node_of("Squeeze", ["x"], ["y"])], {}, None),
        ([node_of("Unsqueeze", ["x", "a"], ["y"])], {"a": (1, -1)}, ("batch", 1, "length", 12, 1)),
        ([node_of("Split", ["x"], ["a", "y"], axis=-1)], {}, ("batch", "length", 6)),
        ([node_of("Anything", ["x"], ["y"])], {}, None),
        ([node_of("Relu", ["x"], ["y"], domain="custom")], {}, None),
        ([node_of("QuickGelu", ["x"], ["y"], domain="com.microsoft")], {}, ("batch", "length", 12)),
        ([node_of("Attention", ["x", "x"], ["y"], domain="com.microsoft", num_heads=2)], {}, None),
        ([node_of("Range", ["a", "b"], ["y"], domain="com.microsoft")], {"a": (0,), "b": (4,)}, None),
        ([node_of("ReduceMean", ["x", "a"], ["y"])], {"a": (1, "axis")}, None),
    ],
)
def test_shape_that_an_operator_gives(
    nodes: list[NodeProto], contents: Mapping[str, Shape], shape: Shape | None
) -> None:
    assert followed(nodes, X, contents).shapes.get("y") == shape


@pytest.mark.parametrize("kind", sorted({*SHAPES, *CONTENTS, *ALIKE, *PAIRS, "Split"}))
@pytest.mark.parametrize("domain", ["", "com.microsoft"])
def test_nodes_with_odd_inputs_have_no_known_shape_and_raise_nothing(kind: str, domain: str) -> None:
    contents = {"none": (), "far": (7,), "two": (2, -9), "named": ("batch",), "difference": (("-", "a", "b"),)}
    known = Shapes({**X, "scalar": (), **{name: (len(each),) for name, each in contents.items()}}, contents)
    names = ["x", "scalar", "", "unknown", *contents]
    for count in range(4):
        for inputs in product(names, repeat=count):
            known.follow(node_of(kind, list(inputs), ["y"], domain=domain))
            known.follow(node_of(kind, list(inputs), ["y"], domain=domain, axis=5, perm=[3, 1], to=7, strides=[0]))


def test_expand_whose_shape_is_made_with_minus_ones_as_torchscript_does() -> None:
    nodes = [
        node_of("Shape", ["c"], ["rank"]),
        node_of("ConstantOfShape", ["rank"], ["ones"], value=whole_tensor("one", [1])),
        node_of("Mul", ["ones", "minus"], ["minuses"]),
        node_of("Equal", ["c", "minuses"], ["open"]),
        node_of("Where", ["open", "ones", "c"], ["wanted"]),
        node_of("Expand", ["x", "wanted"], ["y"]),
    ]
    known = followed(nodes, {**X, "minus": ()}, {"c": ("batch", -1, 12), "minus": (-1,)})
    assert known.contents["wanted"] == ("batch", 1, 12)
    assert known.shapes["y"] == ("batch", "length", 12)


def test_sizes_that_may_be_equal_are_not_compared() -> None:
    known = followed([node_of("Equal", ["a", "b"], ["y"])], {}, {"a": ("batch",), "b": (3,)})
    assert "y" not in known.contents


@pytest.mark.parametrize(
    "model",
    [encoder_layer("torchscript"), encoder_layer("dynamo"), decoder_layer(), decoder_layer(past=False)],
    ids=["torchscript", "dynamo", "decoder", "no past"],
)
def test_every_shape_is_the_one_that_values_have_as_the_model_runs(model: ModelProto) -> None:
    sizes = {"batch": 2, "length": 3, "past": 5}
    made = [name for node in model.graph.node for name in node.output]
    feeds, shapes = {}, {}
    for entry in model.graph.input:
        dims = entry.type.tensor_type.shape.dim
        shapes[entry.name] = tuple(dim.dim_value or dim.dim_param for dim in dims)
        kind = onnx.helper.tensor_dtype_to_np_dtype(entry.type.tensor_type.elem_type)
        feeds[entry.name] = np.ones([dim.dim_value or sizes[dim.dim_param] for dim in dims]).astype(kind)
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    small = {name: tuple(map(int, values.reshape(-1))) for name, values in weights.items() if values.dtype == np.int64}
    shapes |= {name: values.shape for name, values in weights.items()}
    known = followed(list(model.graph.node), shapes, small)
    missing = [name for name in made if name not in known.shapes]
    assert missing == []
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in made if name not in _named(model))
    values = dict(zip(_named(model), ReferenceEvaluator(model).run(None, feeds), strict=True))
    for name in made:
        assert tuple(_number(size, sizes) for size in known.shapes[name]) == values[name].shape, name
        if name in known.contents:
            assert [_number(size, sizes) for size in known.contents[name]] == values[name].reshape(-1).tolist(), name


def _named(model: ModelProto) -> list[str]:
    return [entry.name for entry in model.graph.output]


def _number(size: object, sizes: Mapping[str, int]) -> int:
    match size:
        case int():
            return size
        case str():
            return sizes[size]
        case ("+", left, right):
            return _number(left, sizes) + _number(right, sizes)
        case ("*", left, right):
            return _number(left, sizes) * _number(right, sizes)
        case ("-", left, right):
            return _number(left, sizes) - _number(right, sizes)
        case _:
            raise AssertionError(f"a size that no shape here should have: {size}")

"""Identities, repeated nodes, equal small weights and dead ends go; nothing else does."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from olivelike.testing import odd_models
from olivelike.testing.building import float_tensor, float_value, model_of, node_of, weight_of
from olivelike_passes.graph.cleanup import clean, drop_unused_functions
from tests.passes.running import kinds


def of(
    *nodes: onnx.NodeProto, weights: tuple[onnx.TensorProto, ...] = (), outputs: tuple[str, ...] = ("y",)
) -> onnx.ModelProto:
    ends = [float_value(name, "batch", 16) for name in outputs]
    return model_of(list(nodes), [float_value("x", "batch", 16)], ends, list(weights))


def test_what_reads_an_identity_reads_what_it_repeats() -> None:
    model = of(node_of("Identity", ["x"], ["i"]), node_of("Dropout", ["i"], ["d"]), node_of("Relu", ["d"], ["y"]))
    clean(model)
    assert [(node.op_type, list(node.input)) for node in model.graph.node] == [("Relu", ["x"])]


def test_an_identity_that_makes_an_output_stays() -> None:
    model = of(node_of("Identity", ["x"], ["y"]))
    clean(model)
    assert kinds(model) == {"Identity": 1}


def test_a_dropout_whose_mask_is_read_stays() -> None:
    model = of(
        node_of("Dropout", ["x"], ["d", "mask"]),
        node_of("Cast", ["mask"], ["m"], to=1),
        node_of("Add", ["d", "m"], ["y"]),
    )
    clean(model)
    assert kinds(model) == {"Dropout": 1, "Cast": 1, "Add": 1}


def test_repeated_nodes_become_one_through_a_whole_chain() -> None:
    nodes = [
        node_of(kind, [f"{a}{n}"], [f"{b}{n}"]) for n in "12" for kind, a, b in (("Exp", "e", "f"), ("Neg", "f", "g"))
    ]
    starts = [node_of("Relu", ["x"], [f"e{n}"]) for n in "12"]
    model = of(*starts, *nodes, node_of("Add", ["g1", "g2"], ["y"]))
    clean(model)
    assert kinds(model) == {"Relu": 1, "Exp": 1, "Neg": 1, "Add": 1}
    assert list(model.graph.node[-1].input) == ["g1", "g1"]


@pytest.mark.parametrize("kind", ["RandomNormalLike", "Bernoulli"])
def test_nodes_that_draw_are_never_merged(kind: str) -> None:
    model = of(node_of(kind, ["x"], ["a"]), node_of(kind, ["x"], ["b"]), node_of("Add", ["a", "b"], ["y"]))
    clean(model)
    assert kinds(model)[kind] == 2


def test_nodes_with_other_attributes_or_of_a_foreign_domain_are_not_merged() -> None:
    model = of(
        node_of("LeakyRelu", ["x"], ["a"], alpha=0.1),
        node_of("LeakyRelu", ["x"], ["b"], alpha=0.2),
        node_of("Mystery", ["x"], ["c"], domain="nowhere"),
        node_of("Mystery", ["x"], ["d"], domain="nowhere"),
        node_of("Sum", ["a", "b", "c", "d"], ["y"]),
    )
    before = model.SerializeToString()
    clean(model)
    assert model.SerializeToString() == before


def test_equal_small_weights_become_one_and_unlike_ones_stay() -> None:
    weights = (weight_of("a", 16), weight_of("b", 16), weight_of("c", 16))
    weights[1].raw_data = weights[0].raw_data
    model = of(node_of("Sum", ["x", "a", "b", "c"], ["y"]), weights=weights)
    clean(model)
    assert [tensor.name for tensor in model.graph.initializer] == ["a", "c"]
    assert list(model.graph.node[0].input) == ["x", "a", "a", "c"]


def test_equal_bytes_of_another_shape_or_type_are_another_weight() -> None:
    numbers = np.arange(16, dtype=np.float32)
    weights = (
        onnx.numpy_helper.from_array(numbers, "row"),
        onnx.numpy_helper.from_array(numbers.reshape(1, 16), "matrix"),
        onnx.numpy_helper.from_array(numbers.view(np.int32), "whole"),
    )
    nodes = [node_of("Cast", ["whole"], ["w"], to=1), node_of("Sum", ["x", "row", "matrix", "w"], ["y"])]
    model = of(*nodes, weights=weights)
    clean(model)
    assert len(model.graph.initializer) == 3


def test_inside_a_branch_the_same_goes_and_outer_values_are_found() -> None:
    model = odd_models.shared_between_branches()
    for attribute in model.graph.node[0].attribute:
        attribute.g.node.insert(0, node_of("Identity", ["x"], [f"{attribute.name}_x"]))
        attribute.g.node[1].input[0] = f"{attribute.name}_x"
    model.graph.node.insert(0, node_of("Identity", ["w"], ["v"]))
    for attribute in model.graph.node[1].attribute:
        attribute.g.node[1].input[1] = "v"
    clean(model)
    assert kinds(model) == {"If": 1, "MatMul": 2, "Add": 1, "Mul": 1}
    for attribute in model.graph.node[0].attribute:
        assert list(attribute.g.node[0].input) == ["x", "w"]


def test_what_is_said_of_values_that_are_gone_goes_too() -> None:
    model = of(node_of("Relu", ["x"], ["y"]), node_of("Exp", ["x"], ["gone"]), weights=(float_tensor("unused", [1.0]),))
    model.graph.value_info.extend([float_value("gone", "batch", 16)])
    model.graph.quantization_annotation.add(tensor_name="gone")
    clean(model)
    assert (len(model.graph.node), len(model.graph.initializer)) == (1, 0)
    assert not model.graph.value_info
    assert not model.graph.quantization_annotation


def test_functions_that_nothing_calls_go_with_those_that_only_they_call() -> None:
    model = odd_models.function()
    other = model.functions.add()
    other.CopyFrom(model.functions[0])
    other.name = "Outer"
    other.node[0].CopyFrom(node_of("SquarePlus", ["a"], ["b"], domain="own"))
    drop_unused_functions(model)
    assert [function.name for function in model.functions] == ["SquarePlus"]
    for node in model.graph.node:
        node.CopyFrom(node_of("Relu", list(node.input), list(node.output)))
    drop_unused_functions(model)
    assert not model.functions

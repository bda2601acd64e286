"""Nodes, initializers and copies that a model has twice, or for nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from olivelike.errors import RefusedError
from olivelike.onnxfile.read import read_structure
from olivelike.testing import models, odd_models
from olivelike.testing.building import float_tensor, float_value, model_of, node_of
from olivelike.testing.context import run_model
from olivelike_passes.surgery.surgery import Surgery
from tests.passes.running import reasons
from tests.passes.surgery.operating import assert_equal_outputs, changed, listed, operated


def made_twice(second: str = "Relu") -> onnx.ModelProto:
    nodes = [
        node_of("Relu", ["x"], ["a"]),
        node_of("Neg", ["a"], ["b"]),
        node_of(second, ["x"], ["a"]),
        node_of("Exp", ["b"], ["y"]),
    ]
    nodes[2].name = "again"
    return model_of(nodes, [float_value("x", 4)], [float_value("y", 4)])


def test_a_node_that_makes_a_value_again_goes(tmp_path: Path) -> None:
    assert reasons(Surgery, made_twice(), tmp_path, steps=["DeduplicateNodes"]) == []
    result = operated(made_twice(), tmp_path, "DeduplicateNodes")
    assert listed(result) == ["Relu", "Neg", "Exp"]
    x = np.asarray([-1, 0, 1, 2], np.float32)
    np.testing.assert_allclose(run_model(result.model, {"x": x})["y"], np.exp(-np.maximum(x, 0)), rtol=1e-6)


def test_without_the_step_the_model_is_refused_as_broken(tmp_path: Path) -> None:
    assert reasons(Surgery, made_twice(), tmp_path, steps=["remove_memcpy"]) == ["the value 'a' is made twice"]


def test_values_made_by_different_nodes_are_refused(tmp_path: Path) -> None:
    found = reasons(Surgery, made_twice("Tanh"), tmp_path / "why", steps=["deduplicate_nodes"])
    assert found[1:] == ["step deduplicate_nodes: the value 'a' is made by two different nodes"]
    with pytest.raises(RefusedError, match="made by two different nodes"):
        operated(made_twice("Tanh"), tmp_path, "deduplicate_nodes")


def listed_twice(other: float) -> onnx.ModelProto:
    model = odd_models.shared_between_branches()
    branch = model.graph.node[0].attribute[0].g
    again = branch.initializer.add()
    again.CopyFrom(branch.initializer[0])
    if other:
        again.CopyFrom(float_tensor("own", [other] * 16))
    return model


def test_an_initializer_that_a_branch_lists_again_goes(tmp_path: Path) -> None:
    result = operated(listed_twice(0), tmp_path, "DeduplicateSubgraphInitializers")
    branches = [attribute.g for attribute in read_structure(result.model).graph.node[0].attribute]
    assert [[tensor.name for tensor in branch.initializer] for branch in branches] == [["own"], ["own"]]
    assert_equal_outputs(odd_models.shared_between_branches(), result, tmp_path, rtol=0)


def test_initializers_of_one_name_and_different_values_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="'own' is in 'yes' twice, with different values"):
        operated(listed_twice(0.5), tmp_path, "deduplicate_subgraph_initializers")


def copied() -> onnx.ModelProto:
    """`Relu`, copied there and back, `Neg`; the sum is an output through a copy, an input is an output through one."""
    nodes = [
        node_of("Relu", ["x"], ["a"]),
        node_of("MemcpyToHost", ["a"], ["b"]),
        node_of("MemcpyFromHost", ["b"], ["c"]),
        node_of("Neg", ["c"], ["d"]),
        node_of("Add", ["d", "b"], ["e"]),
        node_of("MemcpyToHost", ["e"], ["y"]),
        node_of("Exp", ["e"], ["z"]),
        node_of("MemcpyToHost", ["x"], ["same"]),
    ]
    return model_of(nodes, [float_value("x", 4)], [float_value(name, 4) for name in ("y", "z", "same")])


def test_copies_go_and_outputs_keep_their_names(tmp_path: Path) -> None:
    result = operated(copied(), tmp_path, "RemoveMemcpy")
    assert listed(result) == ["Relu", "Neg", "Add", "Exp", "Identity"]
    assert changed(result) == [("remove_memcpy", 4)]
    x = np.asarray([-1, 0, 1, 2], np.float32)
    got = run_model(result.model, {"x": x})
    for name, values in {"y": np.zeros(4), "z": np.ones(4), "same": x}.items():
        np.testing.assert_array_equal(got[name], values)


def test_a_copy_stays_where_a_branch_has_another_value_of_the_name(tmp_path: Path) -> None:
    def branch(name: str, kind: str) -> onnx.GraphProto:
        nodes = [node_of(kind, ["there"], ["a"]), node_of("Add", ["a", "there"], [f"{name}_y"])]
        return onnx.helper.make_graph(nodes, name, [], [float_value(f"{name}_y", 4)])

    nodes = [
        node_of("Exp", ["x"], ["a"]),
        node_of("MemcpyToHost", ["a"], ["there"]),
        node_of("If", ["flag"], ["y"], then_branch=branch("yes", "Neg"), else_branch=branch("no", "Exp")),
    ]
    flag = onnx.helper.make_tensor_value_info("flag", onnx.TensorProto.BOOL, [])
    model = model_of(nodes, [flag, float_value("x", 4)], [float_value("y", 4)])
    result = operated(model, tmp_path, "remove_memcpy")
    assert listed(result) == ["Exp", "Identity", "If"]
    branches = [attribute.g for attribute in read_structure(result.model).graph.node[-1].attribute]
    assert [list(each.node[0].input) for each in branches] == [["there"], ["there"]]


def test_copies_that_a_branch_reads_or_has_go(tmp_path: Path) -> None:
    model = models.if_model()
    for branch in (attribute.g for attribute in model.graph.node[0].attribute):
        branch.node[0].input[0] = "there"
        made = branch.output[0].name
        branch.node[0].output[0] = f"{made}_here"
        branch.node.append(node_of("MemcpyFromHost", [f"{made}_here"], [made]))
    model.graph.node.insert(0, node_of("MemcpyToHost", ["x"], ["there"]))
    result = operated(model, tmp_path, "remove_memcpy")
    assert listed(result) == ["If"]
    assert changed(result) == [("remove_memcpy", 3)]
    assert_equal_outputs(models.if_model(), result, tmp_path, rtol=0)

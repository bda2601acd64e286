"""Makers, readers and order of a graph's nodes, branches and loops included."""

from __future__ import annotations

import onnx
from onnx import GraphProto, NodeProto, TensorProto, helper

from olivelike.onnxfile.wiring import leading_to, makers, reads, rename_reads, tidy


def branch(name: str, read: str) -> GraphProto:
    value = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
    return helper.make_graph([helper.make_node("Neg", [read], [name])], name, [], [value])


def choice(read: str) -> NodeProto:
    return helper.make_node("If", ["flag"], ["chosen"], then_branch=branch("yes", read), else_branch=branch("no", "x"))


def chain() -> list[NodeProto]:
    return [helper.make_node("Relu", ["x"], ["a"]), choice("a"), helper.make_node("Abs", ["chosen"], ["y"])]


def test_a_node_reads_what_the_graphs_inside_it_take_from_around_them() -> None:
    assert set(reads(choice("a"))) == {"flag", "a", "x"}


def test_the_walk_back_goes_through_branches_and_ends_at_stops() -> None:
    nodes = chain()
    assert leading_to(["y"], nodes, makers(nodes)) == [0, 1, 2]
    assert leading_to(["y"], nodes, makers(nodes), {"a"}) == [1, 2]
    assert leading_to(["a"], nodes, makers(nodes), {"a"}) == [0]


def test_renaming_reaches_into_branches_and_leaves_what_they_make_themselves() -> None:
    node = choice("a")
    rename_reads(node, {"a": "b", "yes": "never", "flag": "sign"})
    assert set(reads(node)) == {"sign", "b", "x"}


def test_tidying_drops_what_leads_nowhere_and_puts_makers_before_readers() -> None:
    nodes = [*reversed(chain()), helper.make_node("Exp", ["x"], ["nowhere"])]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x", TensorProto.FLOAT, [1]), value("flag", TensorProto.BOOL, [])],
        [value("y", TensorProto.FLOAT, [1])],
        [helper.make_tensor("unused", TensorProto.FLOAT, [1], [1.0])],
    )
    tidy(graph)
    assert [node.op_type for node in graph.node] == ["Relu", "If", "Abs"]
    assert not graph.initializer
    onnx.checker.check_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))

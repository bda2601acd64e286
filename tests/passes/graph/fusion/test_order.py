"""Tests of the places of nodes, and of circles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from olivelike.testing.building import node_of
from olivelike_passes.graph.fusion.order import Order

if TYPE_CHECKING:
    from onnx import NodeProto


def order_of(nodes: list[NodeProto]) -> Order:
    makers = {name: node for node in nodes for name in node.output}
    users: dict[str, dict[int, NodeProto]] = {}
    for node in nodes:
        for name in node.input:
            users.setdefault(name, {})[id(node)] = node
    return Order(nodes, makers, users)


CHAIN = [node_of("Relu", [f"v{n}"], [f"v{n + 1}"]) for n in range(5)]


def test_taking_what_comes_before_is_no_circle() -> None:
    assert not order_of(CHAIN).is_circle([node_of("Abs", ["v2"], ["v4"])], {id(CHAIN[3]): CHAIN[3]})


def test_taking_what_is_computed_from_the_result_is_a_circle() -> None:
    assert order_of(CHAIN).is_circle([node_of("Add", ["v0", "v3"], ["v1", "v5"])], {id(CHAIN[0]): CHAIN[0]})


def test_values_that_new_nodes_hand_to_each_other_are_no_circle() -> None:
    new = [node_of("Abs", ["v1"], ["inside"]), node_of("Neg", ["inside"], ["v3"])]
    assert not order_of(CHAIN).is_circle(new, {id(CHAIN[2]): CHAIN[2]})


def test_circle_is_found_over_a_node_that_stands_before_what_it_takes() -> None:
    late = [CHAIN[2], CHAIN[0], CHAIN[1], *CHAIN[3:]]
    assert order_of(late).is_circle([node_of("Add", ["v0", "v3"], ["v2"])], {id(CHAIN[1]): CHAIN[1]})

"""What makes a file no model at all, and what does not."""

from __future__ import annotations

import pytest

from olivelike.onnxfile.defects import defects
from olivelike.onnxfile.wiring import put_in_order
from olivelike.testing import large_models, models, odd_models
from olivelike.testing.odd_models import RUNNABLE, Build


@pytest.mark.parametrize("build", RUNNABLE.values(), ids=RUNNABLE)
def test_a_model_that_runs_has_none(build: Build) -> None:
    assert defects(build()) == []


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (odd_models.cycle, "the node 'add_a' (Add) waits for its own output: the graph has a cycle"),
        (odd_models.duplicate_values, "the value 'a' is made twice"),
        (odd_models.dangling_input, "the node 'add_y' (Add) reads 'nobody', which nothing makes"),
        (odd_models.duplicate_names, "several nodes are called 'same', which the runtime refuses"),
    ],
)
def test_what_is_wrong_is_named(build: Build, said: str) -> None:
    model = build()
    for node in model.graph.node:
        node.name = node.name if node.name == "same" else f"{node.op_type.lower()}_{node.output[0]}"
    assert said in defects(model)


def test_a_branch_that_reads_what_nothing_makes_is_found_inside() -> None:
    model = models.if_model()
    model.graph.node[0].attribute[0].g.node[0].input[0] = "nobody"
    assert any("'nobody', which nothing makes" in defect for defect in defects(model))


def test_nodes_in_a_wrong_order_are_put_in_a_right_one() -> None:
    model = odd_models.unsorted()
    put_in_order(model)
    assert [node.SerializeToString() for node in model.graph.node] == [
        node.SerializeToString() for node in models.mlp().graph.node
    ]


def test_a_long_chain_has_none_and_a_node_that_closes_it_is_found() -> None:
    model = large_models.long_chain(2000)
    assert defects(model) == []
    model.graph.node[0].input[0] = "y"
    assert len(defects(model)) == 1
    assert "the graph has a cycle" in defects(model)[0]

"""Tests of choosing nodes."""

from __future__ import annotations

from olivelike.testing import models
from olivelike_passes.quantization.chosen import Chosen


def test_types_names_and_exclusions_are_met_together() -> None:
    chosen = Chosen(["MatMul"], ["*m*"], ["*m1"])
    names = [node.name for node in models.matmul_chain().graph.node if chosen.has(node)]
    assert names == ["MatMul_m0", "MatMul_m2"]


def test_patterns_match_nodes_in_branches() -> None:
    assert list(Chosen(["MatMul"], ["*y_yes"]).reasons(models.if_model())) == []


def test_pattern_that_matches_nothing_is_a_reason() -> None:
    found = list(Chosen(["MatMul"], ["one"], ["two"]).reasons(models.mlp()))
    assert found == [
        "nodes has 'one', which matches no node",
        "exclude_nodes has 'two', which matches no node",
    ]

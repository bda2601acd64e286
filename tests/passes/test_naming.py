"""Tests of naming nodes and picking them by pattern."""

from __future__ import annotations

from olivelike.testing import models
from olivelike_passes.naming import matching, name_nodes, unmatched


def test_names_become_unique_and_unique_ones_stay() -> None:
    model = models.mlp()
    for node, name in zip(model.graph.node, ["same", "", "same"], strict=True):
        node.name = name
    name_nodes(model)
    assert [node.name for node in model.graph.node] == ["same", "Relu_1", "same_2"]


def test_new_name_never_meets_one_that_is_there() -> None:
    model = models.mlp()
    for node, name in zip(model.graph.node, ["", "x", "Gemm_0"], strict=True):
        node.name = name
    name_nodes(model)
    assert len({node.name for node in model.graph.node}) == 3


def test_patterns_match_as_in_file_names() -> None:
    model = models.mlp()
    assert matching(model, ["Gemm_*"]) == ["Gemm_h", "Gemm_logits"]
    assert unmatched(model, ["Gemm_?", "gemm_h"]) == ["gemm_h"]

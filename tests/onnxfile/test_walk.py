"""Tests of walking over models."""

from __future__ import annotations

from olivelike.onnxfile.walk import graphs, initializers, nodes, tensors
from olivelike.testing import models


def test_graphs_in_branches_come_after_the_main_graph() -> None:
    main, *branches = [graph.name for graph in graphs(models.if_model())]
    assert main == "tiny"
    assert sorted(branches) == ["no", "yes"]


def test_nodes_of_branches_and_functions_are_walked() -> None:
    model = models.if_model()
    function = model.functions.add(name="f", domain="mine")
    function.node.append(models.mlp().graph.node[0])
    assert sorted(node.op_type for node in nodes(model)) == ["Gemm", "If", "MatMul", "MatMul"]


def test_initializers_of_branches_are_walked() -> None:
    assert {tensor.name for tensor in initializers(models.if_model())} == {"w_yes", "w_no"}


def test_tensors_are_initializers_and_attributes() -> None:
    plain, constants = models.conv_net(), models.conv_net(constants=True)
    assert sorted(tensor.name for tensor in tensors(plain)) == sorted(tensor.name for tensor in tensors(constants))


def test_both_halves_of_a_sparse_initializer_are_walked() -> None:
    model = models.mlp()
    sparse = model.graph.sparse_initializer.add()
    sparse.values.name, sparse.indices.name = "values", "indices"
    assert {"values", "indices"} <= {tensor.name for tensor in tensors(model)}

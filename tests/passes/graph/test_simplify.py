"""Tests of the pass `simplify`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import onnx
import pytest

from olivelike.onnxfile.external import model_files
from olivelike.onnxfile.read import opset, read_structure, signature
from olivelike.testing import models
from olivelike.testing.building import float_value, model_of, node_of, value_of, weight_of, whole_tensor
from olivelike.testing.context import run_model
from olivelike.testing.feeds import feeds_for
from olivelike.testing.graph_contract import GraphPassContract
from olivelike.testing.pass_contract import Refusal, gap_between
from olivelike.testing.run_pass import run_pass
from olivelike_passes.graph.simplify import Simplify
from tests.passes.running import applied, artifact, kinds


class TestSimplify(GraphPassContract):
    pass_type = Simplify
    configs = ({}, {"fold_constants": False})
    accepted: ClassVar = {
        "conv_net": models.conv_net,
        "constants": lambda: models.conv_net(constants=True),
        "wasteful": models.wasteful,
        "unfolded": models.unfolded,
        "if": models.if_model,
        "strings": models.string_input,
        "copies": models.copies_input,
        "half": models.half,
        "quantized": models.quantized,
        "old": lambda: models.mlp(opset=9),
        "repeated_opset": models.repeated_opset,
        "weights_as_inputs": models.weights_as_inputs,
    }
    refused: ClassVar = {"unknown operator": Refusal(models.unknown_operator, "the runtime cannot load the model")}


def size(path: Path) -> int:
    return sum((path.parent / name).stat().st_size for name in model_files(path))


def test_identities_twins_and_dead_ends_go(tmp_path: Path) -> None:
    result = applied(Simplify, models.wasteful(), tmp_path)
    model = read_structure(result.model)
    assert kinds(model) == {"MatMul": 2, "Relu": 1, "Add": 1}
    assert len(model.graph.initializer) == 1


def test_constants_become_initializers(tmp_path: Path) -> None:
    result = applied(Simplify, models.conv_net(constants=True), tmp_path)
    model = read_structure(result.model)
    assert "Constant" not in kinds(model)
    assert {"c1", "c2", "w"} <= {tensor.name for tensor in model.graph.initializer}


def test_folding_that_makes_the_model_larger_is_left_out(tmp_path: Path) -> None:
    result = applied(Simplify, models.unfolded(), tmp_path)
    assert size(result.model) <= size(tmp_path / "source" / "model.onnx")
    assert "ConstantOfShape" in kinds(read_structure(result.model))


def test_versions_and_metadata_stay(tmp_path: Path) -> None:
    model = models.wasteful()
    model.metadata_props.add(key="character", value="abc")
    model.producer_version = "7"
    model.doc_string = "what it is"
    kept = read_structure(applied(Simplify, model, tmp_path).model)
    assert (opset(kept), kept.ir_version, kept.producer_version, kept.doc_string) == (17, 8, "7", "what it is")
    assert [(entry.key, entry.value) for entry in kept.metadata_props] == [("character", "abc")]
    assert [entry.domain for entry in kept.opset_import] == [""]


def test_half_precision_is_not_cast_to_float32(tmp_path: Path) -> None:
    result = applied(Simplify, models.half(), tmp_path)
    assert "Cast" not in kinds(read_structure(result.model))


def test_weights_that_may_be_replaced_stay_inputs(tmp_path: Path) -> None:
    result = applied(Simplify, models.weights_as_inputs(), tmp_path)
    assert len(read_structure(result.model).graph.input) == 4


def test_fix_weights_takes_them_off_the_inputs(tmp_path: Path) -> None:
    result = applied(Simplify, models.weights_as_inputs(), tmp_path, fix_weights=True)
    assert [entry.name for entry in read_structure(result.model).graph.input] == ["x"]


def test_weights_of_ir_version_3_come_off_the_inputs_by_themselves(tmp_path: Path) -> None:
    result = applied(Simplify, models.weights_as_inputs(ir_version=3), tmp_path)
    model = read_structure(result.model)
    assert model.ir_version == 4
    assert [entry.name for entry in model.graph.input] == ["x"]


def test_input_with_external_data_works(tmp_path: Path) -> None:
    path = models.save_external(models.wasteful(), tmp_path / "external")
    source = artifact(models.wasteful(), tmp_path)
    for name in model_files(path):
        (source.folder / name).write_bytes((path.parent / name).read_bytes())
    result = run_pass(Simplify, source, {}, tmp_path / "run")
    feeds = feeds_for(path)
    expected, got = run_model(path, feeds)["y"], run_model(result.model, feeds)["y"]
    assert abs(expected - got).max() <= 1e-5  # sums in another order


def test_metadata_of_a_fully_optimal_model_costs_nothing(tmp_path: Path) -> None:
    once = applied(Simplify, models.wasteful(), tmp_path / "once")
    twice = applied(Simplify, onnx.load(once.model), tmp_path / "twice")
    assert size(twice.model) <= size(once.model)
    assert signature(twice.model) == signature(once.model)


def test_shapes_of_inner_values_are_written_on_request(tmp_path: Path) -> None:
    result = applied(Simplify, models.mlp(), tmp_path, infer_shapes=True)
    found = {
        value.name: len(value.type.tensor_type.shape.dim) for value in read_structure(result.model).graph.value_info
    }
    assert found == {"h": 2, "r": 2}


@pytest.mark.parametrize("end", ["output", "inner"])
def test_wrong_claims_about_computed_shapes_fold_nothing(tmp_path: Path, end: str) -> None:
    nodes = [node_of("Relu", ["x"], ["r"]), node_of("Shape", ["r"], ["shape"])]
    model = model_of(nodes, [float_value("x", "n", 3)], [float_value("r", "n", 3), value_of("shape", "INT64", 2)])
    if end == "output":
        model.graph.output[0].CopyFrom(float_value("r", 1, 3))
    else:
        model.graph.output.pop(0)
        model.graph.value_info.append(float_value("r", 1, 3))
    result = applied(Simplify, model, tmp_path)
    assert "Shape" in kinds(read_structure(result.model))
    assert [entry.name for entry in read_structure(result.model).graph.output] == [o.name for o in model.graph.output]


def fixed_product(
    *behind: onnx.NodeProto, shape: tuple[int, ...] = (2, 16, 8), out: tuple[int, ...]
) -> onnx.ModelProto:
    """A product and a sum of fixed shapes behind so much that the runtime's variant is the smaller one."""
    nodes = [
        node_of("Mul", ["x", "x"], ["i0"]),
        *(node_of("Identity", [f"i{i}"], [f"i{i + 1}"]) for i in range(40)),
        node_of("MatMul", ["i40", "w"], ["m"]),
        node_of("Add", ["m", "b"], ["a"]),
        *behind,
    ]
    weights = [weight_of("w", 8, 8), weight_of("b", 8)]
    weights += [whole_tensor("heads", [2, 16, 2, 4])]
    return model_of(nodes, [float_value("x", *shape)], [float_value("y", *out)], weights)


def test_a_product_and_a_sum_of_fixed_shape_stay_two_nodes_under_their_own_names(tmp_path: Path) -> None:
    # ONNX Runtime 1.32.0 makes them Reshape, Gemm, Reshape, and cannot load some models that hold its own `gemm_input_shape`.
    model = fixed_product(node_of("Relu", ["a"], ["y"]), out=(2, 16, 8))
    result = read_structure(applied(Simplify, model, tmp_path).model)
    assert kinds(result) == {"Mul": 1, "MatMul": 1, "Add": 1, "Relu": 1}
    assert [node.name for node in result.graph.node] == ["Mul_i0", "MatMul_m", "Add_a", "Relu_y"]
    assert not any("gemm" in name for node in result.graph.node for name in (*node.input, *node.output))


@pytest.mark.parametrize(
    ("behind", "out"),
    [
        (
            [node_of("Reshape", ["a", "heads"], ["h"]), node_of("Transpose", ["h"], ["y"], perm=[0, 2, 1, 3])],
            (2, 2, 16, 4),
        ),
        ([node_of("Reshape", ["a", "heads"], ["y"])], (2, 16, 2, 4)),
    ],
    ids=["heads", "reshape"],
)
def test_a_reshape_behind_a_product_and_a_sum_is_kept(
    behind: list[onnx.NodeProto], out: tuple[int, ...], tmp_path: Path
) -> None:
    model = fixed_product(*behind, out=out)
    source = artifact(model, tmp_path / "before").model
    result = applied(Simplify, model, tmp_path).model
    feeds = feeds_for(source)
    before, after = run_model(source, feeds)["y"], run_model(result, feeds)["y"]
    assert before.shape == after.shape == out
    assert gap_between(before, after) < 1e-5


def test_equal_large_weights_become_one_and_so_does_what_is_computed_with_them(tmp_path: Path) -> None:
    nodes = [
        node_of("MatMul", ["x", "k"], ["a"]),
        node_of("MatMul", ["x", "v"], ["b"]),
        node_of("MatMul", ["x", "q"], ["c"]),
        node_of("Add", ["a", "b"], ["d"]),
        node_of("Add", ["c", "d"], ["y"]),
    ]
    twin = weight_of("k", 160, 160)
    twin.name = "v"
    other = weight_of("k", 160, 160)
    values = onnx.numpy_helper.to_array(other).copy()
    values[-1, -1] += 1  # the last of all bytes that are compared
    other = onnx.numpy_helper.from_array(values, "q")
    weights = [weight_of("k", 160, 160), twin, other]
    model = model_of(nodes, [float_value("x", 2, 160)], [float_value("y", 2, 160)], weights)
    result = read_structure(applied(Simplify, model, tmp_path).model)
    assert [tensor.name for tensor in result.graph.initializer] == ["k", "q"]
    assert sum(kinds(result).get(kind, 0) for kind in ("MatMul", "Gemm")) == 2

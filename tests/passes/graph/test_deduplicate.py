"""Tests of the pass `deduplicate`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import pytest

from olivelike.onnxfile import write
from olivelike.onnxfile.read import read_structure
from olivelike.testing import models, odd_models
from olivelike.testing.building import (
    float_tensor,
    float_value,
    model_of,
    node_of,
    value_of,
    weight_of,
    whole_tensor,
)
from olivelike.testing.context import run_model
from olivelike.testing.feeds import feeds_for
from olivelike.testing.graph_contract import GraphPassContract
from olivelike_passes.graph.deduplicate import Deduplicate
from olivelike_passes.graph.equal_weights import equal_weights
from tests.passes.running import applied, artifact

SHAPE = ("batch", 16)


def chains() -> onnx.ModelProto:
    """Two chains of equal nodes on equal weights that give two outputs each: `x` float32 [batch, 16] to `a`, `b`, `c`."""
    twin = weight_of("w", 16, 16)
    twin.name = "twin"
    nodes = [
        node_of("MatMul", ["x", "w"], ["m1"]),
        node_of("Relu", ["m1"], ["a"]),
        node_of("MatMul", ["x", "twin"], ["m2"]),
        node_of("Relu", ["m2"], ["r2"]),
        node_of("Neg", ["r2"], ["b"]),
        node_of("Neg", ["r2"], ["c"]),
    ]
    outputs = [float_value(name, *SHAPE) for name in "abc"]
    return model_of(nodes, [float_value("x", *SHAPE)], outputs, [weight_of("w", 16, 16), twin])


def late_output() -> onnx.ModelProto:
    """The repetition is the output, and a branch reads the node that it repeats: `flag`, `x` to `y` and `z`."""

    def branch(kind: str) -> onnx.GraphProto:
        return onnx.helper.make_graph([node_of(kind, ["first"], ["out"])], kind, [], [float_value("out", *SHAPE)])

    nodes = [
        node_of("Relu", ["x"], ["first"]),
        node_of("If", ["flag"], ["z"], then_branch=branch("Neg"), else_branch=branch("Abs")),
        node_of("Relu", ["x"], ["y"]),
    ]
    inputs = [value_of("flag", "BOOL"), float_value("x", *SHAPE)]
    return model_of(nodes, inputs, [float_value("y", *SHAPE), float_value("z", *SHAPE)])


def drawing() -> onnx.ModelProto:
    """Random numbers twice, a dropout that trains twice, and an unknown domain twice: nothing that is the same."""
    nodes = [
        node_of("RandomNormalLike", ["x"], ["n1"]),
        node_of("RandomNormalLike", ["x"], ["n2"]),
        node_of("Dropout", ["x", "", "yes"], ["d1"]),
        node_of("Dropout", ["x", "", "yes"], ["d2"]),
        node_of("Sum", ["n1", "n2", "d1", "d2"], ["y"]),
    ]
    yes = onnx.numpy_helper.from_array(np.array(True), "yes")
    return model_of(nodes, [float_value("x", *SHAPE)], [float_value("y", *SHAPE)], [yes])


class TestDeduplicate(GraphPassContract):
    pass_type = Deduplicate
    configs = ({}, {"what": ["nodes"]}, {"what": ["initializers"], "transposes": True}, {"what": ["subgraphs"]})
    accepted: ClassVar = {
        "chains": chains,
        "late_output": late_output,
        "nothing": models.mlp,
        "branches": odd_models.shared_between_branches,
        "function": odd_models.function,
        "wasteful": models.wasteful,
        "weights_as_inputs_ir3": lambda: models.weights_as_inputs(ir_version=3),
    }


def told(model: onnx.ModelProto, folder: Path, **settings: list[str]) -> tuple[onnx.ModelProto, dict[str, int]]:
    result = applied(Deduplicate, model, folder, **settings)
    return read_structure(result.model), result.manifest.notes["deduplicate"]["removed"]  # type: ignore[index,call-overload,return-value]


def wired(graph: onnx.GraphProto) -> list[tuple[str, list[str], list[str]]]:
    return [(node.op_type, list(node.input), list(node.output)) for node in graph.node]


def test_equal_weights_and_the_chains_on_them_become_one(tmp_path: Path) -> None:
    model, removed = told(chains(), tmp_path)
    assert wired(model.graph) == [
        ("MatMul", ["x", "w"], ["m1"]),
        ("Relu", ["m1"], ["a"]),
        ("Neg", ["a"], ["b"]),
        ("Neg", ["a"], ["c"]),  # two outputs stay two
    ]
    assert [tensor.name for tensor in model.graph.initializer] == ["w"]
    assert removed == {"initializers": 1, "bytes": 1024, "nodes": 2}


def test_repetition_that_is_an_output_keeps_its_name(tmp_path: Path) -> None:
    model, _ = told(late_output(), tmp_path)
    assert [name for _, _, names in wired(model.graph) for name in names] == ["y", "z"]
    assert [list(a.g.node[0].input) for a in model.graph.node[1].attribute] == [["y"], ["y"]]


def test_what_is_written_of_a_value_goes_with_it(tmp_path: Path) -> None:
    model = late_output()
    model.graph.value_info.append(float_value("first", *SHAPE))
    model.graph.quantization_annotation.add(tensor_name="first")
    graph = told(model, tmp_path)[0].graph
    assert not graph.value_info
    assert [note.tensor_name for note in graph.quantization_annotation] == ["y"]


def test_weights_of_both_branches_are_held_outside(tmp_path: Path) -> None:
    source = artifact(odd_models.shared_between_branches(), tmp_path / "again")
    result = applied(Deduplicate, odd_models.shared_between_branches(), tmp_path)
    model = read_structure(result.model)
    assert [tensor.name for tensor in model.graph.initializer] == ["w", "own_1"]
    assert [len(a.g.initializer) for a in model.graph.node[0].attribute] == [0, 0]
    feeds = feeds_for(source.model)
    for flag in (True, False):
        given = {**feeds, "flag": np.array(flag)}
        np.testing.assert_array_equal(run_model(result.model, given)["y"], run_model(source.model, given)["y"])


def test_branch_reads_a_weight_that_the_main_graph_holds_already(tmp_path: Path) -> None:
    model = odd_models.shared_between_branches()
    outer = weight_of("own", 16)
    outer.name = "inner"
    model.graph.initializer.append(outer)
    for attribute in model.graph.node[0].attribute:
        for node in attribute.g.node:
            # a value inside has the name that the branch is to read from outside
            node.output[0] = node.output[0].replace("yes_m", "inner")
            node.input[0] = node.input[0].replace("yes_m", "inner")
    got, removed = told(model, tmp_path)
    assert removed == {"initializers": 2, "bytes": 128, "nodes": 0}
    assert wired(got.graph.node[0].attribute[0].g)[1][1] == ["inner_1", "inner"]


def test_random_numbers_and_training_stay_two(tmp_path: Path) -> None:
    model, removed = told(drawing(), tmp_path)
    assert len(model.graph.node) == 5
    assert removed["nodes"] == 0


def test_operators_of_unknown_domains_stay_two(tmp_path: Path) -> None:
    model = odd_models.function()
    model.graph.node[1].input[0] = "x"
    model.graph.node.append(node_of("Add", ["m", "y"], ["z"]))
    model.graph.output.append(float_value("z", *SHAPE))
    assert told(model, tmp_path)[1]["nodes"] == 0


def test_attributes_decide_and_their_descriptions_do_not(tmp_path: Path) -> None:
    nodes = [
        node_of("Softmax", ["x"], ["a"], axis=0),
        node_of("Softmax", ["x"], ["b"], axis=1),
        node_of("Softmax", ["x"], ["c"], axis=1),
        node_of("Sum", ["a", "b", "c"], ["y"]),
    ]
    nodes[2].attribute[0].doc_string = "the other one"
    model = model_of(nodes, [float_value("x", 2, 2)], [float_value("y", 2, 2)])
    assert wired(told(model, tmp_path)[0].graph)[-1] == ("Sum", ["a", "b", "b"], ["y"])


def test_weights_that_may_be_replaced_stay_two(tmp_path: Path) -> None:
    model = chains()
    model.graph.input.extend([float_value("w", 16, 16), float_value("twin", 16, 16)])
    assert told(model, tmp_path)[1] == {"initializers": 0, "bytes": 0, "nodes": 0}


def test_weights_of_old_models_leave_the_inputs_too(tmp_path: Path) -> None:
    model = chains()
    model.ir_version = 3
    model.graph.input.extend([float_value("w", 16, 16), float_value("twin", 16, 16)])
    assert [entry.name for entry in told(model, tmp_path)[0].graph.input] == ["x", "w"]


def test_output_that_is_a_weight_stays_and_is_the_one_that_is_read(tmp_path: Path) -> None:
    model = chains()
    model.graph.output.append(float_value("twin", 16, 16))
    graph = told(model, tmp_path)[0].graph
    assert [tensor.name for tensor in graph.initializer] == ["twin"]
    assert list(graph.node[0].input) == ["x", "twin"]


def test_transposed_matrices_are_named(tmp_path: Path) -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    weights = [onnx.numpy_helper.from_array(values, "table"), onnx.numpy_helper.from_array(values.T.copy(), "head")]
    model = model_of(
        [node_of("MatMul", ["x", "table"], ["m"]), node_of("MatMul", ["m", "head"], ["y"])],
        [float_value("x", 1, 2)],
        [float_value("y", 1, 2)],
        weights,
    )
    result = applied(Deduplicate, model, tmp_path, transposes=True)
    assert result.manifest.notes["deduplicate"]["transposed"] == [["table", "head"]]  # type: ignore[index,call-overload]


def test_only_equal_bytes_of_one_type_and_shape_are_equal() -> None:
    zeros = [float_tensor("zero", [0.0, 1.0]), float_tensor("below", [-0.0, 1.0]), float_tensor("flat", [[0.0, 1.0]])]
    fields = onnx.helper.make_tensor("fields", onnx.TensorProto.FLOAT, [2], [0.0, 1.0])  # not as raw bytes
    groups = equal_weights([*zeros, whole_tensor("whole", [0, 1]), fields], Path())
    assert [[tensor.name for tensor in group] for group in groups] == [["zero", "fields"]]


def test_words_are_compared_with_their_lengths() -> None:
    words = [onnx.helper.make_tensor(name, 8, [2], text) for name, text in (("a", ["ab", "c"]), ("b", ["a", "bc"]))]
    assert equal_weights(words, Path()) == []


def test_external_weights_are_compared_where_they_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "SMALL", 64)
    path = models.save_external(chains(), tmp_path)
    structure = read_structure(path)
    groups = equal_weights(structure.graph.initializer, path)
    assert [[tensor.name for tensor in group] for group in groups] == [["w", "twin"]]
    assert all(tensor.data_location == tensor.EXTERNAL for tensor in structure.graph.initializer)

"""Tests of the pass `optimize_offline`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import onnxruntime
import pytest

from olivelike.contracts.target import Provider, Target
from olivelike.errors import RefusedError
from olivelike.onnxfile.read import read_structure, signature
from olivelike.testing import models, odd_models
from olivelike.testing.building import float_tensor, float_value, model_of, node_of, value_of, weight_of, whole_tensor
from olivelike.testing.graph_contract import GraphPassContract
from olivelike.testing.pass_contract import Refusal
from olivelike_passes.graph.optimize_offline import OptimizeOffline, OptimizeOfflineConfig
from tests.passes.running import applied, artifact, kinds


class TestOptimizeOffline(GraphPassContract):
    pass_type = OptimizeOffline
    configs = ({"level": "extended"}, {"level": "basic"}, {"level": "layout"}, {"level": "all"})
    odd_config: ClassVar = {"level": "all"}
    accepted: ClassVar = {
        "conv": models.conv_net,
        "bert": models.bert_layer,
        "quantized": models.quantized,
        "half": models.half,
        "if": models.if_model,
        "strings": models.string_input,
        "weights_as_inputs": models.weights_as_inputs,
    }
    refused: ClassVar = {"unknown operator": Refusal(models.unknown_operator, "the runtime cannot load the model")}


def test_fusions_of_the_runtime_are_in_the_file(tmp_path: Path) -> None:
    result = applied(OptimizeOffline, models.bert_layer(), tmp_path, level="extended")
    found = kinds(read_structure(result.model))
    assert found == {"MatMul": 3, "SkipLayerNormalization": 2, "BiasGelu": 1}
    assert result.manifest.notes["optimize_offline"]["operators"] == [  # type: ignore[index,call-overload]
        "com.microsoft.BiasGelu",
        "com.microsoft.SkipLayerNormalization",
    ]


def test_notes_say_what_the_result_is_bound_to(tmp_path: Path) -> None:
    bound = applied(OptimizeOffline, models.conv_net(), tmp_path).manifest.notes["optimize_offline"]["bound_to"]  # type: ignore[index,call-overload]
    assert bound["runtime"] == onnxruntime.__version__  # type: ignore[index,call-overload]
    assert bound["providers"] == ["CPUExecutionProvider"]  # type: ignore[index,call-overload]


def test_the_runtime_is_told_that_nothing_is_left_to_do_only_after_everything_was_done(tmp_path: Path) -> None:
    settings = ({"level": "all"}, {"level": "extended"}, {"level": "extended", "at_load": "off"}, {"at_load": "again"})
    sessions = [
        dict(applied(OptimizeOffline, models.mlp(), tmp_path / str(number), **each).manifest.session)
        for number, each in enumerate(settings)
    ]
    off = {"graph_optimization_level": "disable_all"}
    assert sessions == [off, {}, off, {}]


def test_model_gives_the_same_where_the_runtime_does_nothing_more(tmp_path: Path) -> None:
    source = artifact(models.conv_net(), tmp_path / "again")
    result = applied(OptimizeOffline, models.conv_net(), tmp_path)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    image = np.linspace(-1, 1, 128, dtype=np.float32).reshape(2, 1, 8, 8)
    before, after = (
        onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(None, {"image": image})[0]
        for path in (source.model, result.model)
    )
    np.testing.assert_allclose(after, before, atol=1e-5)  # sums in another order


def test_large_values_are_not_folded_into_the_file(tmp_path: Path) -> None:
    folded = applied(OptimizeOffline, models.unfolded(), tmp_path / "folded").model
    left = applied(OptimizeOffline, models.unfolded(), tmp_path / "left", fold_at_most=1000).model
    assert "ConstantOfShape" not in kinds(read_structure(folded))
    assert "ConstantOfShape" in kinds(read_structure(left))


def test_optimizers_may_be_left_out(tmp_path: Path) -> None:
    left = applied(OptimizeOffline, models.unfolded(), tmp_path, without=["ConstantFolding"]).model
    assert "ConstantOfShape" in kinds(read_structure(left))


def test_ends_metadata_and_imports_stay(tmp_path: Path) -> None:
    model = models.conv_net()
    model.metadata_props.add(key="labels", value="cat,dog")
    path = artifact(model, tmp_path / "again").model
    result = applied(OptimizeOffline, model, tmp_path, level="basic")
    got = read_structure(result.model)
    assert signature(result.model) == signature(path)
    assert [(entry.key, entry.value) for entry in got.metadata_props] == [("labels", "cat,dog")]
    assert [(entry.domain, entry.version) for entry in got.opset_import] == [("", 17)]


def test_weights_of_old_models_that_the_runtime_merges_do_not_become_inputs(tmp_path: Path) -> None:
    nodes = [
        node_of("Reshape", ["x", "s1"], ["a"]),
        node_of("Softmax", ["a"], ["b"]),
        node_of("Reshape", ["b", "s2"], ["c"]),
        node_of("Relu", ["c"], ["y"]),
    ]
    shapes = [whole_tensor("s1", [-1, 4]), whole_tensor("s2", [-1, 4])]
    model = model_of(nodes, [float_value("x", "n", 2, 2)], [float_value("y", "n", 4)], shapes, ir_version=3)
    model.graph.input.extend([value_of("s1", "INT64", 2), value_of("s2", "INT64", 2)])
    got = read_structure(applied(OptimizeOffline, model, tmp_path).model)
    assert (got.ir_version, [entry.name for entry in got.graph.input]) == (4, ["x"])


def test_target_that_is_elsewhere_and_providers_that_are_not_offered_are_refused(tmp_path: Path) -> None:
    source = artifact(models.mlp(), tmp_path)
    target = Target(providers=(Provider("QNNExecutionProvider"),), present=False)
    reasons = OptimizeOffline().refuses(source, OptimizeOfflineConfig(), target)
    assert [reason.split(",")[0] for reason in reasons] == [
        "the runtime here offers no QNNExecutionProvider",
        "the target is not present on this machine",
    ]


def test_weights_of_the_runtimes_file_are_read_back(tmp_path: Path) -> None:
    model = read_structure(applied(OptimizeOffline, odd_models.nameless_nodes(), tmp_path, level="basic").model)
    assert all(tensor.data_location != onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer)


def test_weights_of_an_old_model_that_were_folded_away_are_no_inputs(tmp_path: Path) -> None:
    nodes = [node_of("Neg", ["w"], ["n"]), node_of("Add", ["x", "n"], ["y"])]
    model = model_of(nodes, [float_value("x", 2, 16)], [float_value("y", 2, 16)], [weight_of("w", 16)], ir_version=3)
    model.graph.input.append(float_value("w", 16))
    result = read_structure(applied(OptimizeOffline, model, tmp_path, level="basic").model)
    assert [entry.name for entry in result.graph.input] == ["x"]


def test_an_operator_that_the_opset_does_not_have_is_refused_with_a_way_out(tmp_path: Path) -> None:
    nodes = [
        node_of("ReduceMean", ["x"], ["mean"], axes=[-1]),
        node_of("Sub", ["x", "mean"], ["gap"]),
        node_of("Pow", ["gap", "two"], ["square"]),
        node_of("ReduceMean", ["square"], ["spread"], axes=[-1]),
        node_of("Add", ["spread", "epsilon"], ["safe"]),
        node_of("Sqrt", ["safe"], ["root"]),
        node_of("Div", ["gap", "root"], ["normal"]),
        node_of("Mul", ["normal", "gain"], ["scaled"]),
        node_of("Add", ["scaled", "shift"], ["y"]),
    ]
    weights = [float_tensor("two", 2.0), float_tensor("epsilon", 1e-5), weight_of("gain", 16), weight_of("shift", 16)]
    inputs, outputs = ([float_value(name, "batch", 4, 16)] for name in "xy")
    model = model_of(nodes, inputs, outputs, weights, opset=13)
    said = r"LayerNormalization as ONNX's own, which opset 13 .* hint: put `convert_opset`"
    with pytest.raises(RefusedError, match=said):
        applied(OptimizeOffline, model, tmp_path, level="extended")

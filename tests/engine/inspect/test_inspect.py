"""Looking into a model: known answers on small models, and a large one whose weights nobody may read."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.passes import Pass, PassConfig, PassContext
from olivelike.contracts.plugin import Plugin
from olivelike.contracts.target import Target
from olivelike.engine.inspect.applicable import Answer, Candidate
from olivelike.engine.inspect.inspect import Inspection, inspect
from olivelike.engine.inspect.operators import Place
from olivelike.errors import InputError
from olivelike.evaluate.sessions.operators import Support
from olivelike.onnxfile import tensors
from olivelike.onnxfile.quantization import Style
from olivelike.onnxfile.read import read_structure
from olivelike.registry import installed
from olivelike.testing import models, odd_models
from olivelike.testing.building import float_value, model_of, node_of, weight_of
from olivelike.testing.sparse import sparse_model

FIVE_GIGABYTES = 5_000_000_000


def looked(model: onnx.ModelProto, folder: Path) -> Inspection:
    return inspect(models.save(model, folder))


def nodes_of(found: Inspection) -> dict[str, int]:
    return {use.name: use.count for use in found.operators}


def candidate(found: Inspection, name: str) -> Candidate:
    return next(each for each in found.passes if each.name == name)


def test_a_network_is_counted_operator_by_operator(tmp_path: Path) -> None:
    found = looked(models.mlp(hidden=32), tmp_path)
    assert nodes_of(found) == {"Gemm": 2, "Relu": 1}
    assert {use.name: use.since for use in found.operators} == {"Gemm": 13, "Relu": 14}  # ONNX's list of operators
    assert found.nodes == 3
    assert found.header.opsets == {"": 17}
    assert found.header.producer == "olivelike.testing"
    assert [value.name for value in found.signature.inputs] == ["x"]
    assert found.weights.parameters == 16 * 32 + 32 + 32 * 4 + 4
    assert found.weights.bytes == 4 * found.weights.parameters
    assert found.defects == ()
    assert found.unsupported == ()


def test_nodes_of_branches_and_functions_are_told_apart(tmp_path: Path) -> None:
    inside = looked(models.if_model(), tmp_path / "if")
    assert {use.name: dict(use.nodes) for use in inside.operators} == {
        "If": {Place.MAIN: 1},
        "MatMul": {Place.SUBGRAPH: 2},
    }
    called = looked(odd_models.function(), tmp_path / "function")
    [function] = called.functions
    assert function.calls == sum(use.count for use in called.operators if use.kind == function.name)
    assert function.nodes == sum(use.nodes.get(Place.FUNCTION, 0) for use in called.operators)
    assert {use.support for use in called.operators if use.kind == function.name} == {Support.FUNCTION}
    assert called.custom == ()


def test_an_operator_that_nobody_knows_is_custom_and_does_not_run(tmp_path: Path) -> None:
    found = looked(models.unknown_operator(), tmp_path)
    assert found.custom == ("nowhere.Mystery",)
    assert [use.name for use in found.unsupported] == ["nowhere.Mystery"]
    assert found.operators[0].support is Support.UNKNOWN


def test_an_operator_that_only_other_providers_run_is_named(tmp_path: Path) -> None:
    """`GemmFloat8` is the runtime's own, for CUDA alone (ONNX Runtime, ContribOperators.md and OperatorKernels.md)."""
    node = node_of("GemmFloat8", ["x", "x"], ["y"], domain="com.microsoft")
    model = model_of([node], [float_value("x", 4, 4)], [float_value("y", 4, 4)])
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    found = looked(model, tmp_path)
    assert found.operators[0].support is Support.NO_KERNEL
    assert [use.name for use in found.unsupported] == ["com.microsoft.GemmFloat8"]
    assert found.custom == ()


def test_an_opset_from_the_future_is_told(tmp_path: Path) -> None:
    model = models.mlp()
    model.opset_import[0].version = 99
    found = looked(model, tmp_path)
    assert found.runtime.newer[""] < 99


def test_a_provider_that_is_not_there_is_held_against_the_cpu(tmp_path: Path) -> None:
    found = inspect(models.save(models.mlp(), tmp_path), "qnn")
    assert found.runtime.provider == "QNNExecutionProvider"
    assert not found.runtime.offered
    assert {use.provider for use in found.operators} == {"CPUExecutionProvider"}
    with pytest.raises(InputError, match=r"OL107.*did you mean cuda"):
        inspect(tmp_path / "model.onnx", "cude")


@pytest.mark.parametrize(
    ("pair", "style"),
    [(True, Style.QDQ), (False, Style.WEIGHT_ONLY)],
)
def test_pairs_around_activations_are_not_weight_only(pair: bool, style: Style, tmp_path: Path) -> None:
    model = models.quantized() if pair else _weight_only()
    [found] = looked(model, tmp_path).quantization
    assert found.style is style


def test_packed_weights_count_what_they_hold(tmp_path: Path) -> None:
    found = looked(_four_bits(), tmp_path)
    [style] = found.quantization
    assert (style.style, style.weight_bits, style.block_sizes) == (Style.WEIGHT_ONLY, (4,), (16,))
    assert style.operators == {"MatMulNBits": 1}
    assert found.weights.parameters == 16 * 16 + 16  # the weight, and a scale for each block of 16
    assert found.weights.bytes == 16 * 16 // 2 + 4 * 16


def test_a_weight_that_several_nodes_read_is_shared(tmp_path: Path) -> None:
    nodes = [node_of("MatMul", ["x", "emb.weight"], ["h"]), node_of("MatMul", ["h", "emb.weight"], ["y"])]
    ends = [float_value(name, "batch", 16) for name in "xy"]
    [shared] = looked(model_of(nodes, ends[:1], ends[1:], [weight_of("emb.weight", 16, 16)]), tmp_path).weights.shared
    assert shared.weights == ("emb.weight",)
    assert shared.readers == ("MatMul_h", "MatMul_y")
    assert shared.bytes == 1024


def test_two_names_for_the_same_bytes_of_a_file_are_shared(tmp_path: Path) -> None:
    path = models.save_external(models.matmul_chain(layers=2), tmp_path)
    model = onnx.load(path, load_external_data=False)
    first, second = model.graph.initializer[:2]
    second.ClearField("external_data")
    second.external_data.extend(first.external_data)
    onnx.save(model, path)
    [shared] = inspect(path).weights.shared
    assert shared.weights == (first.name, second.name)


def test_external_data_that_are_missing_are_a_defect_and_no_failure(tmp_path: Path) -> None:
    path = models.save_external(models.matmul_chain(), tmp_path)
    whole = inspect(path)
    assert [(file.name, file.tensors) for file in whole.weights.files] == [("model.onnx.data", 3)]
    (tmp_path / "model.onnx.data").unlink()
    found = inspect(path)
    assert found.defects == ("the external data 'model.onnx.data' are missing",)
    assert found.weights.bytes == whole.weights.bytes
    assert found.to_json()["external_data"] == [
        {"name": "model.onnx.data", "bytes": None, "used": whole.weights.bytes, "tensors": 3}
    ]


@pytest.mark.parametrize("build", [odd_models.cycle, odd_models.duplicate_values, odd_models.dangling_input])
def test_a_broken_graph_is_told_with_everything_else(build: odd_models.Build, tmp_path: Path) -> None:
    found = looked(build(), tmp_path)
    assert found.defects
    assert found.nodes == len(build().graph.node)


ODD = [
    odd_models.no_shapes, odd_models.zero_size, odd_models.scalars, odd_models.sparse_weight, odd_models.sequences,
    odd_models.optionals, odd_models.nameless_nodes, odd_models.output_is_input, odd_models.output_is_weight,
    odd_models.unused_outputs, odd_models.loop, odd_models.shared_between_branches, odd_models.same_names_in_branches,
    odd_models.training_mode, odd_models.unsorted, models.string_input, models.half, models.repeated_opset,
]  # fmt: skip


@pytest.mark.parametrize("build", ODD)
def test_odd_models_are_looked_into_and_every_pass_answers(build: odd_models.Build, tmp_path: Path) -> None:
    found = looked(build(), tmp_path)
    assert found.operators
    assert found.unsupported == ()
    assert Answer.BROKEN not in {each.answer for each in found.passes}


def test_passes_are_asked_and_say_why_not(tmp_path: Path) -> None:
    plain, quantized = (looked(build(), tmp_path / build.__name__) for build in (models.mlp, models.quantized))
    assert candidate(plain, "dynamic_quant") == Candidate("dynamic_quant", Answer.TAKES)
    assert candidate(plain, "static_quant") == Candidate("static_quant", Answer.TAKES, data=True)
    assert candidate(plain, "convert_opset") == Candidate("convert_opset", Answer.ASKS, ("target",))
    refused = candidate(quantized, "dynamic_quant")
    assert refused.answer is Answer.REFUSES
    assert "quantized already" in refused.reasons[0]
    assert "calibrate" not in {each.name for each in plain.passes}  # auxiliary: it makes no model


class ReadsWeights(Pass[PassConfig]):
    """A pass that looks at the values of a weight before it takes a model."""

    name = "reads_weights"
    config = PassConfig

    def refuses(self, source: Artifact, config: PassConfig, target: Target) -> list[str]:
        del config, target
        [*_, last] = read_structure(source.model).graph.initializer
        return [
            f"its last weight sums up to {onnx.numpy_helper.to_array(tensors.inlined(last, source.model)).sum():.0f}"
        ]

    def run(self, source: Artifact, out: Path, config: PassConfig, context: PassContext) -> Manifest:
        raise NotImplementedError


class Stumbles(ReadsWeights):
    """A pass with a bug."""

    name = "stumbles"

    def refuses(self, source: Artifact, config: PassConfig, target: Target) -> list[str]:
        raise ZeroDivisionError("as bugs go")


def test_a_copy_without_large_weights_changes_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passes are asked with a copy where the file is large; one that needs a weight's values is asked with the model itself."""
    path = models.save(models.mlp(hidden=4096), tmp_path)
    model = onnx.load(path)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(1 << 16, np.float32), "ones"))
    onnx.save(model, path)
    plugin = Plugin(passes={"reads_weights": f"{__name__}:ReadsWeights", "stumbles": f"{__name__}:Stumbles"})
    registry = installed([("tests", plugin)])
    monkeypatch.setattr("olivelike.engine.inspect.inspect.installed", lambda: registry)
    whole = inspect(path)
    monkeypatch.setattr("olivelike.engine.inspect.light.WORTH_IT", 0)
    assert inspect(path).passes == whole.passes
    assert candidate(whole, "reads_weights").reasons == ("its last weight sums up to 65536",)
    assert candidate(whole, "stumbles") == Candidate("stumbles", Answer.BROKEN, ("ZeroDivisionError: as bugs go",))


def test_a_folder_with_one_model_stands_for_it(tmp_path: Path) -> None:
    models.save(models.mlp(), tmp_path / "bundle" / "onnx")
    (tmp_path / "bundle" / "tokenizer.json").write_text("{}")
    assert inspect(tmp_path / "bundle").file == tmp_path / "bundle" / "onnx" / "model.onnx"
    shutil.copy(tmp_path / "bundle" / "onnx" / "model.onnx", tmp_path / "bundle" / "second.onnx")
    with pytest.raises(InputError, match="OL201"):
        inspect(tmp_path / "bundle")


def test_a_folder_that_holds_no_onnx_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match=r"OL115.*Transformers"):
        inspect(tmp_path)


def test_five_gigabytes_of_weights_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = sparse_model(tmp_path, layers=8, width=12_500)
    assert (tmp_path / "model.onnx.data").stat().st_size == FIVE_GIGABYTES

    def forbidden(*_: object) -> None:
        raise AssertionError("a weight was read")

    monkeypatch.setattr(tensors, "_external_pieces", forbidden)
    before = psutil.Process().memory_info().rss
    found = inspect(path)
    grown = psutil.Process().memory_info().rss - before
    assert found.weights.bytes == FIVE_GIGABYTES
    assert found.weights.by_layer[0].name == "layers.0"
    assert len(found.weights.by_layer) == 8
    assert grown < FIVE_GIGABYTES / 10  # one weight alone has 625 MB
    assert found.defects == ()


def _weight_only() -> onnx.ModelProto:
    """A weight in 8 bits that is made float before it is used: no activation is rounded."""
    tensor = onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight_of("w", 16, 16)).astype("int8"), "w")
    scale = onnx.helper.make_tensor("scale", onnx.TensorProto.FLOAT, [], [0.1])
    nodes = [node_of("DequantizeLinear", ["w", "scale"], ["d"]), node_of("MatMul", ["x", "d"], ["y"])]
    ends = [float_value(name, "batch", 16) for name in "xy"]
    return model_of(nodes, ends[:1], ends[1:], [tensor, scale])


def _four_bits() -> onnx.ModelProto:
    """A matrix of 16 by 16 in 4 bits: one block of 16 in each column."""
    packed = onnx.helper.make_tensor("w", onnx.TensorProto.UINT8, [16, 1, 8], bytes(128), raw=True)
    node = node_of(
        "MatMulNBits", ["x", "w", "scales"], ["y"], domain="com.microsoft", K=16, N=16, bits=4, block_size=16
    )
    ends = [float_value(name, "batch", 16) for name in "xy"]
    model = model_of([node], ends[:1], ends[1:], [packed, weight_of("scales", 16, 1)])
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    return model

"""Tests of the pass `split`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar, cast

import numpy as np
import onnx
import onnxruntime
import pytest
from pydantic import ValidationError

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.target import Provider, Target
from olivelike.digest import Json, JsonObject
from olivelike.errors import RefusedError, StepError
from olivelike.onnxfile.read import read_structure
from olivelike.onnxfile.wiring import put_in_order
from olivelike.testing import models, odd_models
from olivelike.testing.building import float_tensor, float_value, model_of, node_of, weight_of
from olivelike.testing.context import MemoryContext, run_model
from olivelike.testing.feeds import feeds_for
from olivelike.testing.graph_contract import GraphPassContract
from olivelike.testing.pass_contract import Refusal
from olivelike.testing.run_pass import run_pass
from olivelike_passes.graph.chain import chain_of
from olivelike_passes.graph.cuts import by_provider
from olivelike_passes.graph.split import Split, SplitConfig
from tests.passes.running import applied, artifact, reasons

WEIGHT = 16 * 16 * 4
"""The bytes of one weight of `matmul_chain`."""
SPLITTABLE = (
    "copies_input", "function", "loop", "nameless_nodes", "no_shapes", "old", "optionals", "quantized", "repeated_opset",
    "scalars", "sequences", "unsorted", "unused_outputs", "wasteful", "weights_as_inputs", "weights_as_inputs_ir3",
)  # fmt: skip
"""The odd models of which two nodes or more depend on an input."""


def ops(artifact: Artifact) -> list[list[str]]:
    files = (artifact.folder / part for part in artifact.manifest.parts.values())
    return [[node.op_type for node in read_structure(file).graph.node] for file in files]


def told(artifact: Artifact) -> dict[str, JsonObject]:
    note = cast("JsonObject", artifact.manifest.notes["split"])
    return cast("dict[str, JsonObject]", note["parts"])


def flows(artifact: Artifact) -> list[tuple[Json, Json]]:
    return [(part["inputs"], part["outputs"]) for part in told(artifact).values()]


def run_chain(artifact: Artifact, model: Path) -> dict[str, np.ndarray]:
    """Runs the parts one after the other and returns everything that came out of them."""
    values = dict(feeds_for(model))
    for name, part in artifact.manifest.parts.items():
        wanted = cast("list[str]", told(artifact)[name]["inputs"])
        values |= run_model(artifact.folder / part, {each: values[each] for each in wanted})
    return values


class TestSplit(GraphPassContract):
    pass_type = Split
    configs = ({"parts": 2}, {"by": "size", "size": 600}, {"by": "nodes", "at": ["r"]})
    odd_config: ClassVar = {"parts": 2}
    accepted: ClassVar = {"mlp": lambda: models.mlp(hidden=8), "old": lambda: models.mlp(opset=7, hidden=8)}
    refused: ClassVar = {
        "it fits": Refusal(models.mlp, "fit into one part of 1000000", {"by": "size", "size": 1_000_000}),
        "a node is too large": Refusal(models.mlp, "'Gemm_h' (Gemm) alone holds 2176", {"by": "size", "size": 2000}),
        "too few nodes": Refusal(models.mlp, "3 nodes of the model depend on an input", {"parts": 4}),
        "no such value": Refusal(models.mlp, "makes 'hh'", {"by": "nodes", "at": ["hh"]}),
        "nothing behind": Refusal(models.mlp, "no node behind the last cut", {"by": "nodes", "at": ["logits"]}),
        "nothing between": Refusal(models.mlp, "leaves no node", {"by": "nodes", "at": ["r", "h"]}),
        "no plan": Refusal(models.mlp, "the note split_plan is missing", {"by": "plan"}),
        "one provider": Refusal(models.mlp, "lists one execution provider", {"by": "provider"}),
    }


@pytest.mark.parametrize("name", [*SPLITTABLE, "conv_net", "bert_layer", "matmul_chain"])
def test_the_parts_in_turn_give_what_the_model_gives(name: str, tmp_path: Path) -> None:
    build = odd_models.RUNNABLE.get(name) or getattr(models, name)
    source = artifact(build(), tmp_path)
    made = run_pass(Split, source, {}, tmp_path / "run")
    got = run_chain(made, source.model)
    for output, expected in run_model(source.model, feeds_for(source.model)).items():
        if expected.dtype.kind in "OUSb":
            assert (got[output] == expected).all()
        else:
            # The runtime fuses less across a cut: a few units in the last place of float32.
            np.testing.assert_allclose(got[output], expected, rtol=1e-5, atol=1e-6)


def test_parts_of_equally_many_nodes(tmp_path: Path) -> None:
    made = applied(Split, models.matmul_chain(layers=3), tmp_path, parts=3)
    assert made.kind == "onnx-parts"
    assert made.manifest.parts == {"part0": "part0.onnx", "part1": "part1.onnx", "part2": "part2.onnx"}
    assert ops(made) == [["MatMul", "Relu"]] * 3
    assert flows(made) == [(["x"], ["r0"]), (["r0"], ["r1"]), (["r1"], ["y"])]
    assert [part["bytes"] for part in told(made).values()] == [WEIGHT] * 3


def test_a_cut_moves_to_where_fewer_bytes_cross(tmp_path: Path) -> None:
    # Half of 8 nodes is behind the fourth, where 64 numbers cross; behind the fifth, 4 do.
    kinds = [("MatMul", "wide"), ("Relu", ""), ("Tanh", ""), ("Abs", ""), ("MatMul", "narrow"), *[("Relu", "")] * 3]
    nodes = [
        node_of(kind, [f"v{at}", weight] if weight else [f"v{at}"], [f"v{at + 1}"])
        for at, (kind, weight) in enumerate(kinds)
    ]
    weights = [weight_of("wide", 4, 64), weight_of("narrow", 64, 4)]
    model = model_of(nodes, [float_value("v0", "batch", 4)], [float_value("v8", "batch", 4)], weights)
    assert flows(applied(Split, model, tmp_path, parts=2)) == [(["v0"], ["v5"]), (["v5"], ["v8"])]


def test_no_part_holds_more_bytes_than_it_may(tmp_path: Path) -> None:
    made = applied(Split, models.matmul_chain(layers=5), tmp_path, by="size", size=2 * WEIGHT)
    assert [part["bytes"] for part in told(made).values()] == [2 * WEIGHT, 2 * WEIGHT, WEIGHT]


def test_a_part_ends_at_the_named_value_or_node(tmp_path: Path) -> None:
    by_value = applied(Split, models.mlp(), tmp_path / "value", by="nodes", at=["h"])
    by_node = applied(Split, models.mlp(), tmp_path / "node", by="nodes", at=["Gemm_h"])
    assert ops(by_value) == ops(by_node) == [["Gemm"], ["Relu", "Gemm"]]


def test_a_plan_in_the_notes_is_followed(tmp_path: Path) -> None:
    source = artifact(models.matmul_chain(layers=3), tmp_path)
    planned = replace(source, manifest=source.manifest.noted(split_plan=["r0", ["Relu_r1"]]))
    made = run_pass(Split, planned, {"by": "plan"}, tmp_path / "run")
    assert ops(made) == [["MatMul", "Relu"]] * 3


def test_a_plan_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    source = artifact(models.mlp(), tmp_path)
    for plan in ({"cuts": ["h"]}, [["h"], []], [1]):
        planned = replace(source, manifest=source.manifest.noted(split_plan=cast("Json", plan)))
        [reason] = Split().refuses(planned, SplitConfig(by="plan"), Target())
        assert "split_plan" in reason


def test_what_skips_a_part_goes_from_the_one_that_makes_it_to_the_one_that_reads_it(tmp_path: Path) -> None:
    nodes = [
        node_of("Relu", ["x"], ["a"]),
        node_of("Tanh", ["a"], ["b"]),
        node_of("Abs", ["b"], ["c"]),
        node_of("Add", ["c", "a"], ["y"]),
    ]
    model = model_of(nodes, [float_value("x", 2)], [float_value("y", 2), float_value("b", 2)])
    made = applied(Split, model, tmp_path, by="nodes", at=["a", "c"])
    assert flows(made) == [(["x"], ["a"]), (["a"], ["c", "b"]), (["c", "a"], ["y"])]


def test_what_depends_on_weights_alone_is_computed_where_it_is_read(tmp_path: Path) -> None:
    constant = node_of("Constant", [], ["c"], value=float_tensor("c", [1.0, 2.0]))
    nodes = [
        constant,
        node_of("Neg", ["c"], ["n"]),
        node_of("Add", ["x", "n"], ["a"]),
        node_of("Mul", ["a", "n"], ["y"]),
    ]
    model = model_of(nodes, [float_value("x", 2)], [float_value("y", 2)])
    assert ops(applied(Split, model, tmp_path, parts=2)) == [["Constant", "Neg", "Add"], ["Constant", "Neg", "Mul"]]


def test_random_numbers_are_drawn_once(tmp_path: Path) -> None:
    noise = node_of("RandomNormal", [], ["n"], shape=[2])
    nodes = [noise, node_of("Add", ["x", "n"], ["a"]), node_of("Mul", ["a", "n"], ["y"])]
    model = model_of(nodes, [float_value("x", 2)], [float_value("y", 2)])
    made = applied(Split, model, tmp_path, by="nodes", at=["a"])
    assert ops(made) == [["RandomNormal", "Add"], ["Mul"]]


def test_nodes_of_one_provider_stay_together_where_the_order_allows() -> None:
    nodes = [
        node_of("Relu", ["x"], ["a"]),
        node_of("Relu", ["x"], ["b"]),
        node_of("Neg", ["a"], ["c"]),
        node_of("Add", ["b", "c"], ["y"]),
    ]
    model = model_of(nodes, [float_value("x", 2)], [float_value("y", 2)])
    put_in_order(model)
    providers = {"Relu_a": "gpu", "Relu_b": "cpu", "Neg_c": "gpu", "Add_y": "cpu"}
    assert by_provider(chain_of(model), providers) == ((0, 2), (1, 3))


def test_a_model_that_one_provider_runs_is_not_cut(tmp_path: Path) -> None:
    # The runtime everywhere offers its CPU, twice named here: it takes every node.
    target = Target(providers=(Provider("CPUExecutionProvider"),) * 2)
    source = artifact(models.mlp(), tmp_path)
    assert not Split().refuses(source, SplitConfig(by="provider"), target)
    with pytest.raises(RefusedError, match="stays in one part"):
        run_pass(Split, source, {"by": "provider"}, tmp_path / "run")


@pytest.mark.skipif(
    "OpenVINOExecutionProvider" not in onnxruntime.get_available_providers(), reason="needs onnxruntime-openvino"
)
def test_a_part_ends_where_another_provider_goes_on(tmp_path: Path) -> None:
    nodes = [
        node_of("MatMul", ["x", "w"], ["a"]),
        node_of("Hardmax", ["a"], ["b"]),  # OpenVINO has none
        node_of("MatMul", ["b", "w"], ["y"]),
    ]
    model = model_of(nodes, [float_value("x", 4, 16)], [float_value("y", 4, 16)], [weight_of("w", 16, 16)])
    source = artifact(model, tmp_path)
    for name in ("out", "scratch"):
        (tmp_path / name).mkdir()
    providers = (Provider("OpenVINOExecutionProvider", {"device_type": "CPU"}), Provider("CPUExecutionProvider"))
    context = MemoryContext(tmp_path / "scratch", target=Target(providers=providers))
    manifest = Split().run(source, tmp_path / "out", SplitConfig(by="provider"), context)
    made = Artifact(tmp_path / "out", manifest, "")
    assert flows(made)[-1] == (["b"], ["y"])
    expected = run_model(source.model, feeds_for(source.model))["y"]
    np.testing.assert_allclose(run_chain(made, source.model)["y"], expected, rtol=1e-5)


def test_no_part_is_taken_for_the_model(tmp_path: Path) -> None:
    made = applied(Split, models.mlp(), tmp_path)
    with pytest.raises(StepError, match="part0, part1 is no single model"):
        _ = made.model


def test_companions_and_session_options_are_handed_on(tmp_path: Path) -> None:
    source = artifact(models.mlp(), tmp_path)
    (source.folder / "tokenizer.json").write_text("{}")
    manifest = replace(source.manifest, companions=("tokenizer.json",), session={"inter_op_num_threads": 2})
    made = run_pass(Split, replace(source, manifest=manifest), {}, tmp_path / "run")
    assert (made.folder / "tokenizer.json").read_text() == "{}"
    assert made.manifest.session == {"inter_op_num_threads": 2}


def test_an_input_that_nothing_reads_stays_an_input_of_the_first_part(tmp_path: Path) -> None:
    model = models.mlp()
    model.graph.input.append(float_value("idle", 1))
    assert flows(applied(Split, model, tmp_path)) == [(["x", "idle"], ["h"]), (["h"], ["logits"])]


@pytest.mark.parametrize("settings", [{"by": "size"}, {"by": "nodes"}, {"parts": 1}])
def test_a_way_to_cut_without_its_parameter_is_no_configuration(settings: dict[str, Json]) -> None:
    with pytest.raises(ValidationError):
        SplitConfig.model_validate(settings)


def test_models_with_training_graphs_are_refused(tmp_path: Path) -> None:
    model = models.mlp()
    model.training_info.add()
    assert "training graphs" in reasons(Split, model, tmp_path)[0]


def test_a_node_holds_what_its_constants_hold() -> None:
    chain = chain_of(models.conv_net(constants=True))
    held = [sum(chain.held_by(place).values()) for place in chain.nodes]
    assert sum(held) == sum(
        len(onnx.numpy_helper.to_array(n.attribute[0].t).tobytes())
        for n in chain.model.graph.node
        if n.op_type == "Constant"
    )


def test_quantization_annotations_go_with_the_values_and_keep_the_tensors_they_name(tmp_path: Path) -> None:
    model = models.mlp()
    model.graph.initializer.append(float_tensor("h_scale", [0.5]))
    annotation = model.graph.quantization_annotation.add(tensor_name="h")
    annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="h_scale")
    made = applied(Split, model, tmp_path, by="nodes", at=["r"])
    first, second = (read_structure(made.folder / part) for part in made.manifest.parts.values())
    assert [each.tensor_name for each in first.graph.quantization_annotation] == ["h"]
    assert "h_scale" in {tensor.name for tensor in first.graph.initializer}
    assert not second.graph.quantization_annotation


@pytest.mark.parametrize(("written", "number"), [(3000, 3000), ("500MB", 500_000_000), ("1 GiB", 1 << 30)])
def test_a_size_may_have_a_unit(written: int | str, number: int) -> None:
    assert SplitConfig.model_validate({"by": "size", "size": written}).size == number


def test_a_size_of_no_unit_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValidationError, match=r"unknown unit in '5 gb'; did you mean GB\?"):
        SplitConfig.model_validate({"by": "size", "size": "5 gb"})

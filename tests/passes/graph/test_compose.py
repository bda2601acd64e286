"""Tests of the pass `compose`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import pytest

from olivelike.contracts import carry
from olivelike.contracts.artifact import PARTS_KIND, Artifact, Manifest
from olivelike.contracts.target import Target
from olivelike.digest import Json
from olivelike.onnxfile.external import external_files
from olivelike.onnxfile.read import read_structure, signature
from olivelike.testing import models, odd_models
from olivelike.testing.building import float_value, model_of, node_of, value_of, weight_of
from olivelike.testing.context import run_model
from olivelike.testing.feeds import feeds_for
from olivelike.testing.pass_contract import Build, PassContract, Refusal
from olivelike.testing.run_pass import run_pass
from olivelike_passes.graph.compose import Compose, ComposeConfig
from olivelike_passes.graph.split import Split
from tests.passes.graph.test_split import SPLITTABLE
from tests.passes.running import artifact, kinds


def parts_of(built: Mapping[str, onnx.ModelProto], folder: Path, notes: Mapping[str, Json] | None = None) -> Artifact:
    """Writes models as the parts of an artifact."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, model in built.items():
        (folder / f"{name}.onnx").write_bytes(model.SerializeToString())
    manifest = Manifest(PARTS_KIND, {name: f"{name}.onnx" for name in built}, notes=notes or {})
    return Artifact(folder, manifest, "0" * 64)


def one(kind: str, source: str, result: str, weight: str = "w", opset: int = 17, width: int = 4) -> onnx.ModelProto:
    """A part of one node with a weight, drawn by the type of the node."""
    drawn = weight_of(kind, width)
    drawn.name = weight
    node = node_of(kind, [source, weight], ["inner"])
    ends = [float_value(source, "batch", width)], [float_value(result, "batch", width)]
    return model_of([node, node_of("Relu", ["inner"], [result])], *ends, [drawn], opset=opset)


def why(built: Mapping[str, onnx.ModelProto], folder: Path, **settings: Json) -> str:
    return "; ".join(Compose().refuses(parts_of(built, folder), ComposeConfig.model_validate(settings), Target()))


class TestCompose(PassContract):
    pass_type = Compose
    accepted: ClassVar = {
        "mlp": models.mlp,
        "conv": lambda: models.conv_net(constants=True),
        "chain": models.matmul_chain,
    }
    refused: ClassVar = {"no such output": Refusal(models.mlp, "no part gives the output 'z'", {"outputs": ["z"]})}

    def _source(self, build: Build, folder: Path) -> Artifact:
        return run_pass(Split, super()._source(build, folder), {}, folder / "split")


@pytest.mark.parametrize("name", SPLITTABLE)
@pytest.mark.parametrize("external", [False, True])
def test_split_and_compose_give_the_model_back(
    name: str, external: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if external:
        monkeypatch.setattr(carry, "PART_EXTERNAL_ABOVE", 0)
    source = artifact(odd_models.RUNNABLE[name](), tmp_path)
    parts = run_pass(Split, source, {}, tmp_path / "split")
    assert list(Compose().refuses(parts, ComposeConfig(), Target())) == []
    whole = run_pass(Compose, parts, {}, tmp_path / "whole")
    assert signature(whole.model) == signature(source.model)
    feeds = feeds_for(source.model)
    for output, expected in run_model(source.model, feeds).items():
        # The same operators on the same numbers.
        np.testing.assert_array_equal(run_model(whole.model, feeds)[output], expected)


def test_the_whole_has_the_nodes_and_weights_that_the_model_had(tmp_path: Path) -> None:
    before = models.conv_net(constants=True)
    parts = run_pass(Split, artifact(before, tmp_path), {"parts": 4}, tmp_path / "split")
    after = read_structure(run_pass(Compose, parts, {}, tmp_path / "whole").model)
    assert kinds(after) == kinds(before)
    tied = models.matmul_chain(layers=4)
    for node in tied.graph.node:
        if node.op_type == "MatMul":
            node.input[1] = "w0"
    parts = run_pass(Split, artifact(tied, tmp_path / "tied"), {}, tmp_path / "tied/split")
    assert len(read_structure(parts.folder / "part1.onnx").graph.initializer) == 1
    after = read_structure(run_pass(Compose, parts, {}, tmp_path / "tied/whole").model)
    assert [tensor.name for tensor in after.graph.initializer] == ["w0"]
    assert len(after.graph.node) == 8


def test_large_parts_are_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carry, "PART_EXTERNAL_ABOVE", 0)
    source = artifact(models.matmul_chain(layers=2, width=32), tmp_path)
    parts = run_pass(Split, source, {}, tmp_path / "split")
    assert external_files(parts.folder / "part1.onnx") == ("part1.onnx.data",)
    whole = run_pass(Compose, parts, {}, tmp_path / "whole")
    feeds = feeds_for(source.model)
    np.testing.assert_array_equal(run_model(whole.model, feeds)["y"], run_model(source.model, feeds)["y"])


def test_names_that_collide_are_kept_apart(tmp_path: Path) -> None:
    source = parts_of({"head": one("Add", "x", "h"), "tail": one("Mul", "h", "y")}, tmp_path)
    whole = run_pass(Compose, source, {}, tmp_path / "run")
    model = read_structure(whole.model)
    assert [tensor.name for tensor in model.graph.initializer] == ["w", "tail/w"]
    assert [list(node.output) for node in model.graph.node] == [["inner"], ["h"], ["tail/inner"], ["y"]]
    x = np.ones((2, 4), np.float32)
    added, scaled = (onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer)
    expected = np.maximum(np.maximum(x + added, 0) * scaled, 0)
    np.testing.assert_array_equal(run_model(whole.model, {"x": x})["y"], expected)


def test_a_node_that_reads_another_weight_of_the_same_name_is_another_node(tmp_path: Path) -> None:
    def part(kind: str, source: str, result: str) -> onnx.ModelProto:
        model = one(kind, source, result)
        model.graph.node.insert(0, node_of("Neg", ["w"], ["n"]))
        model.graph.node[1].input[1] = "n"
        return model

    whole = run_pass(
        Compose, parts_of({"a": part("Add", "x", "h"), "b": part("Mul", "h", "y")}, tmp_path), {}, tmp_path / "run"
    )
    assert kinds(read_structure(whole.model))["Neg"] == 2


def test_branches_are_renamed_with_what_they_read(tmp_path: Path) -> None:
    first, second = odd_models.shared_between_branches(), odd_models.shared_between_branches()
    second.graph.node[0].output[0] = second.graph.output[0].name = "z"
    second.graph.input[1].name = "y"
    for node in [n for a in second.graph.node[0].attribute for n in a.g.node]:
        node.input[:] = ["y" if name == "x" else name for name in node.input]
    for tensor in second.graph.initializer:  # another weight of the same name
        tensor.CopyFrom(weight_of("v", 16, 16))
        tensor.name = "w"
    source = parts_of({"a": first, "b": second}, tmp_path)
    whole = run_pass(Compose, source, {}, tmp_path / "run")
    feeds = dict(feeds_for(whole.model))
    between = run_model(tmp_path / "a.onnx", feeds)["y"]
    expected = run_model(tmp_path / "b.onnx", {"flag": feeds["flag"], "y": between})["z"]
    np.testing.assert_array_equal(run_model(whole.model, feeds)["z"], expected)


def test_without_a_note_the_outputs_are_what_no_later_part_takes(tmp_path: Path) -> None:
    built = {"a": one("Add", "x", "h"), "b": one("Mul", "h", "y")}
    whole = run_pass(Compose, parts_of(built, tmp_path / "a"), {}, tmp_path / "run")
    assert [value.name for value in signature(whole.model).outputs] == ["y"]
    asked = run_pass(Compose, parts_of(built, tmp_path / "b"), {"outputs": ["y", "h"]}, tmp_path / "asked")
    assert [value.name for value in signature(asked.model).outputs] == ["y", "h"]


def test_what_does_not_fit_is_refused_with_names_and_types(tmp_path: Path) -> None:
    a = one("Add", "x", "h")
    assert "'h' is" in why({"a": a, "b": one("Mul", "h", "y", width=8)}, tmp_path)
    assert "different versions of ai.onnx: a 17, b 18" in why({"a": a, "b": one("Mul", "h", "y", opset=18)}, tmp_path)
    assert "both a and b make 'h'" in why({"a": a, "b": one("Mul", "x", "h")}, tmp_path)
    assert "b reads 'y', which the later part c makes" in why(
        {"a": a, "b": one("Mul", "y", "z"), "c": one("Mul", "z", "y")}, tmp_path
    )
    whole = model_of([node_of("Not", ["h"], ["y"])], [value_of("h", "BOOL", "n", 4)], [value_of("y", "BOOL", "n", 4)])
    assert "BOOL" in why({"a": a, "b": whole}, tmp_path)
    other = odd_models.function()
    other.functions[0].node[0].op_type = "Add"
    other.graph.node[1].output[0] = other.graph.output[0].name = "z"
    assert "define the function own.SquarePlus differently" in why({"a": odd_models.function(), "b": other}, tmp_path)


def test_broken_parts_are_refused_with_the_part(tmp_path: Path) -> None:
    assert "b: " in why({"a": models.mlp(), "b": odd_models.cycle()}, tmp_path)


def test_the_note_of_split_is_used_up(tmp_path: Path) -> None:
    parts = run_pass(Split, artifact(models.mlp(), tmp_path), {}, tmp_path / "split")
    whole = run_pass(Compose, parts, {}, tmp_path / "whole")
    assert whole.manifest.notes == {"compose": {"parts": ["part0", "part1"]}}


def test_parts_in_folders_of_their_own_bring_their_external_data(tmp_path: Path) -> None:
    for name, kind, source, result in (("a", "Add", "x", "h"), ("b", "Mul", "h", "y")):
        (tmp_path / name).mkdir()
        models.save_external(one(kind, source, result, width=256), tmp_path / name)
    manifest = Manifest(PARTS_KIND, {"a": "a/model.onnx", "b": "b/model.onnx"})
    whole = run_pass(Compose, Artifact(tmp_path, manifest, "0" * 64), {}, tmp_path / "run")
    x = np.ones((2, 256), np.float32)
    between = run_model(tmp_path / "a/model.onnx", {"x": x})
    np.testing.assert_array_equal(
        run_model(whole.model, {"x": x})["y"], run_model(tmp_path / "b/model.onnx", between)["y"]
    )


def test_a_part_in_the_oldest_format_is_brought_to_the_newer(tmp_path: Path) -> None:
    old = one("Add", "x", "h")
    old.ir_version = 3
    old.graph.input.append(float_value("w", 4))
    for built in ({"a": old, "b": one("Mul", "h", "y")}, {"b": one("Mul", "z", "x"), "a": old}):
        whole = run_pass(Compose, parts_of(built, tmp_path / "".join(built)), {}, tmp_path / f"run-{''.join(built)}")
        model = read_structure(whole.model)
        assert model.ir_version == 8
        assert [entry.name for entry in model.graph.input] == ["x" if next(iter(built)) == "a" else "z"]

"""What differs between two models: known differences between small ones, in structure, weights and values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.target import Target
from olivelike.engine.data_option import DataOption
from olivelike.engine.difference import values
from olivelike.engine.difference.apart import Apart, NotCompared
from olivelike.engine.difference.diff import Difference, diff
from olivelike.engine.difference.feeding import Asked
from olivelike.engine.difference.structure import Change, Count
from olivelike.errors import InputError, MeasureError, fail
from olivelike.evaluate.sessions.session import RuntimeSession
from olivelike.testing import models, odd_models
from olivelike.testing.building import float_value, model_of, node_of, value_of, weight_of

Build = Callable[[], onnx.ModelProto]


def compared(
    first: onnx.ModelProto, second: onnx.ModelProto, folder: Path, asked: Asked | None = None, *, run: bool = True
) -> Difference:
    paths = models.save(first, folder / "a"), models.save(second, folder / "b")
    return diff(*paths, asked or Asked(batch=4), run=run)


def scaled(model: onnx.ModelProto, name: str, factor: float) -> onnx.ModelProto:
    for tensor in model.graph.initializer:
        if tensor.name == name:
            values = onnx.numpy_helper.to_array(tensor) * np.float32(factor)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, name))
    return model


def product(name: str = "w") -> onnx.ModelProto:
    """`x` float32 [batch, 16] times a matrix, the inner value `h`, and once more to `y`."""
    nodes = [node_of("MatMul", ["x", name], ["h"]), node_of("Neg", ["h"], ["y"])]
    weight = weight_of("w", 16, 16)
    weight.name = name
    return model_of(nodes, [float_value("x", "batch", 16)], [float_value("y", "batch", 16)], [weight])


@pytest.mark.parametrize(
    "build",
    [models.mlp, models.conv_net, models.quantized, models.half, models.if_model, odd_models.function, odd_models.loop],
)
def test_a_model_does_not_differ_from_itself(build: Build, tmp_path: Path) -> None:
    found = compared(build(), build(), tmp_path)
    assert found.same_structure
    assert found.header == ()
    assert found.nodes.same == found.nodes.first
    assert not found.values.reason
    assert all(isinstance(each, Apart) and each.equal for each in found.values.outputs)
    assert all(isinstance(each.value, Apart) and each.value.equal for each in found.values.layers)


def test_a_doubled_weight_is_told_with_what_it_does_to_every_value(tmp_path: Path) -> None:
    """Twice the weight gives twice the value: the difference is as large as the value itself, 0 dB, in the same direction."""
    found = compared(product(), scaled(product(), "w", 2.0), tmp_path)
    [changed] = found.weights.changed
    assert (changed.name, changed.what) == ("w", "values")
    assert not found.nodes.differ
    [output] = found.values.outputs
    [inner] = found.values.layers
    assert isinstance(output, Apart) and isinstance(inner.value, Apart)
    assert (output.name, inner.value.name, inner.first, inner.second) == ("y", "h", "MatMul", "MatMul")
    for each in (output, inner.value):
        assert each.relative == pytest.approx(1, rel=1e-6)  # doubling is exact in float32; sums of squares are rounded
        assert each.cosine == pytest.approx(1, rel=1e-6)
        assert each.sqnr == pytest.approx(0, abs=1e-5)
    generator = np.random.default_rng(0)
    x = generator.standard_normal(64).reshape(4, 16).astype(np.float32)
    y = x @ onnx.numpy_helper.to_array(product().graph.initializer[0])
    assert output.max_abs == pytest.approx(np.abs(y).max(), rel=1e-5)  # float32 sums in another order


def test_weights_are_told_by_name_type_shape_and_content(tmp_path: Path) -> None:
    def model(*weights: onnx.TensorProto) -> onnx.ModelProto:
        return model_of([node_of("Relu", ["x"], ["y"])], [float_value("x", 1)], [float_value("y", 1)], weights)

    moved = weight_of("same", 4, 4)
    moved.name = "moved"
    half = onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight_of("w", 3)).astype("float16"), "w")
    first = model(
        weight_of("same", 4, 4), weight_of("stays", 2), weight_of("w", 3), weight_of("v", 3), weight_of("a", 1)
    )
    second = model(moved, weight_of("stays", 2), half, weight_of("v", 4), weight_of("b", 2))
    found = compared(first, second, tmp_path, run=False).weights
    assert found.renamed == {"same": "moved"}
    assert [(each.name, each.what) for each in found.changed] == [("w", "type"), ("v", "shape")]
    assert {name: str(weight) for name, weight in found.removed.items()} == {"a": "float32 [1]"}
    assert {name: str(weight) for name, weight in found.added.items()} == {"b": "float32 [2]"}
    assert found.same == 1
    assert (found.first_bytes, found.second_bytes) == (4 * (16 + 2 + 3 + 3 + 1), 4 * (16 + 2 + 4 + 2) + 2 * 3)


def test_where_weights_are_stored_makes_no_difference(tmp_path: Path) -> None:
    inside = models.save(models.mlp(), tmp_path / "inside")
    outside = models.save_external(models.mlp(), tmp_path / "outside")
    found = diff(inside, outside, Asked())
    assert found.same_structure
    assert found.weights.same == 4
    assert not found.values.differ
    same = diff(outside, outside, Asked(), run=False)
    assert same.weights.same == 4


def test_nodes_are_told_by_type_and_by_name(tmp_path: Path) -> None:
    second = models.mlp()
    second.graph.node[1].op_type = "Elu"
    second.graph.node[1].attribute.append(onnx.helper.make_attribute("alpha", 0.5))
    second.graph.node[2].name = "other"
    found = compared(models.mlp(), second, tmp_path).nodes
    [first, relu, last] = models.mlp().graph.node
    assert found.types == (Count("Elu", 0, 1), Count("Relu", 1, 0))
    assert found.changed == (Change(relu.name, "Relu", "Elu"),)
    assert (found.removed, found.added) == ({last.name: "Gemm"}, {"other": "Gemm"})
    assert (found.first, found.second, found.same) == (3, 3, 1)
    assert first.op_type == "Gemm"


def test_attributes_and_reads_that_differ_are_told(tmp_path: Path) -> None:
    def model(alpha: float, source: str) -> onnx.ModelProto:
        nodes = [node_of("Elu", ["x"], ["h"], alpha=alpha), node_of("Relu", [source], ["y"])]
        return model_of(nodes, [float_value("x", 4)], [float_value("y", 4)])

    found = compared(model(0.5, "h"), model(0.25, "x"), tmp_path)
    assert found.nodes.changed == (
        Change("Elu_h", "alpha=0.5", "alpha=0.25"),
        Change("Relu_y", "reads h", "reads x"),
    )


def test_nodes_inside_branches_are_told_with_those_around_them(tmp_path: Path) -> None:
    second = models.if_model()
    [branch] = [a.g for a in second.graph.node[0].attribute if a.name == "else_branch"]
    branch.node[0].name = "renamed"
    found = compared(models.if_model(), second, tmp_path).nodes
    assert found.added == {"If_y/else_branch/renamed": "MatMul"}
    assert found.removed == {"If_y/else_branch/MatMul_y_no": "MatMul"}
    assert found.changed == ()


def test_header_and_signature_are_told(tmp_path: Path) -> None:
    second = models.mlp(opset=18)
    second.ir_version = 9
    onnx.helper.set_model_props(second, {"task": "none"})
    second.graph.input[0].name = second.graph.node[0].input[0] = "pixels"
    found = compared(models.mlp(), second, tmp_path)
    assert {change.name: (change.first, change.second) for change in found.header} == {
        "IR version": ("8", "9"),
        "opset ai.onnx": ("17", "18"),
        "metadata task": ("", "none"),
    }
    assert [change.name for change in found.signature] == ["input x", "input pixels"]
    assert found.values.reason == "the models have other inputs: only A has x; only B has pixels"


def test_outputs_in_another_order_are_told(tmp_path: Path) -> None:
    second = models.copies_input()
    last = second.graph.output.pop()
    second.graph.output.insert(0, last)
    found = compared(models.copies_input(), second, tmp_path)
    [change] = found.signature
    assert change == Change("order", "input x, output y, output copy", "input x, output copy, output y")
    assert not found.values.differ


def test_a_model_that_does_not_load_is_compared_by_structure(tmp_path: Path) -> None:
    found = compared(models.unknown_operator(), models.mlp(), tmp_path)
    assert found.values.reason.startswith("model.onnx cannot be loaded: ")
    assert found.nodes.types


def test_texts_need_data(tmp_path: Path) -> None:
    first, second = models.string_input(), models.string_input()
    assert "no random values" in compared(first, second, tmp_path).values.reason
    np.savez(tmp_path / "words.npz", word=np.array(["good", "bad", "ugly"]))
    found = diff(tmp_path / "a", tmp_path / "b", Asked(DataOption(str(tmp_path / "words.npz"))))
    assert found.values.samples == 3
    assert not found.values.differ


def test_given_samples_are_fed_in_batches_to_both(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(1).standard_normal((10, 16)).astype("float32"))
    asked = Asked(DataOption(str(tmp_path / "data.npz")), batch=4, samples=9)
    found = compared(product(), scaled(product(), "w", 1.5), tmp_path, asked)
    assert found.values.samples == 9
    [output] = found.values.outputs
    assert isinstance(output, Apart)
    assert output.relative == pytest.approx(0.5, rel=1e-5)  # products by 1.5 are rounded to float32


def test_inputs_of_another_type_are_fed_the_same_values(tmp_path: Path) -> None:
    def model(kind: str) -> onnx.ModelProto:
        nodes = [node_of("Cast", ["x"], ["h"], to=onnx.TensorProto.FLOAT), node_of("Relu", ["h"], ["y"])]
        return model_of(nodes, [value_of("x", kind, "batch", 16)], [float_value("y", "batch", 16)])

    found = compared(model("FLOAT"), model("FLOAT16"), tmp_path)
    [output] = found.values.outputs
    assert isinstance(output, Apart)
    assert 0 < output.relative < 2**-11  # rounding to nearest with 11 bits of significand


def test_infinities_that_both_have_are_no_difference_and_others_are_not_compared(tmp_path: Path) -> None:
    def model(low: float) -> onnx.ModelProto:
        mask = onnx.helper.make_tensor("mask", onnx.TensorProto.FLOAT, [4], [0.0, -np.inf, np.nan, low])
        return model_of([node_of("Add", ["x", "mask"], ["y"])], [float_value("x", 4)], [float_value("y", 4)], [mask])

    [same] = compared(model(1.0), model(1.0), tmp_path / "same").values.outputs
    assert isinstance(same, Apart) and same.equal
    [other] = compared(model(1.0), model(np.inf), tmp_path / "other").values.outputs
    assert other == NotCompared("y", "1 of 4 elements are finite in one model only")


def test_outputs_of_another_shape_are_named(tmp_path: Path) -> None:
    def model(width: int) -> onnx.ModelProto:
        node = node_of("MatMul", ["x", "w"], ["y"])
        return model_of([node], [float_value("x", 2, 3)], [float_value("y", 2, width)], [weight_of("w", 3, width)])

    [output] = compared(model(4), model(5), tmp_path).values.outputs
    assert output == NotCompared("y", "its shape is [2, 4] in A and [2, 5] in B")


def test_sequences_are_compared_tensor_by_tensor_and_what_is_no_tensor_is_named(tmp_path: Path) -> None:
    [layer] = compared(odd_models.sequences(), odd_models.sequences(), tmp_path / "list").values.layers
    assert layer.value.name == "parts"
    assert isinstance(layer.value, Apart) and layer.value.equal
    [layer] = compared(odd_models.sparse_weight(), odd_models.sparse_weight(), tmp_path / "sparse").values.layers
    assert layer.value == NotCompared("w", "it is no tensor")


def test_attributes_are_told_by_what_they_hold(tmp_path: Path) -> None:
    def model(name: str, values: list[float], *, saturate: bool) -> onnx.ModelProto:
        tensor = onnx.helper.make_tensor(name, onnx.TensorProto.FLOAT, [len(values)], values)
        cast = {"saturate": 1} if saturate else {}
        nodes = [
            node_of("Constant", [], ["c"], value=tensor),
            node_of("Cast", ["c"], ["y"], to=onnx.TensorProto.FLOAT, **cast),
        ]
        return model_of(nodes, [], [float_value("y", len(values))], opset=19)

    def told(first: onnx.ModelProto, second: onnx.ModelProto, folder: str) -> list[tuple[str, str]]:
        return [(each.first, each.second) for each in compared(first, second, tmp_path / folder).nodes.changed]

    small, other, large = [1.0, 2.0], [1.0, 3.0], [0.0] * 20
    assert told(model("a", small, saturate=True), model("b", small, saturate=True), "name") == []
    assert told(model("a", small, saturate=True), model("a", other, saturate=False), "small") == [
        ("value=float32 [2] [1.0, 2.0]", "value=float32 [2] [1.0, 3.0]"),
        ("saturate=1", "no saturate"),
    ]
    assert told(model("a", large, saturate=True), model("a", [*large[1:], 1.0], saturate=True), "large") == [
        ("value=float32 [20]", "other values")
    ]


def test_a_function_that_takes_attributes_does_not_differ_from_itself(tmp_path: Path) -> None:
    def build() -> onnx.ModelProto:
        inner = onnx.helper.make_node("Elu", ["a"], ["b"])
        inner.attribute.add(name="alpha", ref_attr_name="steep", type=onnx.AttributeProto.FLOAT)
        sets = [onnx.helper.make_opsetid("", 17)]
        function = onnx.helper.make_function("own", "Bent", ["a"], ["b"], [inner], sets, ["steep"])
        node = node_of("Bent", ["x"], ["y"], domain="own", steep=0.5)
        model = model_of([node], [float_value("x", 4)], [float_value("y", 4)])
        model.functions.append(function)
        model.opset_import.append(onnx.helper.make_opsetid("own", 1))
        return model

    found = compared(build(), build(), tmp_path)
    assert found.same_structure
    assert found.nodes.same == 2


def test_few_values_at_a_time_give_the_same_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    second = scaled(models.conv_net(), models.conv_net().graph.initializer[0].name, 1.01)
    whole = compared(models.conv_net(), second, tmp_path).values
    monkeypatch.setattr(values, "BUDGET", 1)
    assert compared(models.conv_net(), second, tmp_path).values == whole
    assert len(whole.layers) > 1


def test_a_value_that_the_runtime_does_not_give_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the values cannot be had: halves are tried until it stands alone."""
    opened = values.open_with_inner

    def stubborn(
        artifact: Artifact, names: Sequence[str], target: Target, *, beside: Sequence[Artifact]
    ) -> RuntimeSession:
        if "m1" in names:
            raise fail(MeasureError, "OL504", "it cannot be had")
        return opened(artifact, names, target, beside=beside)

    monkeypatch.setattr(values, "open_with_inner", stubborn)
    found = compared(models.matmul_chain(layers=3), models.matmul_chain(layers=3), tmp_path).values
    assert [each.value.name for each in found.layers] == ["m0", "r0", "m1", "r1", "m2"]
    refused = [each.value for each in found.layers if isinstance(each.value, NotCompared)]
    assert refused == [NotCompared("m1", "it cannot be had")]


def test_what_the_user_gave_wrong_is_refused(tmp_path: Path) -> None:
    paths = models.save(product(), tmp_path / "a"), models.save(product(), tmp_path / "b")
    with pytest.raises(InputError, match=r"OL206 --dim: the model has no dynamic dimension called 'length'"):
        diff(*paths, Asked(dims={"length": 3}))
    with pytest.raises(InputError, match="OL115"):
        diff(*paths, Asked(DataOption(str(tmp_path / "data.tsv"))))
    with pytest.raises(InputError, match="OL201"):
        diff(paths[0], tmp_path / "missing", Asked())
    outside = models.save_external(product(), tmp_path / "outside")
    (outside.parent / "model.onnx.data").unlink()
    with pytest.raises(InputError, match="OL203"):
        diff(paths[0], outside, Asked())

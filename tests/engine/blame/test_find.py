"""Planted: scales multiplied by 8 in the quickstart's model are found exactly, in k log n evaluations, and repaired."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from olivelike.engine.blame.find import Blame, Verdict, Wish, blame, write_repair
from olivelike.engine.blame.trials import load
from olivelike.engine.data_option import DataOption
from olivelike.errors import InputError
from olivelike.testing import models
from olivelike_passes.quantization.dynamic_quant import DynamicQuant
from olivelike_passes.quantization.static_quant import StaticQuant
from tests.engine.blame.conftest import FASHION, TEST_DATA, Quantized, poisoned
from tests.engine.blame.test_hybrid import four_bits
from tests.passes.running import applied

LABELLED = DataOption(str(TEST_DATA), {"image": "images"}, "labels", samples=300, seed=5)
UNLABELLED = replace(LABELLED, labels="", samples=100)
CONVOLUTIONS = tuple(
    f"{name}.conv.weight_scale"
    for name in (
        "stem", "block1.first", "block1.second", "block2.first", "block2.second", "block2.shortcut", "block3.first",
        "block3.second",
    )
)  # fmt: skip
"""Each of them, times 8, breaks the model by itself. The last layer's would only make all scores larger."""


def nodes_of(scales: list[str]) -> set[str]:
    return {f"/{scale.removesuffix('.weight_scale').replace('.', '/')}/Conv" for scale in scales}


def bound(found: Blame, k: int) -> float:
    """Returns 2 k log2 n and what does not depend on n: BASE, QUANTIZED, everything restored, the repairs."""
    return 2 * k * math.log2(len(found.units)) + 5


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("form", ["qdq", "qoperator"])
def test_three_poisoned_scales_are_found_exactly(
    form: str, seed: int, quantized_fashion: Quantized, tmp_path: Path
) -> None:
    planted = random.Random(seed).sample(CONVOLUTIONS, 3)
    broken = poisoned(quantized_fashion(form), planted, tmp_path / "broken.onnx")
    found = blame(FASHION, broken, LABELLED, Wish())
    assert found.verdict is Verdict.FOUND
    assert {culprit.unit.name for culprit in found.culprits} == nodes_of(planted)
    assert found.evaluations <= bound(found, 3)
    assert found.monotone and not found.unmatched
    assert found.remaining <= found.target < found.drop
    assert all(culprit.drop > found.target for culprit in found.culprits)
    assert found.repairs[0].scales == tuple(sorted(planted))
    assert found.repairs[0].bytes == 0


def test_without_labels_the_outputs_tell_in_a_dynamically_quantized_model(
    quantized_fashion: Quantized, tmp_path: Path
) -> None:
    planted = random.Random(3).sample(CONVOLUTIONS, 2)
    broken = poisoned(quantized_fashion("dynamic"), planted, tmp_path / "broken.onnx")
    found = blame(FASHION, broken, UNLABELLED, Wish())
    assert found.metric == "distance"
    assert {culprit.unit.name for culprit in found.culprits} == nodes_of(planted)
    assert found.evaluations <= bound(found, 2)


def test_a_quantized_model_in_order_has_nobody_to_blame(quantized_fashion: Quantized) -> None:
    for data in (LABELLED, UNLABELLED):
        found = blame(FASHION, quantized_fashion("qdq"), data, Wish())
        assert (found.verdict, found.culprits, found.repairs, found.evaluations) == (Verdict.NO_DROP, (), (), 2)


def test_a_broken_scale_that_the_drop_does_not_need_is_named_and_mended_all_the_same(
    quantized_fashion: Quantized, tmp_path: Path
) -> None:
    model = quantized_fashion("qdq")  # half of every score leaves the best where it is
    harmless = poisoned(model, ["classes.weight_scale"], tmp_path / "harmless.onnx", factor=0.5)
    found = blame(FASHION, harmless, LABELLED, Wish())
    assert (found.verdict, [unit.name for unit in found.suspects]) == (Verdict.NO_DROP, ["/classes/Gemm"])
    both = poisoned(harmless, CONVOLUTIONS[:1], tmp_path / "both.onnx")
    found = blame(FASHION, both, LABELLED, Wish())
    assert {culprit.unit.name for culprit in found.culprits} == nodes_of(list(CONVOLUTIONS[:1]))
    assert [unit.name for unit in found.suspects] == ["/classes/Gemm"]
    assert found.repairs[0].scales == ("classes.weight_scale", *CONVOLUTIONS[:1])


def test_a_limit_decides_how_much_is_blamed(quantized_fashion: Quantized, tmp_path: Path) -> None:
    broken = poisoned(quantized_fashion("qdq"), CONVOLUTIONS[:2], tmp_path / "broken.onnx")
    drop = blame(FASHION, broken, LABELLED, Wish(max_drop=1.0)).drop
    assert drop > 0.1
    lenient = blame(FASHION, broken, LABELLED, Wish(max_drop=drop - 0.01))
    assert len(lenient.culprits) == 1
    assert len(blame(FASHION, broken, LABELLED, Wish(max_drop=0.02)).culprits) == 2


def test_a_poisoned_range_of_an_activation_is_blamed_on_the_nodes_that_read_it(
    quantized_fashion: Quantized, tmp_path: Path
) -> None:
    scale = "/block1/Relu_1_output_0_scale"  # read by both convolutions at the start of the second block
    broken = poisoned(quantized_fashion("qdq"), [scale], tmp_path / "broken.onnx", factor=1 / 32)
    found = blame(FASHION, broken, UNLABELLED, Wish(max_drop=0.01))
    readers = {"/block2/first/conv/Conv", "/block2/shortcut/conv/Conv"}
    assert {culprit.unit.name for culprit in found.culprits} == readers
    assert not found.repairs[0].scales  # the weights' own scales fit: only float helps
    assert found.repairs[0].bytes > 0


def test_integers_that_are_wrong_themselves_are_repaired_in_float_and_a_scale_beside_them_by_a_scale(
    quantized_fashion: Quantized, tmp_path: Path
) -> None:
    model = onnx.load(poisoned(quantized_fashion("qdq"), CONVOLUTIONS[3:4], tmp_path / "broken.onnx"))
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    name = "block3.first.conv.weight_quantized"
    values = onnx.numpy_helper.to_array(held[name])
    held[name].CopyFrom(onnx.numpy_helper.from_array(np.roll(values, 1, axis=0), name))
    onnx.save(model, tmp_path / "broken.onnx")
    found = blame(FASHION, tmp_path / "broken.onnx", LABELLED, Wish())
    cheapest = found.repairs[0]
    assert cheapest.scales == CONVOLUTIONS[3:4]
    assert [unit.name for unit in cheapest.in_float] == ["/block3/first/conv/Conv"]
    assert cheapest.drop <= found.target


def test_the_repaired_model_is_written_and_has_the_drop_that_was_said(
    quantized_fashion: Quantized, tmp_path: Path
) -> None:
    broken = poisoned(quantized_fashion("qoperator"), CONVOLUTIONS[:1], tmp_path / "broken.onnx")
    found = blame(FASHION, broken, LABELLED, Wish())
    for repair in found.repairs:
        write_repair(repair, tmp_path / "repaired.onnx")
        again = blame(FASHION, tmp_path / "repaired.onnx", LABELLED, Wish(max_drop=1.0))
        assert again.drop == repair.drop
        assert (tmp_path / "repaired.onnx").stat().st_size - broken.stat().st_size == pytest.approx(
            repair.bytes, abs=64
        )


def test_a_drop_outside_of_what_is_quantized_is_not_explained(tmp_path: Path) -> None:
    base = models.mlp()
    made = applied(DynamicQuant, base, tmp_path, op_types=["MatMul", "Gemm"]).model
    model = onnx.load(made)
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    relu.op_type = "Neg"  # a node that no quantizer touched
    onnx.save(model, tmp_path / "other.onnx")
    found = blame(tmp_path / "source" / "model.onnx", tmp_path / "other.onnx", drawn(tmp_path, 16), Wish())
    assert (found.verdict, found.verdict.exit_code, found.culprits) == (Verdict.UNEXPLAINED, 3, ())
    assert found.remaining > found.target


def drawn(folder: Path, width: int, name: str = "x") -> DataOption:
    np.savez(folder / "data.npz", **{name: np.random.default_rng(0).standard_normal((64, width)).astype("float32")})
    return DataOption(str(folder / "data.npz"))


@pytest.mark.parametrize("scale", ["w1_scale", "w2_scale"])
def test_the_broken_layer_of_a_small_dynamic_model_is_found(scale: str, tmp_path: Path) -> None:
    made = applied(DynamicQuant, models.mlp(), tmp_path).model
    broken = poisoned(made, [scale], tmp_path / "broken.onnx")
    found = blame(tmp_path / "source" / "model.onnx", broken, drawn(tmp_path, 16), Wish())
    [culprit] = found.culprits
    assert culprit.unit.values == ({"w1_scale": "h", "w2_scale": "logits"}[scale],)
    assert (scale,) in {repair.scales for repair in found.repairs}  # so small a layer takes fewer bytes in float


def test_a_broken_block_of_four_bit_weights_is_found_and_kept_in_float(tmp_path: Path) -> None:
    base = models.matmul_chain(layers=8, width=64)
    made = four_bits(base)
    onnx.save(base, tmp_path / "base.onnx")
    onnx.save(made, tmp_path / "made.onnx")
    scales = [node.input[2] for node in made.graph.node if node.op_type == "MatMulNBits"]
    broken = poisoned(tmp_path / "made.onnx", [scales[4]], tmp_path / "broken.onnx", factor=20)
    found = blame(tmp_path / "base.onnx", broken, drawn(tmp_path, 64), Wish(max_drop=0.2))
    assert [culprit.unit.values for culprit in found.culprits] == [("m4",)]
    assert [len(repair.scales) for repair in found.repairs] == [0]


def test_models_with_external_data_are_read_and_nothing_beside_them_changes(tmp_path: Path) -> None:
    made = applied(StaticQuant, models.mlp(), tmp_path, data="data").model
    broken = poisoned(made, ["w1_scale"], tmp_path / "inside.onnx")
    for name, source in (("base", tmp_path / "source" / "model.onnx"), ("broken", broken)):
        onnx.save(
            onnx.load(source), tmp_path / f"{name}.onnx", save_as_external_data=True, location=f"{name}.bin",
            size_threshold=0,
        )  # fmt: skip
    found = blame(tmp_path / "base.onnx", tmp_path / "broken.onnx", drawn(tmp_path, 16), Wish())
    assert [culprit.unit.kind for culprit in found.culprits] == ["Gemm"]
    write_repair(found.repairs[0], tmp_path / "repaired.onnx")
    load(tmp_path / "repaired.onnx")
    assert (tmp_path / "base.bin").is_file()


def test_outputs_that_are_no_numbers_are_a_drop_and_not_an_error(quantized_fashion: Quantized, tmp_path: Path) -> None:
    broken = poisoned(quantized_fashion("dynamic"), CONVOLUTIONS[:1], tmp_path / "broken.onnx", factor=np.nan)
    for data in (LABELLED, UNLABELLED):
        found = blame(FASHION, broken, data, Wish())
        assert {culprit.unit.name for culprit in found.culprits} == nodes_of(list(CONVOLUTIONS[:1]))
        assert math.isfinite(found.drop)


BAD = {
    "no such output": (LABELLED, Wish(output="logit"), "OL206", "did you mean logits?"),
    "accuracy without labels": (UNLABELLED, Wish("accuracy"), "OL207", "--labels"),
    "no such column of labels": (replace(LABELLED, labels="lables"), Wish(), "OL207", "did you mean labels?"),
    "no such input": (replace(LABELLED, inputs={"imag": "images"}), Wish(), "OL206", "image"),
    "no such file": (replace(LABELLED, path=Path("nowhere.npz")), Wish(), "OL205", "nowhere.npz"),
    "an unknown kind of file": (replace(LABELLED, path=Path("data.txt")), Wish(), "OL115", ".txt"),
    "images without a size": (replace(LABELLED, path=TEST_DATA.parent), Wish(), "OL2", ""),
}


@pytest.mark.parametrize(("data", "wish", "code", "words"), BAD.values(), ids=BAD)
def test_a_wrong_option_is_named(
    data: DataOption, wish: Wish, code: str, words: str, quantized_fashion: Quantized
) -> None:
    with pytest.raises(InputError) as raised:
        blame(FASHION, quantized_fashion("qdq"), data, wish)
    assert code in str(raised.value) and words in str(raised.value)

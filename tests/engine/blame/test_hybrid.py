"""Hybrids: with nothing restored they are QUANTIZED, with everything BASE, in between what a quantizer leaves out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto

from olivelike.engine.blame.hybrid import hybrid
from olivelike.engine.blame.pairing import Pairing, pair
from olivelike.errors import InputError
from olivelike.onnxfile.check import validate_graph
from olivelike.onnxfile.read import read_model
from olivelike.testing import models
from olivelike.testing.context import run_model
from olivelike.testing.feeds import feeds_for
from olivelike_passes.quantization.dynamic_quant import DynamicQuant
from olivelike_passes.quantization.static_quant import StaticQuant
from tests.passes.running import applied

FORMS: dict[str, tuple[type, dict[str, str | bool]]] = {
    "qdq": (StaticQuant, {"data": "data", "format": "qdq"}),
    "qdq of 16 bits": (StaticQuant, {"data": "data", "format": "qdq", "activation_type": "uint16"}),
    "qoperator": (StaticQuant, {"data": "data", "format": "qoperator"}),
    "dynamic": (DynamicQuant, {"allow_conv": True}),
}
MODELS: dict[str, Callable[[], ModelProto]] = {
    "mlp": models.mlp,
    "conv_net": models.conv_net,
    "constants": lambda: models.conv_net(constants=True),
    "matmul_chain": models.matmul_chain,
}


def quantized(model: ModelProto, folder: Path, form: str, **settings: object) -> ModelProto:
    kind, config = FORMS[form]
    return read_model(applied(kind, model, folder, **{**config, **settings}).model)  # type: ignore[arg-type]


def outputs(model: ModelProto, folder: Path) -> np.ndarray:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    onnx.save(model, path)
    validate_graph(path)
    feeds = feeds_for(path, batch=16, seed=1)  # what the static quantizers were calibrated on: nothing is cut off
    return np.asarray(next(iter(run_model(path, feeds).values())))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", MODELS)
def test_with_nothing_restored_it_is_quantized_and_with_everything_base(name: str, form: str, tmp_path: Path) -> None:
    base = MODELS[name]()
    pairing = pair(base, quantized(base, tmp_path / "made", form))
    assert pairing.unmatched == ()
    untouched = outputs(hybrid(pairing, ()), tmp_path / "none")
    np.testing.assert_array_equal(untouched, outputs(pairing.quantized, tmp_path / "quantized"))
    wanted = outputs(base, tmp_path / "base")
    # the same float32 operators, which the runtime may fuse in another way: a few units in the last place
    np.testing.assert_allclose(outputs(hybrid(pairing, pairing.units), tmp_path / "all"), wanted, rtol=1e-5, atol=1e-6)
    assert (
        abs(untouched - wanted).max() > 1e-4
    )  # quantization does change these models, so the comparison above says something


@pytest.mark.parametrize(
    ("name", "left_out"), [("conv_net", ["Conv_2"]), ("conv_net", ["Conv_0", "Gemm_7"]), ("mlp", ["Gemm_2"])]
)
def test_a_restored_node_is_computed_as_where_the_quantizer_leaves_it_out(
    name: str, left_out: list[str], tmp_path: Path
) -> None:
    base = named(MODELS[name]())
    pairing = pair(base, quantized(base, tmp_path / "made", "qdq"))
    restored = [unit for unit in pairing.units if unit.name in left_out]
    mixed = outputs(hybrid(pairing, restored), tmp_path / "mixed")
    excluded = outputs(quantized(base, tmp_path / "excluded", "qdq", exclude_nodes=left_out), tmp_path / "run")
    step = abs(outputs(base, tmp_path / "base")).max() / 255
    # The quantizer rounds what a quantized neighbour makes even where its reader was left out, the hybrid does not: one
    # rounding more, of at most half a step of each of the values that the node adds up.
    np.testing.assert_allclose(mixed, excluded, atol=3 * step)
    assert len(restored) == len(left_out)


def named(model: ModelProto) -> ModelProto:
    for index, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{index}"
    return model


@pytest.mark.parametrize("form", FORMS)
def test_an_activation_left_to_the_range_of_integers_is_applied_where_its_reader_is_restored(
    form: str, tmp_path: Path
) -> None:
    base = models.conv_net()
    pairing = pair(base, quantized(base, tmp_path / "made", form))
    second = [unit for unit in pairing.units if "d" in unit.values]
    assert len(second) == 1
    near = outputs(hybrid(pairing, second), tmp_path / "mixed")
    wanted = outputs(base, tmp_path / "base")
    # Without the Relu the second convolution reads negative values and is off by half of its range; 8 bits are not.
    assert abs(near - wanted).max() < 0.1 * abs(wanted).max()


def test_a_unit_is_called_by_the_node_that_holds_the_weights(tmp_path: Path) -> None:
    base = named(models.conv_net())
    pairing = pair(base, quantized(base, tmp_path, "qdq"))
    units = {unit.values: unit for unit in pairing.units}
    assert units["ar",].name == "Conv_0"  # the Relu behind it has gone into the range
    assert units["ar",].nodes == ("Conv_0",)
    assert units["ar",].weight_bytes == (8 * 9 + 8) * 4
    assert units["logits",].kind == "Gemm"


def test_nodes_without_a_name_are_called_as_the_quantizing_passes_call_them(tmp_path: Path) -> None:
    base = models.conv_net(constants=True)
    for node in base.graph.node:
        node.ClearField("name")
    pairing = pair(base, quantized(base, tmp_path / "made", "qdq"))
    names = [unit.name for unit in pairing.units if unit.kind == "Conv"]
    assert names == ["Conv_0", "Conv_2"]
    left = quantized(base, tmp_path / "left", "qdq", exclude_nodes=names)
    assert {"c1", "c2"} <= {tensor.name for tensor in left.graph.initializer}  # both weights stayed in float


def test_block_quantized_weights_are_units_too(tmp_path: Path) -> None:
    base = models.matmul_chain(layers=4, width=64)
    pairing = pair(base, four_bits(base))
    assert [unit.kind for unit in pairing.units] == ["MatMul"] * 4
    np.testing.assert_array_equal(
        outputs(hybrid(pairing, pairing.units), tmp_path / "all"), outputs(base, tmp_path / "base")
    )


def four_bits(base: ModelProto) -> ModelProto:
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    copy = onnx.ModelProto()
    copy.CopyFrom(named(base))
    quantizer = MatMulNBitsQuantizer(copy, bits=4, block_size=32)
    quantizer.process()
    made: ModelProto = quantizer.model.model
    return made


def test_what_lies_in_a_branch_and_a_branch_that_reads_a_restored_value_are_left_whole(tmp_path: Path) -> None:
    base = branching()
    pairing: Pairing = pair(base, quantized(base, tmp_path / "made", "qdq"))
    assert "If" not in {unit.kind for unit in pairing.units}
    np.testing.assert_allclose(
        outputs(hybrid(pairing, pairing.units), tmp_path / "all"), outputs(base, tmp_path / "base"), rtol=1e-5
    )


def branching() -> ModelProto:
    """Two `Gemm`; behind the first an `If` whose branches read its output from outside."""
    helper = onnx.helper
    base = models.mlp()
    nodes = list(base.graph.node)
    kinds = [("then", "Neg"), ("else", "Abs")]
    branches = {
        f"{name}_branch": helper.make_graph(
            [helper.make_node(kind, ["h"], [name])],
            name,
            [],
            [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)],
        )
        for name, kind in kinds
    }
    base.graph.initializer.append(onnx.numpy_helper.from_array(np.array(True), "yes"))
    nodes.insert(1, helper.make_node("If", ["yes"], ["chosen"], **branches))
    nodes[2].input[0] = "chosen"
    del base.graph.node[:]
    base.graph.node.extend(nodes)
    return base


REFUSED = {
    "nothing quantized": (models.mlp, models.mlp, "nothing on quantized values"),
    "other inputs": (models.conv_net, models.quantized, "BASE takes image"),
    "another opset": (lambda: models.matmul_chain(opset=13), models.quantized, "opset 13 and QUANTIZED of opset 17"),
}


@pytest.mark.parametrize(("base", "other", "words"), REFUSED.values(), ids=REFUSED)
def test_models_that_do_not_belong_together_are_refused(
    base: Callable[[], ModelProto], other: Callable[[], ModelProto], words: str
) -> None:
    with pytest.raises(InputError, match=words) as raised:
        pair(base(), other())
    assert raised.value.problems[0].code == "OL115"

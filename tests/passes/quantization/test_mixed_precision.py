"""Tests of the pass `mixed_precision`: assignments are applied exactly, budgets kept, and notes say what was done."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, cast

import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from pydantic import ValidationError

from olivelike.contracts.artifact import Artifact
from olivelike.errors import RefusedError
from olivelike.onnxfile.read import read_structure
from olivelike.onnxfile.sizes import byte_count
from olivelike.testing import models
from olivelike.testing.building import float_value, model_of, node_of, random_values, weight_of
from olivelike.testing.graph_contract import GraphPassContract
from olivelike.testing.pass_contract import Refusal
from olivelike_passes.quantization.mixed_precision import MixedPrecision
from olivelike_passes.quantization.mixed_precision_config import MixedPrecisionConfig
from tests.passes.running import applied, kinds

WIDTH = 64


def chain(layers: int = 4, *, harsh: str = "") -> ModelProto:
    """`MatMul` and `Relu` in turn; the weights of one may hold outliers, by which rounding costs more there."""
    weights = []
    for name in (f"w{place}" for place in range(layers)):
        values = random_values(name, WIDTH, WIDTH).copy()
        if name == harsh:
            values[::32] *= 8
        weights.append(numpy_helper.from_array(values, name))
    model = models.matmul_chain(layers=layers, width=WIDTH)
    del model.graph.initializer[:]
    model.graph.initializer.extend(weights)
    return model


class TestMixedPrecision(GraphPassContract):
    pass_type = MixedPrecision
    configs = (
        {"bits": 6.0, "data": "data"},
        {"rest": "int4_b32", "assign": [{"nodes": "*m1", "format": "int8_b128"}, {"nodes": "*m2", "format": "float"}]},
    )
    accepted: ClassVar = {"chain": chain}
    refused: ClassVar = {
        "quantized": Refusal(models.quantized, "quantized already", {"rest": "int4_b32"}),
        "small budget": Refusal(chain, "too small: with these formats they take 5", {"bits": 4.0}),
        "unknown node": Refusal(
            chain, "'nowhere', which matches no node", {"assign": [{"nodes": "nowhere", "format": "int4_b32"}]}
        ),
        "large budget": Refusal(chain, "every matrix stays in float", {"bits": 32.0}),
        "nothing": Refusal(models.string_input, "no MatMul", {"rest": "int4_b32"}),
        "replaceable": Refusal(models.weights_as_inputs, "may be replaced", {"rest": "int4_b32"}),
    }
    odd_config: ClassVar = {"rest": "int4_b32"}


def test_assignment_is_applied_exactly(tmp_path: Path) -> None:
    assign = [{"nodes": "MatMul_m0", "format": "int8_b128"}, {"nodes": "MatMul_m[12]", "format": "float"}]
    result = applied(MixedPrecision, chain(), tmp_path, assign=assign, rest="int4_b32")
    assert formats(result) == {"MatMul_m0": (8, 128), "MatMul_m3": (4, 32)}
    assert kinds(read_structure(result.model))["MatMul"] == 2
    assert notes(result)["applied"] == {"MatMul_m0": "int8_b128", "MatMul_m3": "int4_b32"}
    assert notes(result)["not_applied"] == {}


def test_what_could_not_be_applied_is_said(tmp_path: Path) -> None:
    assign = [{"nodes": "Relu*", "format": "int4_b32"}]
    result = applied(MixedPrecision, chain(layers=2), tmp_path, assign=assign, rest="int4_b32")
    assert set(cast("dict[str, str]", notes(result)["not_applied"]).values()) == {"no constant matrix"}
    assert len(formats(result)) == 2


@pytest.mark.parametrize("data", ["data", ""])
def test_layer_that_loses_most_gets_more_bits(tmp_path: Path, data: str) -> None:
    result = applied(MixedPrecision, chain(harsh="w2"), tmp_path, bits=6, data=data)
    found = formats(result)
    assert found["MatMul_m2"] == (8, 32)
    assert sorted(bits for bits, _ in found.values()) == [4, 4, 4, 8]


def test_budget_is_kept(tmp_path: Path) -> None:
    for budget in (5, 7, 9, 20):
        result = applied(MixedPrecision, chain(), tmp_path / str(budget), bits=budget)
        tensors = [each for each in read_structure(result.model).graph.initializer if len(each.dims) > 1]
        assert sum(map(byte_count, tensors)) * 8 <= budget * 4 * WIDTH * WIDTH


def test_what_a_short_last_block_takes_counts(tmp_path: Path) -> None:
    weights = [weight_of("w", 144, WIDTH)]  # in blocks of 128 they are filled up to 256
    ends = [float_value("x", "n", 144)], [float_value("y", "n", WIDTH)]
    model = model_of([node_of("MatMul", ["x", "w"], ["y"])], *ends, weights)
    with pytest.raises(RefusedError, match=r"they take 7\.56"):  # (2 * 128 * 4 + 2 * 32) / 144
        applied(MixedPrecision, model, tmp_path / "run", bits=7, formats=["int4_b128"])


@pytest.mark.parametrize("width", [64, 96])
def test_tied_table_that_must_be_stored_twice_counts_twice(tmp_path: Path, width: int) -> None:
    weights = [weight_of("table", 50, width)]
    steps = [
        node_of("Gather", ["table", "ids"], ["h"]),
        node_of("Transpose", ["table"], ["turned"], perm=[1, 0]),
        node_of("MatMul", ["h", "turned"], ["y"]),
    ]
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])
    model = model_of(steps, [ids], [float_value("y", "n", 50)], weights)
    result = applied(MixedPrecision, model, tmp_path, bits=12, formats=["int8_b32", "int4_b64"], embeddings=True)
    tensors = [each for each in read_structure(result.model).graph.initializer if len(each.dims) > 1]
    assert sum(map(byte_count, tensors)) * 8 <= 12 * 50 * width


def test_named_formats_count_for_the_budget(tmp_path: Path) -> None:
    assign = [{"nodes": "MatMul_m0", "format": "int8_b32"}]
    assert formats(applied(MixedPrecision, chain(), tmp_path, bits=6, assign=assign)) == {
        "MatMul_m0": (8, 32),
        **{f"MatMul_m{place}": (4, 32) for place in (1, 2, 3)},
    }


def test_weight_of_several_nodes_gets_one_format(tmp_path: Path) -> None:
    weights = [weight_of("w", WIDTH, WIDTH)]
    steps = [node_of("MatMul", ["x", "w"], ["h"]), node_of("MatMul", ["h", "w"], ["y"])]
    ends = [float_value("x", "n", WIDTH)], [float_value("y", "n", WIDTH)]
    result = applied(MixedPrecision, model_of(steps, *ends, weights), tmp_path, bits=5.5)
    assert set(formats(result).values()) == {(4, 32)}
    assert len(read_structure(result.model).graph.initializer) == 2


def test_table_of_errors_is_among_the_notes(tmp_path: Path) -> None:
    found = cast(
        "dict[str, dict[str, float]]", notes(applied(MixedPrecision, chain(), tmp_path, bits=6))["output_errors"]
    )
    assert set(found) == {f"MatMul_m{place}" for place in range(4)}
    assert all(errors["int8_b32"] < errors["int4_b32"] for errors in found.values())


def test_variants_that_round_alike_share_the_table_of_sensitivity() -> None:
    one, other = (MixedPrecision().needs(MixedPrecisionConfig(bits=bits, data="cal")) for bits in (5, 6))
    assert one == other
    assert one["sensitivity"].pass_name == "sensitivity"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "nothing is asked for"),
        ({"bits": 5, "formats": []}, "formats to choose from"),
        ({"rest": "int4_b32", "method": "gptq"}, "name an entry with data"),
    ],
)
def test_what_makes_no_sense_is_no_configuration(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        MixedPrecisionConfig.model_validate(settings)


def test_budget_below_the_smallest_format_says_what_it_takes(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"OL301.*4\.5 bits.*they take 5"):
        applied(MixedPrecision, chain(), tmp_path, bits=4.5)


def formats(result: Artifact) -> dict[str, tuple[int, int]]:
    found = {}
    for node in read_structure(result.model).graph.node:
        if node.op_type == "MatMulNBits":
            sizes = {attribute.name: attribute.i for attribute in node.attribute}
            found[node.name] = (sizes["bits"], sizes["block_size"])
    return found


def notes(result: Artifact) -> dict[str, object]:
    return cast("dict[str, object]", result.manifest.notes["mixed_precision"])


def test_data_that_nothing_is_judged_on_do_not_make_another_configuration() -> None:
    plain = MixedPrecisionConfig(rest="int4_b32")
    assert MixedPrecisionConfig(rest="int4_b32", data="cal", samples=8) == plain
    assert MixedPrecisionConfig(rest="int4_b32", method="gptq", data="cal").data == "cal"
    assert MixedPrecisionConfig(bits=5, samples=8) == MixedPrecisionConfig(bits=5)
    assert MixedPrecisionConfig(bits=5, data="cal", samples=8).samples == 8

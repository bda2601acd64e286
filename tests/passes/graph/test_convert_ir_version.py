"""Tests of the pass `convert_ir_version`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import onnx

from olivelike.onnxfile.read import read_structure
from olivelike.testing import models, odd_models
from olivelike.testing.building import value_of
from olivelike.testing.graph_contract import GraphPassContract
from olivelike.testing.pass_contract import Refusal
from olivelike_passes.graph.convert_ir_version import ConvertIrVersion
from tests.passes.running import applied


def four_bits() -> onnx.ModelProto:
    model = models.mlp()
    model.graph.value_info.append(value_of("inner", "INT4", 2))
    return model


class TestConvertIrVersion(GraphPassContract):
    pass_type = ConvertIrVersion
    configs = ({"target": 9}, {"target": 3})
    accepted: ClassVar = {
        "mlp": models.mlp,
        "old": lambda: models.weights_as_inputs(ir_version=3),
    }
    refused: ClassVar = {
        "function": Refusal(
            odd_models.function, "functions of its own, which IR version 7 cannot hold: it takes 8", {"target": 7}
        ),
        "sparse": Refusal(odd_models.sparse_weight, "sparse tensors", {"target": 4}),
        "branch": Refusal(models.if_model, "weights inside a branch or a loop", {"target": 3}),
        "int4": Refusal(four_bits, "INT4", {"target": 9}),
    }


def test_below_version_4_weights_are_inputs_as_well_and_from_4_on_no_more(tmp_path: Path) -> None:
    old = read_structure(applied(ConvertIrVersion, models.mlp(), tmp_path / "old", target=3).model)
    assert old.ir_version == 3
    assert [entry.name for entry in old.graph.input] == ["x", "w1", "b1", "w2", "b2"]
    new = read_structure(applied(ConvertIrVersion, old, tmp_path / "new", target=8).model)
    assert [entry.name for entry in new.graph.input] == ["x"]
    assert new.ir_version == 8


def test_weights_that_may_be_replaced_stay_so(tmp_path: Path) -> None:
    model = read_structure(applied(ConvertIrVersion, models.weights_as_inputs(), tmp_path, target=10).model)
    assert {tensor.name for tensor in model.graph.initializer} < {entry.name for entry in model.graph.input}

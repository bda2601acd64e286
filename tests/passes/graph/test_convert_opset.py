"""Tests of the pass `convert_opset`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import onnx
import pytest
from pydantic import ValidationError

from olivelike.errors import RefusedError
from olivelike.onnxfile.read import opset, read_structure
from olivelike.testing import models
from olivelike.testing.pass_contract import PassContract, Refusal
from olivelike_passes.graph.convert_opset import ConvertOpset, ConvertOpsetConfig
from tests.passes.running import applied, artifact


class TestConvertOpset(PassContract):
    pass_type = ConvertOpset
    configs = ({"target": 17}, {"target": 21})
    accepted: ClassVar = {
        "old": lambda: models.conv_net(opset=12),
        "older": lambda: models.mlp(opset=9),
        "constants": lambda: models.conv_net(opset=12, constants=True),
        "if": models.if_model,
        "strings": models.string_input,
        "repeated_opset": models.repeated_opset,
        "same": models.mlp,
    }
    refused: ClassVar = {
        "down without an adapter": Refusal(models.mlp, "no way from opset 17 to 9", {"target": 9}),
    }


def test_model_imports_the_target_and_its_ir_version(tmp_path: Path) -> None:
    model = read_structure(applied(ConvertOpset, models.conv_net(opset=12), tmp_path, target=21).model)
    assert (opset(model), model.ir_version) == (21, 10)


def test_model_that_is_there_already_stays_byte_by_byte(tmp_path: Path) -> None:
    source = artifact(models.mlp(), tmp_path)
    result = applied(ConvertOpset, models.mlp(), tmp_path, target=17)
    assert result.model.read_bytes() == source.model.read_bytes()


def test_converted_operators_take_their_new_form(tmp_path: Path) -> None:
    node = onnx.helper.make_node("Squeeze", ["x"], ["y"], axes=[1])  # from opset 13 on, axes are an input
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph([node], "g", [value("x", 1, [2, 1])], [value("y", 1, [2])])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 11)], ir_version=7)
    result = applied(ConvertOpset, model, tmp_path, target=17)
    squeeze = read_structure(result.model).graph.node[-1]
    assert squeeze.op_type == "Squeeze"
    assert len(squeeze.input) == 2
    assert not squeeze.attribute


def test_way_down_that_does_not_exist_is_refused_while_running(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"OL301.*no way from opset 23 to 21.*Attention"):
        applied(ConvertOpset, models.attention23(), tmp_path, target=21)


def test_an_opset_that_the_installed_onnx_does_not_have_is_no_configuration() -> None:
    with pytest.raises(ValidationError, match="opset 999 does not exist"):
        ConvertOpsetConfig.model_validate({"target": 999})

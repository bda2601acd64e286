"""Tests of what tools change beside their work."""

from __future__ import annotations

from onnx import ModelProto, helper

from olivelike.testing import models
from olivelike_passes.header import restore_header, unite_imports


def imports(model: ModelProto) -> list[tuple[str, int]]:
    return [(entry.domain, entry.version) for entry in model.opset_import]


def test_repeated_import_is_united_under_the_highest_version() -> None:
    model = models.repeated_opset()
    model.opset_import[1].domain = "ai.onnx"
    model.opset_import[1].version = 13
    unite_imports(model)
    assert imports(model) == [("", 17)]


def test_types_metadata_and_producer_are_the_originals() -> None:
    original, changed = models.mlp(), models.mlp()
    original.metadata_props.add(key="mine", value="1")
    changed.metadata_props.add(key="onnx.infer", value="tool")
    changed.producer_name = "tool"
    changed.graph.value_info.append(helper.make_tensor_value_info("h", 1, ["batch", 32]))
    restore_header(changed, original)
    assert changed == original


def test_imports_are_those_used_and_those_of_the_original() -> None:
    original, changed = models.mlp(), models.mlp()
    original.opset_import.append(helper.make_opsetid("mine", 2))
    changed.opset_import.extend([helper.make_opsetid("mine", 2), helper.make_opsetid("tool.experimental", 1)])
    changed.graph.node[1].domain = "com.microsoft"  # used, but not imported
    restore_header(changed, original)
    assert imports(changed) == [("", 17), ("mine", 2), ("com.microsoft", 1)]

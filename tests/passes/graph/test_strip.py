"""Tests of the pass `strip`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import onnx
import pytest

from olivelike.onnxfile.read import read_structure
from olivelike.onnxfile.walk import graphs, nodes, tensors
from olivelike.testing import models, odd_models
from olivelike.testing.building import float_value
from olivelike.testing.graph_contract import GraphPassContract
from olivelike_passes.graph.strip import Strip
from tests.passes.running import applied

EVERYTHING = dict.fromkeys(("inner_metadata", "metadata", "producer", "node_names"), True)


def talkative(build: odd_models.Build = models.if_model) -> onnx.ModelProto:
    """A model with something to strip in every place there is."""
    model = build()
    model.doc_string = "made by somebody"
    model.producer_name, model.producer_version, model.domain, model.model_version = "exporter", "1.0", "org.example", 7
    model.metadata_props.add(key="labels", value="cat,dog")
    parts = [*graphs(model), *model.functions, *nodes(model), *tensors(model), *model.graph.input]
    for part in parts:
        part.doc_string = "/home/somebody/train.py line 3"
        part.metadata_props.add(key="stack_trace", value="File train.py")
    for node in nodes(model):
        for attribute in node.attribute:
            attribute.doc_string = "an attribute"
    for holder in (*graphs(model), *model.functions):
        holder.value_info.append(float_value("somewhere", 2))
    return model


class TestStrip(GraphPassContract):
    pass_type = Strip
    configs = ({}, EVERYTHING)
    accepted: ClassVar = {
        "if": talkative,
        "function": lambda: talkative(odd_models.function),
        "loop": lambda: talkative(odd_models.loop),
        "nothing": models.mlp,
        "quantized": models.quantized,
    }
    odd_config = EVERYTHING


@pytest.mark.parametrize("build", [models.if_model, odd_models.function, odd_models.loop])
def test_everything_asked_for_goes_everywhere(build: odd_models.Build, tmp_path: Path) -> None:
    result = applied(Strip, talkative(build), tmp_path, **EVERYTHING)
    bare = build()
    for node in nodes(bare):
        node.name = ""
        node.ClearField("name")
    for field in ("producer_name", "producer_version"):
        bare.ClearField(field)
    assert read_structure(result.model) == bare


def test_descriptions_and_inner_types_go_by_default_and_the_rest_stays(tmp_path: Path) -> None:
    result = applied(Strip, talkative(), tmp_path)
    model = read_structure(result.model)
    assert not any(part.doc_string for part in (model, *graphs(model), *nodes(model), *tensors(model)))
    assert not any(graph.value_info for graph in graphs(model))
    assert (model.producer_name, model.model_version) == ("exporter", 7)
    assert [entry.value for entry in model.metadata_props] == ["cat,dog"]
    assert all(node.name and node.metadata_props for node in nodes(model))


def test_notes_say_how_much_went(tmp_path: Path) -> None:
    model = models.mlp()
    model.doc_string = "twelve bytes"
    model.graph.value_info.append(float_value("h", "batch", 32))
    size = model.graph.value_info[0].ByteSize()
    assert applied(Strip, model, tmp_path).manifest.notes["strip"] == {"bytes": {"doc_strings": 12, "value_info": size}}


def test_model_with_nothing_to_strip_stays(tmp_path: Path) -> None:
    result = applied(Strip, models.mlp(), tmp_path)
    assert read_structure(result.model) == models.mlp()
    assert result.manifest.notes["strip"] == {"bytes": {}}

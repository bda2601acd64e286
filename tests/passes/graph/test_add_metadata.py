"""Tests of the pass `add_metadata`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import onnx
import pytest
from pydantic import ValidationError

from olivelike.onnxfile.check import validate_graph
from olivelike.onnxfile.read import read_structure
from olivelike.testing import models
from olivelike.testing.graph_contract import GraphPassContract
from olivelike_passes.graph.add_metadata import AddMetadata, AddMetadataConfig
from tests.passes.running import applied


class TestAddMetadata(GraphPassContract):
    pass_type = AddMetadata
    configs = ({"entries": {"labels": "cat,dog"}}, {"graph_name": "classifier", "model_version": 0})
    accepted: ClassVar = {"mlp": models.mlp, "strings": models.string_input, "quantized": models.quantized}


def described() -> onnx.ModelProto:
    model = models.mlp()
    model.metadata_props.add(key="license", value="MIT")
    model.metadata_props.add(key="author", value="somebody")
    return model


def test_entries_are_set_and_others_stay_in_their_order(tmp_path: Path) -> None:
    result = applied(AddMetadata, described(), tmp_path, entries={"commit": "abc", "license": "Apache-2.0"})
    entries = [(entry.key, entry.value) for entry in read_structure(result.model).metadata_props]
    assert entries == [("license", "Apache-2.0"), ("author", "somebody"), ("commit", "abc")]


def test_repeated_entry_becomes_the_one_that_the_runtime_reads(tmp_path: Path) -> None:
    model = described()
    model.metadata_props.add(key="license", value="BSD")
    result = applied(AddMetadata, model, tmp_path, graph_name="g")
    validate_graph(result.model)
    entries = [(entry.key, entry.value) for entry in read_structure(result.model).metadata_props]
    assert entries == [("license", "BSD"), ("author", "somebody")]


def test_description_names_and_version_are_set(tmp_path: Path) -> None:
    settings = {"doc_string": "tells cats from dogs", "graph_name": "pets", "domain": "org.example", "model_version": 3}
    model = read_structure(applied(AddMetadata, described(), tmp_path, **settings).model)
    said = (model.doc_string, model.graph.name, model.domain, model.model_version)
    assert said == ("tells cats from dogs", "pets", "org.example", 3)


def test_runtime_finds_the_entries(tmp_path: Path) -> None:
    import onnxruntime

    result = applied(AddMetadata, models.mlp(), tmp_path, entries={"labels": "Katze,Hund,Gürteltier"})
    session = onnxruntime.InferenceSession(result.model, providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map == {"labels": "Katze,Hund,Gürteltier"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "nothing to write"),
        ({"entries": {"onnx.infer": "x"}}, "the runtime's tools"),
        ({"entries": {"": "x"}}, "cannot be empty"),
        ({"model_version": -1}, "model_version"),
    ],
)
def test_what_would_mislead_is_no_configuration(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        AddMetadataConfig.model_validate(settings)

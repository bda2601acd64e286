"""Which of a folder's files make a model."""

from __future__ import annotations

import pytest

from olivelike.sources.layout import inside, layout
from tests.sources.refusals import refusal


def test_one_onnx_file_is_the_model_and_only_known_files_come_along() -> None:
    found = layout(["README.md", "model.onnx", "notes.json", "tokenizer.json", "tokenizer_config.json"], "", "here")
    assert (found.kind, found.main) == ("onnx", "model.onnx")
    assert found.companions == ("tokenizer.json", "tokenizer_config.json")
    assert found.files == ("model.onnx", "tokenizer.json", "tokenizer_config.json")


def test_companions_come_from_the_root_and_from_the_models_own_folder() -> None:
    names = ["config.json", "onnx/model.onnx", "onnx/vocab.txt", "other/vocab.txt"]
    assert layout(names, "", "here").companions == ("config.json", "onnx/vocab.txt")


def test_config_and_safetensors_are_a_transformers_model_even_beside_an_export() -> None:
    names = ["config.json", "model.safetensors", "tokenizer.json", "onnx/model.onnx", "pytorch_model.bin", "run.py"]
    found = layout(names, "", "here")
    assert (found.kind, found.main, found.weights) == ("hf", "config.json", ("model.safetensors",))
    assert found.files == ("config.json", "model.safetensors", "tokenizer.json")


def test_file_chooses_the_export_of_a_transformers_model() -> None:
    names = ["config.json", "model.safetensors", "onnx/model.onnx", "onnx/model_int8.onnx"]
    assert layout(names, "onnx/model_int8.onnx", "here").main == "onnx/model_int8.onnx"


def test_shards_are_taken_and_other_copies_of_the_weights_are_not() -> None:
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    names = ["config.json", "consolidated.safetensors", "model.fp16.safetensors", *shards]
    assert layout(names, "", "here").weights == tuple(shards)


def test_several_onnx_files_ask_for_a_choice() -> None:
    problem = refusal(lambda: layout(["a.onnx", "b.onnx"], "", "here"))
    assert problem.code == "OL201"
    assert "holds 2 ONNX models: a.onnx, b.onnx" in problem.claim
    assert problem.hint == "choose one with `file: a.onnx`"


def test_pickled_weights_alone_are_refused() -> None:
    problem = refusal(lambda: layout(["config.json", "pytorch_model.bin"], "", "here"))
    assert problem.code == "OL202"
    assert "pytorch_model.bin, a pickled format" in problem.claim


def test_a_folder_without_a_model_says_how_many_files_were_looked_at() -> None:
    problem = refusal(lambda: layout(["a.txt", "b.txt"], "", "here"))
    assert (problem.code, problem.place) == ("OL201", "here")
    assert "2 files" in problem.claim


def test_a_wrong_file_name_gets_the_near_miss() -> None:
    problem = refusal(lambda: layout(["onnx/model.onnx"], "onnx/modle.onnx", "here"))
    assert problem.hint == "did you mean onnx/model.onnx?"


@pytest.mark.parametrize(
    ("name", "says"), [("w.pt", "pickled"), ("w.safetensors", "weights alone"), ("w.txt", "not an")]
)
def test_a_file_that_is_no_onnx_model_is_refused_by_its_name(name: str, says: str) -> None:
    problem = refusal(lambda: layout([name], name, "here"))
    assert problem.code == "OL202"
    assert says in problem.claim


@pytest.mark.parametrize("name", ["../model.onnx", "/etc/model.onnx", "a/../../b.onnx", "C:/b.onnx", "..\\b.onnx", "."])
def test_a_name_that_leaves_the_folder_is_refused(name: str) -> None:
    assert refusal(lambda: inside(name, "here")).code == "OL201"

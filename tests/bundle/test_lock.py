"""A lock says everything that reproduces a model, and nothing of this machine's folders."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from olivelike.bundle.lock import Lock, differences, read_lock
from olivelike.contracts.recipe import RecipeStep
from olivelike.errors import InputError

LOCK = Lock(
    workflow={"name": "w"},
    folder="../..",
    revision={"hub": "a/b", "commit": "c0ffee"},
    source="1" * 64,
    steps=(RecipeStep("quantize", "dynamic_quant", {"per_channel": True}, "full"),),
    data={"test": "2" * 64},
    output="3" * 64,
    versions={"onnx": "1.0"},
    machine={"cpu": "x"},
    files=("model.onnx",),
    data_contents={"test": ("4" * 64,)},
)
WITHOUT_A_WORKFLOW = json.dumps({**LOCK.to_json(), "workflow": None})


def test_a_lock_reads_back_equal(tmp_path: Path) -> None:
    path = tmp_path / "lock.json"
    path.write_text(json.dumps(LOCK.to_json()))
    assert read_lock(path) == LOCK


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", WITHOUT_A_WORKFLOW, '{"format": 2}', '{"format": 1, "steps": 5}', "\ufffd"]
)
def test_what_is_no_lock_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lock.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="OL118"):
        read_lock(path)


def test_equal_things_do_not_differ() -> None:
    assert differences(LOCK, LOCK.source, LOCK.data, LOCK.output, LOCK.versions) == ()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (replace(LOCK, source="9" * 64), "the source model changed"),
        (replace(LOCK, data={"test": "9" * 64}), "the data entry test changed"),
        (replace(LOCK, versions={"onnx": "0.9"}), "onnx 0.9 -> 1.0"),
        (replace(LOCK, versions={}), "onnx not installed -> 1.0"),
        (replace(LOCK, output="9" * 64), "the model differs"),
    ],
)
def test_each_difference_is_a_line(changed: Lock, words: str) -> None:
    [line] = differences(changed, LOCK.source, LOCK.data, LOCK.output, LOCK.versions)
    assert words in line


def test_a_lock_that_is_missing_or_lacks_a_key_says_which(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the lock cannot be read: No such file or directory\. hint: check the path"):
        read_lock(tmp_path / "nope.json")
    (tmp_path / "report.json").write_text('{"format": 1, "workflow": "w"}')
    with pytest.raises(InputError, match="no lock of olivelike's: `revision` is missing"):
        read_lock(tmp_path / "report.json")

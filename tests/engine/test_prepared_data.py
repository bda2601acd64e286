"""Data prepared for a model by its task: from the workflow through the store to measurements and calibration."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import olivelike
from olivelike.digest import Json
from olivelike.engine.opened import open_workflow
from olivelike.errors import InputError
from tests.sources.tiny_text import save_reviews, save_text_model, save_tokenizer

Job = dict[str, Json]


@pytest.fixture
def text_job(tmp_path: Path) -> Job:
    """A text classifier's folder, reviews, and a workflow that only measures."""
    save_tokenizer(tmp_path / "classifier")
    save_text_model(tmp_path / "classifier")
    save_reviews(tmp_path / "reviews.jsonl", 24)
    return {
        "name": "reviews",
        "model": {"path": str(tmp_path / "classifier"), "task": "text-classification"},
        "data": {"test": {"jsonl": str(tmp_path / "reviews.jsonl"), "labels": "label", "batch": 4}},
        "metrics": {"accuracy": {"type": "accuracy", "data": "test"}},
        "target": {"threads": 1},
        "run": {"cache": str(tmp_path / "cache"), "executor": "inline"},
    }


def test_texts_are_tokenized_with_the_tokenizer_beside_the_model(text_job: Job) -> None:
    report = olivelike.run(text_job)
    accuracy = report.best.metrics["accuracy.top1"]
    assert accuracy.n == 24
    # the eight texts of each kind are scored alike: a multiple of 6 of 24 is right
    assert (accuracy.value * 24) % 6 == pytest.approx(0, abs=1e-9)


def test_static_quantization_calibrates_on_padded_texts(text_job: Job, tmp_path: Path) -> None:
    job: Job = {
        **text_job,
        "passes": [{"static_quant": {"data": "test"}}],
        "metrics": {"parity": {"type": "parity", "data": "test"}},
        "output": {"path": str(tmp_path / "out")},
    }
    report = olivelike.run(job)
    assert report.status == "built"
    assert "tokenizer.json" in {path.name for path in (tmp_path / "out").iterdir()}


def test_another_tokenizer_is_measured_anew_and_the_same_one_is_not(text_job: Job, tmp_path: Path) -> None:
    olivelike.run(text_job)
    assert olivelike.run(text_job).contract.cost.measurements_run == 0
    other = save_tokenizer(tmp_path, special=False, name="other.json")
    named = {"prepare": {"tokenize": {"tokenizer": str(other)}}}
    job = {
        **text_job,
        "data": {"test": {"jsonl": str(tmp_path / "reviews.jsonl"), "labels": "label", "batch": 4, **named}},
    }
    assert olivelike.run(job).contract.cost.measurements_run == 1
    assert olivelike.run(job).contract.cost.measurements_run == 0
    moved = tmp_path / "elsewhere" / "other.json"
    moved.parent.mkdir()
    other.rename(moved)
    job["data"]["test"]["prepare"] = {"tokenize": {"tokenizer": str(moved)}}  # type: ignore[index,call-overload]
    assert olivelike.run(job).contract.cost.measurements_run == 0


def test_a_bundle_that_used_a_transform_is_rebuilt_from_its_lock(text_job: Job, tmp_path: Path) -> None:
    named: Json = {
        "jsonl": str(tmp_path / "reviews.jsonl"),
        "batch": 4,
        "labels": "label",
        "prepare": {"tokenize": {}},
        "pad": {"input_ids": 16},
    }
    job: Job = {**text_job, "data": {"test": named}, "output": {"path": str(tmp_path / "out")}}
    job = {**job, "passes": [{"static_quant": {"data": "test"}}]}
    olivelike.run(job)
    lock = json.loads((tmp_path / "out" / "olivelike.lock.json").read_text())
    assert lock["workflow"]["data"]["test"]["prepare"] == {"tokenize": {}}
    assert lock["workflow"]["data"]["test"]["pad"] == {"input_ids": {"to": 16}}
    assert open_workflow(lock["workflow"]).plan.data["test"].spec.prepare["transform"] == "tokenize"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"model": {"path": "m", "task": "text-clasification"}},
            "OL107 model.task: no task is called 'text-clasification'. hint: did you mean text-classification?",
        ),
        (
            {"data": {"t": {"npz": "t", "prepare": "tokenise"}}},
            "OL107 data.t.prepare: no transform is called 'tokenise'. hint: did you mean tokenize?",
        ),
        (
            {"data": {"t": {"npz": "t", "prepare": {"tokenize": {"lenght": 1}}}}},
            "OL104 data.t.prepare.tokenize.lenght: unknown key",
        ),
        (
            {"data": {"t": {"random": {}, "prepare": {"tokenize": {"tokenizer": "no.json"}}}}},
            "OL205 data.t.prepare: no.json does not exist",
        ),
    ],
)
def test_a_task_or_transform_that_is_none_is_refused_with_the_near_one(change: Job, said: str) -> None:
    with pytest.raises(InputError) as caught:
        open_workflow({"name": "x", "model": {"path": "m"}, "metrics": {"size": {"type": "size"}}, **change})
    assert any(str(problem).startswith(said) for problem in caught.value.problems)


def test_a_task_without_a_default_and_prepare_none_leave_data_as_they_are(text_job: Job) -> None:
    data = text_job["data"]
    assert isinstance(data, dict)
    for model, entry in (
        ({"path": "m", "task": "fill-mask"}, data["test"]),
        (text_job["model"], {**data["test"], "prepare": "none"}),  # type: ignore[dict-item]
    ):
        plan = open_workflow({**text_job, "model": model, "data": {"test": entry}}).plan
        assert plan.data["test"].spec.prepare == {}

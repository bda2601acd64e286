"""Passes that rename inputs: data still name those of the workflow's own model, and feed what is made of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import olivelike
from olivelike.contracts.artifact import Manifest
from olivelike.digest import Json
from olivelike.errors import InputError
from olivelike.testing import models
from olivelike.testing.building import float_value, model_of, node_of

Job = dict[str, Json]


def job(folder: Path, passes: list[Json], **changed: Json) -> Job:
    """A workflow that compares what passes make with a model of the input `x`."""
    models.save(models.mlp(), folder)
    features = np.random.default_rng(0).standard_normal((32, 16)).astype("float32")
    np.savez(folder / "test.npz", x=features, labels=np.arange(32) % 4)
    return {
        "model": {"path": str(folder / "model.onnx")},
        "data": {"test": {"npz": str(folder / "test.npz"), "labels": "labels"}},
        "metrics": {
            "accuracy": {"type": "accuracy", "data": "test"},
            "parity": {"type": "parity", "data": "test"},
            "latency": {"type": "latency", "seconds": 0.1},
        },
        "passes": passes,
        "run": {"cache": str(folder / "cache"), "executor": "inline"},
        **changed,
    }


RENAMED: Json = {"rename_io": {"names": {"x": "features"}}}
BY_SURGERY: Json = {"surgery": {"steps": [{"rename_inputs": {"names": {"x": "features"}}}]}}


@pytest.mark.parametrize("step", [RENAMED, BY_SURGERY])
def test_data_that_name_the_first_inputs_feed_a_model_with_new_ones(tmp_path: Path, step: Json) -> None:
    again: Json = {"name": "again", "rename_io": {"names": {"features": "tokens"}}}
    report = olivelike.run(job(tmp_path, [step, {"simplify": {}}, again]))
    assert report.status == "built", report
    assert report.best.metrics["parity.max_abs"].value == 0
    assert [entry.name for entry in report.best.session().get_inputs()] == ["tokens"]


def test_a_pass_behind_the_renaming_calibrates_on_them(tmp_path: Path) -> None:
    report = olivelike.run(job(tmp_path, [RENAMED, {"static_quant": {"data": "test"}}]))
    assert report.status == "built", report
    assert [entry.name for entry in report.best.session().get_inputs()] == ["features"]


def test_data_that_only_fit_the_new_names_are_taken_too(tmp_path: Path) -> None:
    features = np.zeros((8, 16), "float32")
    np.savez(tmp_path / "new.npz", features=features, labels=np.zeros(8, "int64"))
    data: Json = {"test": {"npz": str(tmp_path / "new.npz"), "labels": "labels"}}
    metrics: Json = {"accuracy": {"type": "accuracy", "data": "test"}}
    report = olivelike.run(job(tmp_path, [RENAMED], data=data, metrics=metrics, baseline="none"))
    assert report.status == "built", report


def test_inputs_that_trade_names_keep_their_data(tmp_path: Path) -> None:
    """The difference of two inputs has the sign by which the baseline computes it."""
    ends = [float_value("a", "n", 2), float_value("b", "n", 2)], [float_value("y", "n", 2)]
    ready = job(tmp_path, [{"rename_io": {"names": {"a": "b", "b": "a"}}}])
    models.save(model_of([node_of("Sub", ["a", "b"], ["y"])], *ends, []), tmp_path)
    np.savez(tmp_path / "test.npz", a=np.ones((4, 2), "float32"), b=np.zeros((4, 2), "float32"))
    ready |= {
        "data": {"test": {"npz": str(tmp_path / "test.npz")}},
        "metrics": {"parity": {"type": "parity", "data": "test"}},
    }
    assert olivelike.run(ready).best.metrics["parity.max_abs"].value == 0


def test_data_that_fit_neither_are_refused_in_the_first_names(tmp_path: Path) -> None:
    ready = job(tmp_path, [RENAMED], baseline="none", metrics={"accuracy": {"type": "accuracy", "data": "test"}})
    np.savez(tmp_path / "test.npz", p=np.zeros((8, 16), "float32"), q=np.zeros((8, 16), "float32"), labels=np.arange(8))
    with pytest.raises(InputError, match=r"no column feeds the model's input x"):
        olivelike.run(ready)


def test_renamings_add_up() -> None:
    made = Manifest("onnx").renaming_inputs({"a": "b", "b": "a"}).renaming_inputs({"b": "c"})
    assert made.renamed_inputs == {"a": "b", "c": "a"}
    assert made.renaming_inputs({"a": "b", "c": "a"}).renamed_inputs == {}
    assert Manifest("onnx").renaming_inputs({}) == Manifest("onnx")

"""Opening a data entry for a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from olivelike.builtin import PLUGIN
from olivelike.contracts.data import Batch, Dataset, DataSpec
from olivelike.contracts.metric import TensorInfo
from olivelike.onnxfile.read import signature
from olivelike.registry import Registry
from olivelike.sources.csv import Csv
from olivelike.sources.dataset import open_dataset
from olivelike.sources.npz import Npz
from olivelike.sources.preparation import as_read
from olivelike.sources.script import Script
from olivelike.testing.models import mlp, save
from tests.sources.refusals import refusal

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

IMAGE = TensorInfo("image", "float32", ("n", 2))
SPEC = DataSpec("test", "npz", {"npz": "test.npz"}, inputs={"image": "images"}, labels="labels")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with ten samples, sample i being [i, i] with the label i."""
    numbers = np.arange(10)
    return arrays(tmp_path, images=np.stack([numbers, numbers], axis=1).astype(np.uint8), labels=numbers)


def arrays(folder: Path, **columns: Array) -> Path:
    np.savez(folder / "test.npz", **cast("Mapping[str, bool]", columns))  # NumPy's stub takes keywords for allow_pickle
    return folder


def opened(
    folder: Path,
    *inputs: TensorInfo,
    spec: DataSpec = SPEC,
    prepare: Callable[..., object] = as_read,
) -> Dataset:
    return open_dataset(spec, Npz(), folder, inputs or (IMAGE,), prepare=prepare)


def labels(data: Dataset, size: int = 3, most: int = 0) -> list[int]:
    return [int(label) for batch in data.batches(size, most) for label in batch.labels.tolist()]


def test_batches_carry_the_models_inputs_and_the_labels(folder: Path) -> None:
    data = opened(folder)
    batches = list(data.batches(4))
    assert (data.count, data.has_labels) == (10, True)
    assert [batch.size for batch in batches] == [4, 4, 2]
    assert batches[1].feeds["image"].dtype == np.float32
    assert batches[1].feeds["image"].tolist() == [[4, 4], [5, 5], [6, 6], [7, 7]]
    assert batches[1].labels.tolist() == [4, 5, 6, 7]


def test_at_most_so_many_samples_come(folder: Path) -> None:
    assert labels(opened(folder), most=5) == [0, 1, 2, 3, 4]


def test_the_entrys_own_batch_size_stands_for_none(folder: Path) -> None:
    assert [batch.size for batch in opened(folder, spec=replace(SPEC, batch=7)).batches(0)] == [7, 3]
    assert next(iter(opened(folder).batches(0))).size == 1


def test_the_first_samples_are_taken(folder: Path) -> None:
    assert labels(opened(folder, spec=replace(SPEC, samples=3))) == [0, 1, 2]
    assert opened(folder, spec=replace(SPEC, samples=99)).count == 10


def test_shuffling_is_seeded_and_comes_before_taking(folder: Path) -> None:
    spec = replace(SPEC, shuffle=True, seed=1)
    assert sorted(labels(opened(folder, spec=spec))) == list(range(10))
    assert labels(opened(folder, spec=spec)) == labels(opened(folder, spec=spec))
    assert labels(opened(folder, spec=spec)) != labels(opened(folder, spec=replace(spec, seed=2)))
    assert labels(opened(folder, spec=replace(spec, samples=4))) == labels(opened(folder, spec=spec))[:4]


def test_the_order_does_not_depend_on_the_batch_size(folder: Path) -> None:
    data = opened(folder, spec=replace(SPEC, shuffle=True))
    assert labels(data, 1) == labels(data, 4) == labels(data, 100)


def test_data_without_labels_have_none(folder: Path) -> None:
    data = opened(folder, spec=replace(SPEC, labels=""))
    assert not data.has_labels
    assert next(iter(data.batches(2))).labels.size == 0


def test_a_real_models_signature_is_fed_and_runs(tmp_path: Path) -> None:
    import onnxruntime

    model = save(mlp(), tmp_path / "model")
    (value,) = signature(model).inputs
    arrays(tmp_path, pixels=np.ones((5, 16)), label=np.arange(5))
    spec = DataSpec("test", "npz", {"npz": "test.npz"})
    data = opened(tmp_path, TensorInfo(value.name, value.dtype, value.shape), spec=spec)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    outputs = [session.run(None, dict(batch.feeds))[0].shape for batch in data.batches(4)]
    assert outputs == [(4, 4), (1, 4)]
    assert data.has_labels


def test_every_reader_of_the_registry_can_be_made() -> None:
    registry = Registry({"olivelike": PLUGIN})
    for name in registry.names("readers"):
        reader = registry.reader_named(name)()
        assert next(iter(reader.config.model_fields)) == name


def test_labels_of_another_count_are_refused_with_both_counts(tmp_path: Path) -> None:
    arrays(tmp_path, images=np.ones((10, 2)), labels=np.arange(9))
    problem = refusal(lambda: opened(tmp_path))
    assert (problem.code, problem.path) == ("OL207", "data.test.labels")
    assert problem.claim == "10 samples, but 9 labels in the column 'labels'"


def test_a_missing_label_column_is_refused(folder: Path) -> None:
    problem = refusal(lambda: opened(folder, spec=replace(SPEC, labels="label")))
    assert (problem.code, problem.hint) == ("OL207", "did you mean labels?")


def test_inputs_of_different_length_are_refused(tmp_path: Path) -> None:
    arrays(tmp_path, images=np.ones((4, 2)), mask=np.ones((3, 2)), labels=np.arange(4))
    problem = refusal(lambda: opened(tmp_path, IMAGE, TensorInfo("mask", "float32", ("n", 2))))
    assert problem.code == "OL206"
    assert "images 4, mask 3" in problem.claim


def test_a_column_that_is_not_used_may_have_any_length(tmp_path: Path) -> None:
    arrays(tmp_path, images=np.ones((4, 2)), names=np.array(["a"]), labels=np.arange(4))
    assert opened(tmp_path).count == 4


def test_wrong_shapes_are_refused_before_any_batch(folder: Path) -> None:
    problem = refusal(lambda: opened(folder, TensorInfo("image", "float32", ("n", 1, 28, 28))))
    assert (problem.code, problem.path) == ("OL206", "data.test.inputs.image")
    assert "shape [2]" in problem.claim
    assert "takes [1, 28, 28]" in problem.claim


def test_a_missing_value_is_refused_when_its_batch_is_drawn(tmp_path: Path) -> None:
    images = np.ones((6, 2))
    images[4, 1] = np.nan
    arrays(tmp_path, images=images, labels=np.arange(6))
    batches = opened(tmp_path).batches(2)
    assert next(batches).size == 2
    assert next(batches).size == 2
    problem = refusal(lambda: next(batches))
    assert (problem.code, problem.path) == ("OL208", "data.test.inputs.image")
    assert "sample 4" in problem.claim


def test_a_shuffled_missing_value_is_named_by_its_place_in_the_file(tmp_path: Path) -> None:
    images = np.ones((6, 2))
    images[4, 1] = np.nan
    arrays(tmp_path, images=images, labels=np.arange(6))
    data = opened(tmp_path, spec=replace(SPEC, shuffle=True))
    assert "sample 4" in refusal(lambda: list(data.batches(2))).claim


def test_a_missing_label_is_refused(tmp_path: Path) -> None:
    arrays(tmp_path, images=np.ones((3, 2)), labels=np.array([0, np.nan, 1]))
    problem = refusal(lambda: list(opened(tmp_path).batches(3)))
    assert (problem.code, problem.path) == ("OL208", "data.test.labels")


def test_a_missing_value_in_a_column_that_is_not_used_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,unused,y\n1,,0\n2,3,1\n")
    spec = DataSpec("test", "csv", {"csv": "t.csv"}, labels="y")
    data = open_dataset(spec, Csv(), tmp_path, [TensorInfo("x", "float32", ("n", 1))])
    (batch,) = data.batches(2)
    assert batch.feeds["x"].tolist() == [[1.0], [2.0]]


def test_strings_feed_string_inputs(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("text,y\ngood,0\nbäd,1\n", encoding="utf-8")
    spec = DataSpec("test", "csv", {"csv": "t.csv"}, labels="y")
    (batch,) = open_dataset(spec, Csv(), tmp_path, [TensorInfo("text", "string", ("n",))]).batches(2)
    assert batch.feeds["text"].tolist() == ["good", "bäd"]


def test_no_samples_are_refused(tmp_path: Path) -> None:
    arrays(tmp_path, images=np.ones((0, 2)), labels=np.arange(0))
    assert refusal(lambda: opened(tmp_path)).code == "OL205"


def test_a_model_that_fixes_its_batch_gets_such_batches(folder: Path) -> None:
    data = opened(folder, TensorInfo("image", "float32", (5, 2)))
    assert [batch.size for batch in data.batches(3)] == [5, 5]
    assert [batch.size for batch in data.batches(1, most=7)] == [5]


def test_samples_that_do_not_fill_a_fixed_batch_are_refused(folder: Path) -> None:
    problem = refusal(lambda: opened(folder, TensorInfo("image", "float32", (4, 2))))
    assert problem.code == "OL206"
    assert problem.hint == "add `samples: 8`"
    assert opened(folder, TensorInfo("image", "float32", (4, 2)), spec=replace(SPEC, samples=8)).count == 8


def test_prepare_maps_each_batchs_columns(folder: Path) -> None:
    def prepare(columns: Mapping[str, Array]) -> object:
        return {"image": columns["images"].astype(np.float32) / 2}

    data = opened(folder, spec=replace(SPEC, inputs={}), prepare=prepare)
    batch = list(data.batches(4))[1]
    assert batch.feeds["image"].tolist() == [[2, 2], [2.5, 2.5], [3, 3], [3.5, 3.5]]
    assert batch.labels.tolist() == [4, 5, 6, 7]


def test_what_prepare_returns_is_checked_before_any_batch_and_in_each(folder: Path) -> None:
    spec = replace(SPEC, inputs={})
    problem = refusal(lambda: opened(folder, spec=spec, prepare=lambda columns: {"image": columns["labels"]}))
    assert "shape []" in problem.claim

    def changing(columns: Mapping[str, Array]) -> object:
        return {"image" if columns["labels"][0] < 4 else "other": columns["images"]}

    data = opened(folder, spec=spec, prepare=changing)
    problem = refusal(lambda: list(data.batches(4)))
    assert (problem.code, "image" in problem.claim) == ("OL209", True)


def test_a_script_is_loaded_from_the_files_of_the_entry(tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(
        "import features\ndef load(n):\n    for i in range(n):\n        yield features.sample(i), i\n"
    )
    (tmp_path / "features.py").write_text("def sample(i):\n    return {'image': [i, i]}\n")
    spec = DataSpec("test", "script", {"script": "user.py", "call": "load", "args": {"n": 4}})
    data = open_dataset(spec, Script(), tmp_path, (IMAGE,))
    batches: list[Batch] = list(data.batches(3))
    assert [batch.labels.tolist() for batch in batches] == [[0, 1, 2], [3]]
    assert batches[1].feeds["image"].tolist() == [[3, 3]]


def test_a_users_function_may_be_given(tmp_path: Path) -> None:
    spec = DataSpec("test", "script", {"script": "user.py", "call": "load"})
    data = open_dataset(spec, Script(), tmp_path, (IMAGE,), call=lambda: {"image": np.ones((2, 2))})
    assert data.count == 2

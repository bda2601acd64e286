"""Tests of the pass context in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from olivelike.errors import InputError
from olivelike.testing import models
from olivelike.testing.context import ArrayDataset, MemoryContext
from olivelike.testing.feeds import feeds_for


def test_batches_cover_the_samples_and_the_last_may_be_smaller() -> None:
    dataset = ArrayDataset({"x": np.arange(7)}, np.arange(7) * 10)
    batches = list(dataset.batches(3))
    assert [batch.size for batch in batches] == [3, 3, 1]
    assert [list(batch.labels) for batch in batches] == [[0, 10, 20], [30, 40, 50], [60]]


def test_most_bounds_the_samples() -> None:
    dataset = ArrayDataset({"x": np.arange(7)})
    assert sum(batch.size for batch in dataset.batches(3, most=4)) == 4
    assert not dataset.has_labels


def test_data_are_cast_to_the_models_inputs(tmp_path: Path) -> None:
    path = models.save(models.mlp(), tmp_path)
    context = MemoryContext(tmp_path, {"cal": {"x": np.zeros((2, 16), np.uint8), "more": np.zeros(2)}})
    (batch,) = context.data("cal", path).batches(8)
    assert {name: values.dtype for name, values in batch.feeds.items()} == {"x": np.dtype("float32")}


def test_unknown_entry_and_missing_column_are_said(tmp_path: Path) -> None:
    path = models.save(models.mlp(), tmp_path)
    context = MemoryContext(tmp_path, {"cal": {"y": np.zeros(2)}})
    with pytest.raises(InputError, match="OL108"):
        context.data("call", path)
    with pytest.raises(InputError, match=r"OL206.*'x'"):
        context.data("cal", path)


def test_model_runs_and_gives_the_outputs_asked_for(tmp_path: Path) -> None:
    path = models.save(models.copies_input(), tmp_path)
    feeds = feeds_for(path)
    assert list(MemoryContext(tmp_path).run(path, feeds, ["copy"])) == ["copy"]


def test_feeds_are_seeded(tmp_path: Path) -> None:
    path = models.save(models.mlp(), tmp_path)
    assert (feeds_for(path, seed=1)["x"] == feeds_for(path, seed=1)["x"]).all()
    assert (feeds_for(path, seed=1)["x"] != feeds_for(path, seed=2)["x"]).any()

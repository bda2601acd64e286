"""The data reader `random`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from olivelike.contracts.data import Dataset, DataSpec
from olivelike.contracts.metric import TensorInfo
from olivelike.digest import Json
from olivelike.sources.data_files import data_files
from olivelike.sources.dataset import open_dataset
from olivelike.sources.random import Random
from tests.sources.refusals import refusal

IMAGE = TensorInfo("image", "float32", ("n", 3, "height"))


def drawn(*inputs: TensorInfo, seed: int = 0, samples: int = 0, **random: Json) -> Dataset:
    spec = DataSpec("drawn", "random", {"random": random}, seed=seed, samples=samples)
    return open_dataset(spec, Random(), Path("nowhere"), inputs)


def test_values_fit_the_models_inputs() -> None:
    inputs = (IMAGE, TensorInfo("ids", "int64", ("n", "length")), TensorInfo("text", "string", ("n",)))
    (batch,) = drawn(*inputs, samples=2, dims={"length": 7}).batches(4)
    assert batch.size == 2
    assert {name: (array.dtype.name, array.shape) for name, array in batch.feeds.items()} == {
        "image": ("float32", (2, 3, 1)),
        "ids": ("int64", (2, 7)),
        "text": ("object", (2,)),
    }
    assert not batch.feeds["ids"].any()
    assert batch.feeds["text"].tolist() == ["", ""]


def test_floats_are_of_mean_0_and_deviation_1() -> None:
    (batch,) = drawn(IMAGE, samples=64, dims={"height": 100}).batches(64)
    # 19,200 values: the standard errors are 0.007 and 0.005, and the bounds are five of them or more
    assert abs(float(np.mean(batch.feeds["image"], dtype=np.float64))) < 0.04
    assert abs(float(np.std(batch.feeds["image"], dtype=np.float64)) - 1) < 0.03


def test_a_sample_depends_on_the_seed_and_not_on_the_batch_size() -> None:
    one = np.concatenate([batch.feeds["image"] for batch in drawn(IMAGE).batches(1, most=6)])
    three = np.concatenate([batch.feeds["image"] for batch in drawn(IMAGE).batches(3, most=6)])
    (other,) = drawn(IMAGE, seed=1).batches(6, most=6)
    assert np.array_equal(one, three)
    assert not np.array_equal(one, other.feeds["image"])


def test_the_number_of_samples_is_the_configs_or_the_entrys() -> None:
    assert drawn(IMAGE).count == 64
    assert drawn(IMAGE, samples=5).count == 5
    assert not drawn(IMAGE).has_labels


def test_a_model_that_fixes_its_batch_gets_whole_ones() -> None:
    data = drawn(TensorInfo("x", "float32", (4, 2)), samples=6)
    assert data.count == 8
    assert [batch.feeds["x"].shape for batch in data.batches(1)] == [(4, 2), (4, 2)]


def test_an_input_without_axes_gets_one_value() -> None:
    (batch,) = drawn(IMAGE, TensorInfo("training", "bool", ()), samples=2).batches(2)
    assert batch.feeds["training"].shape == ()


def test_an_input_type_that_numpy_lacks_is_refused() -> None:
    data = drawn(TensorInfo("x", "bfloat16", ("n",)))
    assert refusal(lambda: list(data.batches(1))).code == "OL206"


def test_there_are_no_files() -> None:
    reader = Random()
    assert data_files(reader, reader.config.model_validate({}), Path("nowhere")) == {}


@pytest.mark.parametrize("config", [{"samples": 0}, {"dims": {"n": 0}}, {"sample": 3}])
def test_sizes_are_positive_and_keys_are_known(config: dict[str, Json]) -> None:
    with pytest.raises(ValidationError):
        Random().config.model_validate({"random": config})

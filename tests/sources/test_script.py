"""The data reader `script`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from olivelike.digest import Json
from olivelike.sources.script import Script, load_call
from olivelike.testing.source_contract import ReaderContract
from tests.sources.reading import read
from tests.sources.refusals import refusal

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

CONFIG: dict[str, Json] = {"script": "user.py", "call": "load"}


class TestScript(ReaderContract):
    def reader(self) -> Script:
        return Script()

    def example(self, folder: Path) -> dict[str, Json]:
        (folder / "scripts").mkdir(exist_ok=True)
        (folder / "scripts" / "user.py").write_text("from features import x\n")
        (folder / "scripts" / "features.py").write_text("x = 1\n")
        return {"script": "scripts/user.py", "call": "load", "args": {"n": 2}}

    def call(self) -> object:
        return {"image": np.arange(6).reshape(3, 2)}


def columns(result: object) -> dict[str, Array]:
    return read(Script(), Path(), CONFIG, lambda: result)


def from_text(folder: Path, text: str) -> dict[str, Array]:
    (folder / "user.py").write_text(text, encoding="utf-8")
    return read(Script(), folder, CONFIG, load_call(folder, "user.py", "load", {}))


def test_a_mapping_is_columns() -> None:
    found = columns({"image": np.ones((2, 3)), "text": ["a", "b"]})
    assert {name: column.shape for name, column in found.items()} == {"image": (2, 3), "text": (2,)}


def test_a_pair_is_columns_and_labels() -> None:
    assert columns(({"image": np.ones((2, 3))}, [0, 1]))["label"].tolist() == [0, 1]


@pytest.mark.parametrize("kind", [list, tuple, iter])
def test_an_iterable_of_mappings_is_one_sample_each(kind: Callable[[object], object]) -> None:
    samples = [{"image": np.full(3, number), "n": number} for number in range(4)]
    found = columns(kind(samples))
    assert found["image"].shape == (4, 3)
    assert found["n"].tolist() == [0, 1, 2, 3]


def test_an_iterable_of_pairs_is_samples_with_labels() -> None:
    found = columns([({"image": np.zeros(3)}, number) for number in range(2)])
    assert found["label"].tolist() == [0, 1]
    assert found["image"].shape == (2, 3)


def test_two_labelled_samples_in_a_tuple_are_samples() -> None:
    assert columns((({"x": 1.0}, 0), ({"x": 2.0}, 1)))["label"].tolist() == [0, 1]
    assert columns(({"x": 1.0}, {"x": 2.0}))["x"].tolist() == [1.0, 2.0]


def test_a_dataset_that_is_read_by_number_works(tmp_path: Path) -> None:
    text = """
class load:
    def __len__(self):
        return 3
    def __getitem__(self, number):
        return {"x": [number, number]}, number
"""
    found = from_text(tmp_path, text)
    assert found["x"].shape == (3, 2)
    assert found["label"].tolist() == [0, 1, 2]


def test_a_dataset_that_raises_is_refused_with_its_line(tmp_path: Path) -> None:
    text = "class load:\n    def __iter__(self):\n        yield {'x': 1}\n        raise OSError('disk')\n"
    problem = refusal(lambda: from_text(tmp_path, text))
    assert problem.code == "OL209"
    assert problem.place == f"{tmp_path / 'user.py'}:4"


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (None, "returns None"),
        (3, "returns a int"),
        ("path.npz", "returns a str"),
        (np.ones((2, 3)), "returns an array (2, 3) of float64"),
        ({}, "returns no column"),
        ([], "yields no sample"),
        ([np.ones(3)], "yields an array (3,) of float64 as sample 0"),
        ([(1, 2, 3)], "yields a tuple of 3 as sample 0"),
        ([{"x": 1}, {"y": 1}], "sample 1 has the columns y, the one before x"),
        ({"x": 3}, "gives a int for 'x', without an axis of samples"),
        ({"x": [[1, 2], [3]]}, "make no array"),
        ([{"x": np.ones(2)}, {"x": np.ones(3)}], "make no array"),
        ({"x": [1, None]}, "neither numbers nor text: None"),
    ],
)
def test_anything_else_is_refused_saying_what_it_is(result: object, says: str) -> None:
    problem = refusal(lambda: columns(result))
    assert problem.code == "OL209"
    assert problem.place == "user.py load()"
    assert says in problem.claim

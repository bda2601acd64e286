"""Ragged columns and how batches of them are filled up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from olivelike.contracts.data import EVERY_COLUMN, Dataset, DataSpec, Pad
from olivelike.contracts.metric import TensorInfo
from olivelike.sources.dataset import open_dataset
from olivelike.sources.jsonl import Jsonl
from olivelike.sources.ragged import MASK, ragged, rectangular
from tests.sources.refusals import refusal

if TYPE_CHECKING:
    from olivelike.contracts.data import Array
    from olivelike.digest import Json

IDS = TensorInfo("ids", "int64", ("n", "t"))
ATTENTION = TensorInfo(MASK, "int64", ("n", "t"))


def filled(samples: list[list[int]], pad: Pad, *, mask: bool = False) -> dict[str, Array]:
    column = ragged([np.array(sample, dtype=np.int64) for sample in samples])
    return rectangular({"ids": column}, {"ids": pad}, np.arange(len(samples)), mask=mask, place="data.t")


def opened(folder: Path, *inputs: TensorInfo, pad: dict[str, Json], **more: object) -> Dataset:
    rows = [{"ids": [1] * (1 + number % 3), "label": number} for number in range(6)]
    (folder / "x.jsonl").write_text("".join(json.dumps({**row, **more}) + "\n" for row in rows))
    return open_dataset(DataSpec("t", "jsonl", {"jsonl": "x.jsonl"}, pad=pad), Jsonl(), folder, inputs)


def test_lists_are_filled_to_the_longest_of_their_batch() -> None:
    assert filled([[1], [2, 3]], Pad())["ids"].tolist() == [[1, 0], [2, 3]]
    assert filled([[1], [2, 3]], Pad(multiple_of=4, value=9, side="left"))["ids"].tolist() == [
        [9, 9, 9, 1],
        [9, 9, 2, 3],
    ]
    assert filled([[1], []], Pad(to=3))["ids"].tolist() == [[1, 0, 0], [0, 0, 0]]


def test_numbers_keep_their_type_and_a_fraction_widens_it() -> None:
    assert filled([[1], [2, 3]], Pad(value=-100))["ids"].dtype == np.int64
    assert filled([[1], [2, 3]], Pad(value=0.5))["ids"].tolist() == [[1, 0.5], [2, 3]]


def test_whole_numbers_beside_fractions_do_not_cut_these() -> None:
    column = ragged([np.array([1]), np.array([0.5, 1.5])])
    made = rectangular({"x": column}, {"x": Pad()}, np.arange(2), mask=False, place="data.t")
    assert made["x"].tolist() == [[1, 0], [0.5, 1.5]]


def test_cutting_is_asked_for() -> None:
    problem = refusal(lambda: filled([[1, 2, 3]], Pad(to=2)))
    assert (problem.code, problem.path) == ("OL206", "data.t.pad")
    assert "`truncate: true`" in problem.hint
    assert filled([[1, 2, 3]], Pad(to=2, truncate=True))["ids"].tolist() == [[1, 2]]
    assert filled([[1, 2, 3]], Pad(to=2, truncate=True, side="left"))["ids"].tolist() == [[2, 3]]


@given(
    st.lists(st.lists(st.integers(1, 9), max_size=6), min_size=1), st.sampled_from(["left", "right"]), st.integers(1, 4)
)
def test_the_mask_finds_every_element_again(samples: list[list[int]], side: str, multiple: int) -> None:
    made = filled(samples, Pad.model_validate({"side": side, "multiple_of": multiple}), mask=True)
    assert [row[mask == 1].tolist() for row, mask in zip(made["ids"], made[MASK], strict=True)] == samples
    assert made["ids"].shape[1] % multiple == 0


def test_a_model_with_a_mask_is_fed_one(tmp_path: Path) -> None:
    data = opened(tmp_path, IDS, ATTENTION, pad={EVERY_COLUMN: {}})
    (first, second) = data.batches(3)
    assert first.feeds[MASK].tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    assert second.labels.tolist() == [3, 4, 5]


def test_batches_are_as_long_as_their_own_longest(tmp_path: Path) -> None:
    shapes = [batch.feeds["ids"].shape for batch in opened(tmp_path, IDS, pad={"ids": {}}).batches(2)]
    assert shapes == [(2, 2), (2, 3), (2, 3)]


def test_lists_of_different_length_ask_for_pad_and_single_ones_need_none(tmp_path: Path) -> None:
    data = opened(tmp_path, IDS, pad={})
    problem = refusal(lambda: list(data.batches(2)))
    assert (problem.code, problem.hint) == ("OL206", "add `pad: {ids: longest}`")
    assert [batch.feeds["ids"].shape[1] for batch in data.batches(1)] == [1, 2, 3, 1, 2, 3]


def test_a_length_that_the_model_does_not_take_is_refused_at_opening(tmp_path: Path) -> None:
    fixed = TensorInfo("ids", "int64", ("n", 8))
    assert next(iter(opened(tmp_path, fixed, pad={"ids": {"to": 8}}).batches(2))).feeds["ids"].shape == (2, 8)
    assert refusal(lambda: opened(tmp_path, fixed, pad={"ids": {"to": 4}})).code == "OL206"


def test_a_column_to_pad_that_is_not_there_is_refused(tmp_path: Path) -> None:
    problem = refusal(lambda: opened(tmp_path, IDS, pad={"id": {}}))
    assert (problem.code, problem.hint) == ("OL206", "did you mean ids?")


def test_a_mask_over_columns_of_different_length_is_refused() -> None:
    columns = {"a": ragged([np.ones(1), np.ones(2)]), "b": ragged([np.ones(2), np.ones(2)])}
    problem = refusal(lambda: rectangular(columns, {EVERY_COLUMN: Pad()}, np.arange(2), mask=True, place="data.t"))
    assert problem.code == "OL206"
    assert "is not clear" in problem.claim


@pytest.mark.parametrize("key", ["to", "value", "side", "truncate", "multiple_of"])
def test_how_lists_are_filled_up_is_part_of_the_key(key: str) -> None:
    value: Json = {"to": 8, "value": 1, "side": "left", "truncate": True, "multiple_of": 2}[key]
    assert DataSpec("t", "jsonl", pad={"ids": {key: value}}).to_json() != DataSpec("t", "jsonl").to_json()


def test_a_column_named_to_be_filled_up_is_even_where_its_lists_are_of_one_length(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"ids": [1, 2]}\n{"ids": [3, 4]}\n')
    spec = DataSpec("t", "jsonl", {"jsonl": "x.jsonl"}, pad={"ids": {"to": 3}})
    (batch,) = open_dataset(spec, Jsonl(), tmp_path, (IDS, ATTENTION)).batches(2)
    assert batch.feeds["ids"].tolist() == [[1, 2, 0], [3, 4, 0]]
    assert batch.feeds[MASK].tolist() == [[1, 1, 0], [1, 1, 0]]
    everywhere = DataSpec("t", "jsonl", {"jsonl": "x.jsonl"}, pad={EVERY_COLUMN: {"to": 3}})
    problem = refusal(lambda: open_dataset(everywhere, Jsonl(), tmp_path, (IDS,)))
    assert (problem.code, problem.hint) == ("OL206", "name the columns to pad, or leave `pad` out")


def test_the_users_python_may_return_lists_of_different_length(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"text": "a"}\n{"text": "a b c"}\n')

    def count_words(columns: dict[str, Array]) -> dict[str, object]:
        return {"ids": [list(range(1, len(text.split()) + 1)) for text in columns["text"].tolist()]}

    spec = DataSpec("t", "jsonl", {"jsonl": "x.jsonl"}, pad={"ids": {"to": 4}})
    (batch,) = open_dataset(spec, Jsonl(), tmp_path, (IDS, ATTENTION), prepare=count_words).batches(2)
    assert batch.feeds["ids"].tolist() == [[1, 0, 0, 0], [1, 2, 3, 0]]
    assert batch.feeds[MASK].sum(axis=1).tolist() == [1, 3]
    everywhere = DataSpec("t", "jsonl", {"jsonl": "x.jsonl"}, pad={EVERY_COLUMN: {"to": 4}})
    single = open_dataset(everywhere, Jsonl(), tmp_path, (IDS,), prepare=count_words).batches(1)
    assert [batch.feeds["ids"].shape for batch in single] == [(1, 4), (1, 4)]
    unpadded = DataSpec("t", "jsonl", {"jsonl": "x.jsonl"})
    data = open_dataset(unpadded, Jsonl(), tmp_path, (IDS,), prepare=count_words)
    assert refusal(lambda: list(data.batches(2))).hint == "add `pad: {ids: longest}`"

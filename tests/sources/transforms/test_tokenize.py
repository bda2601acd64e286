"""The transform `tokenize`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from olivelike.contracts.data import Dataset, DataSpec
from olivelike.contracts.metric import TensorInfo
from olivelike.digest import Json
from olivelike.sources.dataset import open_dataset
from olivelike.sources.jsonl import Jsonl
from olivelike.sources.preparation import Named
from olivelike.sources.transforms.tokenize import Tokenize
from tests.sources.refusals import refusal
from tests.sources.tiny_text import save_reviews, save_tokenizer

INPUTS = tuple(TensorInfo(name, "int64", ("n", "t")) for name in ("input_ids", "attention_mask", "token_type_ids"))


def opened(
    folder: Path,
    *inputs: TensorInfo,
    options: dict[str, Json] | None = None,
    pad: dict[str, Json] | None = None,
    default: bool = False,
    file: str = "x.jsonl",
) -> Dataset:
    transform = Tokenize()
    config = transform.config.model_validate(options or {})
    files = {path.name: path for path in folder.glob("*.json")}
    spec = DataSpec("t", "jsonl", {"jsonl": file}, pad=pad or {})
    return open_dataset(spec, Jsonl(), folder, inputs or INPUTS, prepare=Named(transform, config, files, default))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_tokenizer(tmp_path)
    save_reviews(tmp_path / "x.jsonl")
    return tmp_path


def test_texts_become_ids_masks_and_types_with_their_labels(folder: Path) -> None:
    batch = next(iter(opened(folder).batches(2)))
    assert batch.feeds["input_ids"].tolist() == [[2, 4, 6, 3, 0], [2, 7, 5, 6, 3]]
    assert batch.feeds["attention_mask"].tolist() == [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]
    assert batch.feeds["token_type_ids"].tolist() == [[0] * 5] * 2
    assert batch.labels.tolist() == [1, 0]


def test_a_pair_has_two_types(folder: Path) -> None:
    (folder / "p.jsonl").write_text(json.dumps({"one": "good", "two": "bad film"}) + "\n")
    data = opened(folder, options={"text": "one", "pair": "two"}, file="p.jsonl")
    feeds = next(iter(data.batches(1))).feeds
    assert feeds["input_ids"].tolist() == [[2, 4, 3, 5, 6, 3]]
    assert feeds["token_type_ids"].tolist() == [[0, 0, 0, 1, 1, 1]]


def test_a_length_that_the_model_fixes_is_filled_up_to(folder: Path) -> None:
    fixed = tuple(TensorInfo(info.name, info.dtype, ("n", 7)) for info in INPUTS)
    assert next(iter(opened(folder, *fixed).batches(2))).feeds["attention_mask"].shape == (2, 7)


def test_pad_decides_the_length_of_all_that_the_transform_makes(folder: Path) -> None:
    data = opened(folder, pad={"input_ids": {"multiple_of": 8}})
    assert {values.shape for values in next(iter(data.batches(3))).feeds.values()} == {(3, 8)}
    assert next(iter(opened(folder, pad={"*": {"to": 9}}).batches(3))).feeds["input_ids"].shape == (3, 9)


def test_cutting_happens_only_where_it_is_asked_for(folder: Path) -> None:
    assert next(iter(opened(folder).batches(4))).feeds["input_ids"].shape == (4, 6)  # although the file says 4
    data = opened(folder, options={"max_length": 4})
    assert next(iter(data.batches(4))).feeds["input_ids"].tolist()[2] == [2, 8, 7, 3]
    assert refusal(lambda: opened(folder, options={"max_length": 2})).code == "OL206"


def test_a_text_longer_than_the_model_takes_is_refused_with_the_length_to_cut_to(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": 5}))
    problem = refusal(lambda: list(opened(folder).batches(4)))
    assert (problem.code, problem.claim) == ("OL206", "a text has 6 tokens, and the model takes at most 5")
    assert "max_length: 5" in problem.hint


def test_an_id_beyond_the_models_embedding_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"vocab_size": 6}))
    problem = refusal(lambda: list(opened(folder).batches(4)))
    assert (problem.code, "gives the id 6" in problem.claim) == ("OL206", True)


def test_without_a_tokenizer_its_place_is_told(tmp_path: Path) -> None:
    save_reviews(tmp_path / "x.jsonl")
    problem = refusal(lambda: opened(tmp_path))
    assert (problem.code, problem.claim) == ("OL205", "there is no tokenizer.json beside the model")


def test_a_damaged_tokenizer_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")
    assert refusal(lambda: opened(folder)).code == "OL205"


def test_which_column_holds_the_text_must_be_clear(folder: Path) -> None:
    (folder / "p.jsonl").write_text(json.dumps({"one": "good", "two": "bad", "n": 1}) + "\n")
    problem = refusal(lambda: opened(folder, file="p.jsonl"))
    assert (problem.code, problem.hint) == ("OL206", "name it with `text: COLUMN`")
    assert "holds no text" in refusal(lambda: opened(folder, options={"text": "n"}, file="p.jsonl")).claim
    assert "is not there" in refusal(lambda: opened(folder, options={"text": "m"}, file="p.jsonl")).claim


def test_by_default_data_that_are_tokens_already_stay(folder: Path) -> None:
    row = {info.name: [1, 0] for info in INPUTS}
    (folder / "x.jsonl").write_text(json.dumps({**row, "text": "good"}) + "\n")
    assert next(iter(opened(folder, default=True).batches(1))).feeds["input_ids"].tolist() == [[1, 0]]
    assert next(iter(opened(folder).batches(1))).feeds["input_ids"].tolist() == [[2, 4, 3]]

"""The transform `causal_lm`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from olivelike.contracts.data import Dataset, DataSpec
from olivelike.contracts.metric import TensorInfo
from olivelike.digest import Json
from olivelike.sources.dataset import open_dataset
from olivelike.sources.jsonl import Jsonl
from olivelike.sources.preparation import Named
from olivelike.sources.transforms.causal_lm import CausalLm
from tests.sources.refusals import refusal
from tests.sources.tiny_text import WORDS, save_tokenizer

IDS = TensorInfo("input_ids", "int64", ("n", "t"))


def opened(folder: Path, *inputs: TensorInfo, samples: int = 0, options: dict[str, Json] | None = None) -> Dataset:
    transform = CausalLm()
    config = transform.config.model_validate(options or {})
    files = {path.name: path for path in folder.glob("*.json")}
    spec = DataSpec("t", "jsonl", {"jsonl": "x.jsonl"}, samples=samples)
    return open_dataset(spec, Jsonl(), folder, inputs or (IDS,), prepare=Named(transform, config, files))


def corpus(folder: Path, *texts: str) -> Path:
    save_tokenizer(folder, special=False)
    (folder / "x.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return folder


def test_texts_are_joined_and_cut_into_blocks_which_are_their_own_labels(tmp_path: Path) -> None:
    data = opened(corpus(tmp_path, "good film", "a", "very bad film a"), options={"block": 3})
    (batch,) = data.batches(8)
    assert batch.feeds["input_ids"].tolist() == [[4, 6, 8], [7, 5, 6]]
    assert batch.labels.tolist() == batch.feeds["input_ids"].tolist()
    assert (data.count, data.has_labels) == (2, True)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(
    texts=st.lists(st.lists(st.sampled_from(WORDS[4:]), max_size=6), min_size=1, max_size=9), block=st.integers(1, 5)
)
def test_no_token_is_lost_but_the_rest(tmp_path: Path, texts: list[list[str]], block: int) -> None:
    words = [WORDS.index(word) for text in texts for word in text]
    corpus(tmp_path, *(" ".join(text) for text in texts))
    if len(words) < block:
        assert refusal(lambda: opened(tmp_path, options={"block": block})).code == "OL206"
        return
    found = [batch.feeds["input_ids"] for batch in opened(tmp_path, options={"block": block}).batches(2)]
    assert np.concatenate(found).ravel().tolist() == words[: len(words) // block * block]


def test_what_else_the_model_takes_is_fed(tmp_path: Path) -> None:
    inputs = (
        IDS,
        TensorInfo("attention_mask", "int64", ("n", "total")),
        TensorInfo("position_ids", "int64", ("n", "t")),
        TensorInfo("past_key_values.0.key", "float32", ("n", 2, "past", 4)),
    )
    (batch,) = opened(corpus(tmp_path, "good film a"), *inputs, options={"block": 3}).batches(1)
    assert batch.feeds["attention_mask"].tolist() == [[1, 1, 1]]
    assert batch.feeds["position_ids"].tolist() == [[0, 1, 2]]
    assert batch.feeds["past_key_values.0.key"].shape == (1, 2, 0, 4)


def test_the_models_own_length_makes_the_blocks(tmp_path: Path) -> None:
    corpus(tmp_path, "good film a very bad")
    fixed = TensorInfo("input_ids", "int64", ("n", 2))
    assert opened(tmp_path, fixed).count == 2
    (tmp_path / "config.json").write_text(json.dumps({"max_position_embeddings": 4}))
    assert opened(tmp_path).count == 1
    problem = refusal(lambda: opened(tmp_path, options={"block": 5}))
    assert (problem.code, problem.path) == ("OL206", "data.t.prepare.causal_lm.block")


def test_samples_count_blocks_and_end_the_counting_of_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("olivelike.sources.transforms.causal_lm.AT_ONCE", 1)
    corpus(tmp_path, *["good film"] * 50, "very")
    (tmp_path / "config.json").write_text(
        json.dumps({"vocab_size": WORDS.index("very")})
    )  # refused once it is tokenized
    assert refusal(lambda: opened(tmp_path, options={"block": 4})).code == "OL206"
    data = opened(tmp_path, samples=3, options={"block": 4})
    assert data.count == 3
    assert sum(batch.size for batch in data.batches(2)) == 3

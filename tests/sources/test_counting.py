"""How many samples an entry has, told without reading them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow
import pytest
import soundfile
from PIL import Image
from pyarrow import parquet

from olivelike.builtin import PLUGIN
from olivelike.contracts.data import DataSpec
from olivelike.contracts.transform import NoTransform
from olivelike.digest import Json
from olivelike.registry import Registry
from olivelike.sources.counting import count_samples
from olivelike.sources.transforms.causal_lm import CausalLm
from tests.sources.refusals import refusal

REGISTRY = Registry({"olivelike": PLUGIN})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three samples of every kind."""
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros((3, 2)), version=np.int64(1))
    np.save(tmp_path / "x.npy", np.zeros(3))
    (tmp_path / "x.csv").write_text('a,b\n1,"two\nlines"\n2,b\n3,c\n')
    (tmp_path / "x.jsonl").write_text('{"a": 1}\n\n{"a": 2}\n{"a": 3}')
    parquet.write_table(pyarrow.table({"a": [1, 2, 3]}), tmp_path / "x.parquet")
    for name in ("pictures", "clips", "set"):
        (tmp_path / name).mkdir()
    for number in range(3):
        Image.new("RGB", (2, 2)).save(tmp_path / "pictures" / f"{number}.png")
        soundfile.write(tmp_path / "clips" / f"{number}.wav", np.zeros(8), 8000)
    for split, texts in (("train", ["a"]), ("test", ["a", "b", "c"])):
        rows = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        (tmp_path / "set" / f"{split}.jsonl").write_text(rows)
    return tmp_path


def counted(folder: Path, samples: int = 0, **config: Json) -> int:
    name = next(iter(config))
    reader = REGISTRY.reader_named(name)()
    spec = DataSpec("t", name, samples=samples)
    return count_samples(reader, reader.config.model_validate(config), spec, folder)


@pytest.mark.parametrize(
    "config",
    [
        {"npz": "x.npz"},
        {"npy": "x.npy"},
        {"csv": "x.csv"},
        {"jsonl": "x.jsonl"},
        {"parquet": "x.parquet"},
        {"images": "pictures"},
        {"audio": "clips"},
        {"hf": "./set", "split": "test"},
        {"random": {"samples": 3}},
    ],
)
def test_every_reader_tells_how_many_samples_it_has(folder: Path, config: dict[str, Json]) -> None:
    assert counted(folder, **config) == 3
    assert counted(folder, samples=2, **config) == 2
    assert counted(folder, samples=9, **config) == 3


def test_what_cannot_be_told_is_bounded_by_what_is_asked_for(folder: Path) -> None:
    assert counted(folder, script="none.py", call="load") == 0
    assert counted(folder, hf="owner/name", samples=5) == 5
    reader = REGISTRY.reader_named("jsonl")()
    config, spec = reader.config.model_validate({"jsonl": "x.jsonl"}), DataSpec("t", "jsonl")
    assert count_samples(reader, config, spec, folder, CausalLm) == 0
    assert count_samples(reader, config, replace(spec, samples=7), folder, CausalLm) == 7
    assert count_samples(reader, config, spec, folder, NoTransform) == 3


@pytest.mark.parametrize("config", [{"npz": "no"}, {"csv": "no"}, {"jsonl": "no"}, {"parquet": "no"}, {"images": "no"}])
def test_a_missing_file_is_refused(folder: Path, config: dict[str, Json]) -> None:
    assert refusal(lambda: counted(folder, **config)).code == "OL205"

"""Whether safetensors are complete."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olivelike.errors import InputError
from olivelike.sources.safetensors import check_weights
from tests.sources.refusals import refusal
from tests.sources.tiny_safetensors import write_safetensors


def test_whole_files_pass(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "model.safetensors")
    write_safetensors(tmp_path / "empty.safetensors", values=0)
    check_weights(tmp_path, ["model.safetensors", "empty.safetensors"])


@given(cut=st.integers(min_value=1, max_value=80))
def test_every_truncation_is_found(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = write_safetensors(tmp_path_factory.mktemp("weights") / "model.safetensors")
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(InputError, match="OL202"):
        check_weights(path.parent, [path.name])


@given(content=st.binary(max_size=64))
def test_no_content_ends_in_another_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match="OL202"):
        check_weights(path.parent, [path.name])


@pytest.mark.parametrize("header", [b"[]", b"{", b'{"a": 1}', b'{"a": {"data_offsets": [0]}}'])
def test_a_damaged_header_is_refused(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    assert "header" in refusal(lambda: check_weights(tmp_path, ["model.safetensors"])).claim


@pytest.mark.parametrize("index", ["", "[]", '{"weight_map": []}'])
def test_a_damaged_index_is_refused(tmp_path: Path, index: str) -> None:
    write_safetensors(tmp_path / "model-00001-of-00001.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(index)
    assert "index" in refusal(lambda: check_weights(tmp_path, ["model-00001-of-00001.safetensors"])).claim

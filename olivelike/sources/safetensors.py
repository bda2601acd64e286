"""Whether a folder's safetensors are complete: their headers, their sizes and the index of their shards.

The format: eight bytes with the header's length (little endian), the header (JSON, each tensor's `data_offsets`), the data;
https://github.com/huggingface/safetensors#format.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from olivelike.errors import InputError, OlivelikeError, fail

INDEX = "model.safetensors.index.json"
LARGEST_HEADER = 100_000_000
LFS_POINTER = b"version https://git-lfs"


def check_weights(folder: Path, weights: Sequence[str]) -> None:
    """Checks that safetensors are there as a whole; reads headers only.

    Args:
        folder: the model's folder.
        weights: relative names of its safetensors files.

    Raises:
        InputError: OL202, a file is truncated, no safetensors, or a shard is missing.
    """
    index = folder / INDEX
    if index.is_file() and any("-of-" in name for name in weights):
        missing = sorted(_shards(index) - set(weights))
        if missing:
            claim = f"{missing[0]}, which {INDEX} names, is missing"
            raise fail(InputError, "OL202", claim, place=str(folder), hint="copy or download the model again")
    for name in weights:
        _check_file(folder / name)


def _shards(index: Path) -> set[str]:
    try:
        return set(json.loads(index.read_bytes())["weight_map"].values())
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise _broken(index, f"is no index of shards ({error})") from error


def _check_file(path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if LFS_POINTER.startswith(start) and start:
            hint = "fetch its content with `git lfs pull`"
            raise fail(InputError, "OL202", "is a Git LFS pointer, not the weights", place=str(path), hint=hint)
        if len(start) < 8 or not 2 <= length <= min(LARGEST_HEADER, size - 8):
            raise _broken(path, f"has no safetensors header ({size} bytes)")
        header = file.read(length)
    expected = 8 + length + _data_bytes(path, header)
    if size != expected:
        raise _broken(path, f"is truncated or damaged: {size} bytes, its header says {expected}")


def _data_bytes(path: Path, header: bytes) -> int:
    try:
        tensors = json.loads(header)
        return max(
            (int(entry["data_offsets"][1]) for name, entry in tensors.items() if name != "__metadata__"), default=0
        )
    except (ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
        raise _broken(path, f"has a damaged header ({error})") from error


def _broken(path: Path, claim: str) -> OlivelikeError:
    return fail(InputError, "OL202", claim, place=str(path), hint="copy or download it again")

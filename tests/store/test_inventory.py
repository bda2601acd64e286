"""Inventories: one written form each, and names that stay in their folder."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olivelike.digest import digest_bytes, digest_tree
from olivelike.errors import StoreError
from olivelike.store.inventory import File, Inventory, refuse_unusable

PARTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\:"), min_size=1, max_size=8)
NAMES = st.lists(PARTS.filter(lambda part: part not in (".", "..")), min_size=1, max_size=3).map("/".join)
DIGESTS = st.binary(max_size=4).map(digest_bytes)
FILES = st.builds(File, NAMES, DIGESTS, st.integers(0, 1 << 60))


def usable(files: list[File]) -> bool:
    """Whether no name stands for a file and a folder at once."""
    names = {file.name for file in files}
    return not any(str(parent) in names for name in names for parent in PurePosixPath(name).parents)


INVENTORIES = st.lists(FILES, max_size=6, unique_by=lambda file: file.name).filter(usable)


@given(INVENTORIES, st.randoms())
def test_inventory_is_the_same_in_any_order_and_after_a_round_trip(files: list[File], random: object) -> None:
    inventory = Inventory.of(files)
    shuffled = list(files)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert Inventory.of(shuffled) == inventory
    assert Inventory.from_bytes(inventory.to_bytes()) == inventory
    assert inventory.digest == digest_tree((file.name, file.digest) for file in files)


@given(INVENTORIES.filter(bool), st.data())
def test_every_changed_byte_is_noticed(files: list[File], data: st.DataObject) -> None:
    inventory = Inventory.of(files)
    written = bytearray(inventory.to_bytes())
    position = data.draw(st.integers(0, len(written) - 1))
    written[position] ^= data.draw(st.integers(1, 255))
    try:
        changed = Inventory.from_bytes(bytes(written))
    except ValueError:
        return
    sizes = [file.size for file in changed.files] != [file.size for file in inventory.files]
    assert changed.digest != inventory.digest or sizes  # sizes are held against the files themselves


@given(st.text(max_size=12))
def test_accepted_names_stay_in_their_folder_on_every_system(name: str) -> None:
    try:
        refuse_unusable(name)
    except StoreError:
        return
    for path in (PurePosixPath(name), PureWindowsPath(name)):
        assert not path.is_absolute()
        assert path.drive == path.root == ""
        assert ".." not in path.parts
    assert name.encode()


@pytest.mark.parametrize("names", [["a", "a"], ["a", "a/b"], ["a/b/c", "a/b"]])
def test_name_for_two_things_is_refused(names: list[str]) -> None:
    with pytest.raises(StoreError, match="more than one thing"):
        Inventory.of(File(name, "0" * 64, 0) for name in names)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"files":1}', b'{"files":[["a"]]}', b"\xff", b"[" * 100_000])
def test_anything_else_is_no_inventory(data: bytes) -> None:
    with pytest.raises(ValueError, match="not an inventory"):
        Inventory.from_bytes(data)

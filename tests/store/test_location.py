"""Where the store lies, and which folders it refuses to live in."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from olivelike.errors import StoreError
from olivelike.store import open_store
from olivelike.store.location import TAG, TAG_NAME, default_root


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with a `cache` that bears our tag."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / TAG_NAME).write_text(TAG)
    return tmp_path


def test_flag_comes_before_everything(checkout: Path) -> None:
    environ = {"OLIVELIKE_CACHE_DIR": "/variable"}
    assert default_root("/flag", environ, checkout) == Path("/flag")
    assert default_root("mine", environ, checkout) == checkout / "mine"


def test_variable_comes_before_the_checkout(checkout: Path) -> None:
    assert default_root("", {"OLIVELIKE_CACHE_DIR": "/variable"}, checkout) == Path("/variable")


def test_tagged_folder_of_the_checkout_comes_before_the_users(checkout: Path) -> None:
    assert default_root("", {"HOME": "/home/ada"}, checkout) == checkout / "cache"


@pytest.mark.parametrize("tag", ["Signature: 8a477f597d28d172789f06886806bc55\n# of another tool\n", ""])
def test_folder_with_anothers_tag_is_not_ours(checkout: Path, tag: str) -> None:
    (checkout / "cache" / TAG_NAME).write_text(tag)
    assert default_root("", {"HOME": "/home/ada"}, checkout) != checkout / "cache"


@pytest.mark.skipif(sys.platform != "linux", reason="the folder is another on macOS and Windows")
def test_users_cache_folder_follows_the_xdg_rules(tmp_path: Path) -> None:
    assert default_root("", {"HOME": "/home/ada"}, tmp_path) == Path("/home/ada/.cache/olivelike")
    environ = {"HOME": "/home/ada", "XDG_CACHE_HOME": "/fast"}
    assert default_root("", environ, tmp_path) == Path("/fast/olivelike")


def test_new_folder_is_private_and_tagged(tmp_path: Path) -> None:
    store = open_store(tmp_path / "deep" / "store")
    assert (store.root / TAG_NAME).read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")
    if sys.platform != "win32":
        assert stat.S_IMODE(store.root.stat().st_mode) == 0o700


def test_folder_with_other_things_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(StoreError, match=r"OL401 .*thesis\.tex.* no cache of olivelike"):
        open_store(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    for root in (tmp_path / "store", tmp_path / "store" / "below"):
        with pytest.raises(StoreError, match="OL401"):
            open_store(root)


def test_clearing_the_checkouts_store_keeps_what_git_holds(checkout: Path) -> None:
    for name in (".gitignore", "README.md"):
        (checkout / "cache" / name).write_text("kept")
    with open_store(checkout / "cache") as store:
        store.record("step/a", {})
        store.clear()
    assert {path.name for path in (checkout / "cache").iterdir()} == {".gitignore", "README.md", TAG_NAME}

"""The files of a data entry and what they are called in the store."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olivelike.contracts.data import DataReader
from olivelike.digest import Json
from olivelike.sources.csv import Csv
from olivelike.sources.data_files import data_files, stored_config, stored_names
from olivelike.sources.images import Images
from olivelike.sources.npy import Npy
from olivelike.sources.npz import Npz
from olivelike.sources.script import Script
from tests.sources.refusals import refusal


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def files(reader: DataReader, folder: Path, config: dict[str, Json]) -> dict[str, Path]:
    return data_files(reader, reader.config.model_validate(config), folder)


def stored(reader: DataReader, config: dict[str, Json]) -> dict[str, Json]:
    return stored_config(reader, reader.config.model_validate(config))


def test_a_file_is_called_by_its_last_name_wherever_it_lies(tmp_path: Path) -> None:
    touch(tmp_path / "data" / "test.npz")
    for written in ("data/test.npz", "../data/test.npz", str(tmp_path / "data" / "test.npz")):
        folder = tmp_path / "flows" if written.startswith("..") else tmp_path
        folder.mkdir(exist_ok=True)
        (found,) = files(Npz(), folder, {"npz": written}).items()
        assert found[0] == "test.npz"
        assert found[1].samefile(tmp_path / "data" / "test.npz")
        assert stored(Npz(), {"npz": written}) == {"npz": "test.npz"}


def test_a_folder_is_expanded_without_hidden_folders(tmp_path: Path) -> None:
    pictures = tmp_path / "my" / "pictures"
    touch(pictures / "cat" / "1.png", pictures / "2.png", pictures / ".cache" / "3.png")
    found = files(Images(), tmp_path, {"images": "my/pictures"})
    assert found == {"pictures/2.png": pictures / "2.png", "pictures/cat/1.png": pictures / "cat" / "1.png"}


def test_the_workflows_own_folder_has_a_name_too(tmp_path: Path) -> None:
    touch(tmp_path / "1.png")
    assert list(files(Images(), tmp_path, {"images": "."})) == ["data/1.png"]
    assert stored(Images(), {"images": "."})["images"] == "data"


def test_files_that_share_a_name_are_kept_apart(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "x.npy", tmp_path / "b" / "x.npy")
    config: dict[str, Json] = {"npy": {"left": "a/x.npy", "right": "b/x.npy"}}
    assert list(files(Npy(), tmp_path, config)) == ["0/x.npy", "1/x.npy"]
    assert stored(Npy(), config) == {"npy": {"left": "0/x.npy", "right": "1/x.npy"}}


def test_only_the_readers_own_key_is_rewritten() -> None:
    assert stored(Csv(), {"csv": "some/;", "delimiter": ";"}) == {"csv": ";", "delimiter": ";", "stack": {}}
    assert stored(Images(), {"images": "a/RGB"})["mode"] == "RGB"


def test_a_script_brings_what_it_imports_from_its_folder(tmp_path: Path) -> None:
    touch(tmp_path / "code" / "features.py", tmp_path / "code" / "unused.py")
    (tmp_path / "code" / "user.py").write_text("import features\n")
    found = files(Script(), tmp_path, {"script": "code/user.py", "call": "load"})
    assert found == {name: tmp_path / "code" / name for name in ("features.py", "user.py")}
    assert stored(Script(), {"script": "code/user.py", "call": "load", "args": {"path": "code/user.py"}}) == {
        "script": "user.py",
        "call": "load",
        "args": {"path": "code/user.py"},
    }


def test_a_missing_file_gets_the_near_miss_among_its_folders_files(tmp_path: Path) -> None:
    touch(tmp_path / "data" / "calibration.npz")
    problem = refusal(lambda: files(Npz(), tmp_path, {"npz": "data/calibraton.npz"}))
    assert problem.code == "OL205"
    assert problem.hint == "did you mean calibration.npz?"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    problem = refusal(lambda: files(Npz(), tmp_path, {"npz": "dta/calibration.npz"}))
    assert f"{tmp_path / 'dta'} is missing" in problem.hint


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    assert refusal(lambda: files(Images(), tmp_path, {"images": "pictures"})).code == "OL205"


@pytest.mark.parametrize("written", ["a:b.npz", "a?.npz", "c:\\data\\x.npz"])
def test_names_are_good_on_every_system(written: str) -> None:
    assert not set(stored_names([written])[written]) & set('<>:"|?*\\')


@given(st.lists(st.text(min_size=1), unique=True, max_size=5))
def test_names_in_the_store_are_distinct_relative_and_stay_inside(written: list[str]) -> None:
    names = stored_names(written)
    assert list(names) == written
    assert len({name.lower() for name in names.values()}) == len(written)
    for name in names.values():
        assert not PurePosixPath(name).is_absolute()
        assert ".." not in PurePosixPath(name).parts


@given(st.lists(st.text(min_size=1), unique=True, max_size=5))
def test_names_in_the_store_stay_as_they_are(written: list[str]) -> None:
    names = list(stored_names(written).values())
    assert stored_names(names) == dict(zip(names, names, strict=True))

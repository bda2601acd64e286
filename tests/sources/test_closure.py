"""Which files a user's script is made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from olivelike.sources.closure import script_files
from tests.sources.refusals import refusal


def write(folder: Path, files: dict[str, str]) -> Path:
    """Writes files below a folder and returns its `user.py`."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder / "user.py"


def test_a_script_alone_is_one_file(tmp_path: Path) -> None:
    script = write(tmp_path, {"user.py": "import os, numpy\n", "other.py": ""})
    assert script_files(script) == {"user.py": script}


def test_imports_of_imports_are_found_wherever_they_stand(tmp_path: Path) -> None:
    files = {
        "user.py": "def load():\n    if True:\n        from a import thing\n",
        "a.py": "import b as renamed\n",
        "b.py": "import user\n",
        "unused.py": "",
    }
    assert list(script_files(write(tmp_path, files))) == ["a.py", "b.py", "user.py"]


def test_packages_bring_their_init_files_and_the_modules_named(tmp_path: Path) -> None:
    files = {
        "user.py": "import pkg.deep.one\nfrom pkg import two\nfrom pkg.deep import name\n",
        "pkg/__init__.py": "",
        "pkg/deep/__init__.py": "",
        "pkg/deep/one.py": "",
        "pkg/two.py": "from . import three\nfrom .deep.four import x\nfrom .. import out\n",
        "pkg/three.py": "",
        "pkg/deep/four.py": "from ..five import y\n",
        "pkg/five.py": "",
        "pkg/unused.py": "",
    }
    assert set(script_files(write(tmp_path, files))) == set(files) - {"pkg/unused.py"}


def test_a_folder_without_an_init_file_is_a_package_too(tmp_path: Path) -> None:
    files = {"user.py": "from tools.crop import crop\n", "tools/crop.py": ""}
    assert set(script_files(write(tmp_path, files))) == set(files)


def test_nothing_is_run(tmp_path: Path) -> None:
    write(tmp_path, {"user.py": "raise RuntimeError\nimport a\n", "a.py": "raise RuntimeError\n"})
    assert len(script_files(tmp_path / "user.py")) == 2


def test_another_encoding_is_read_as_python_does(tmp_path: Path) -> None:
    (tmp_path / "user.py").write_bytes(b"# -*- coding: latin-1 -*-\nname = '\xe9'\n")
    assert list(script_files(tmp_path / "user.py")) == ["user.py"]


def test_a_missing_script_gets_the_near_miss(tmp_path: Path) -> None:
    write(tmp_path, {"user.py": ""})
    problem = refusal(lambda: script_files(tmp_path / "usr.py"))
    assert (problem.code, problem.hint) == ("OL209", "did you mean user.py?")


def test_invalid_python_in_a_sibling_is_refused_with_its_line(tmp_path: Path) -> None:
    write(tmp_path, {"user.py": "import a\n", "a.py": "x = 1\ny = (\n"})
    problem = refusal(lambda: script_files(tmp_path / "user.py"))
    assert problem.code == "OL209"
    assert problem.place == f"{tmp_path / 'a.py'}:2"


@pytest.mark.parametrize("content", [b"x = '\xe9'\n", b"x = 1\x00\n"])
def test_bytes_that_are_no_python_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "user.py").write_bytes(content)
    assert refusal(lambda: script_files(tmp_path / "user.py")).code == "OL209"

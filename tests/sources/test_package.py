"""The model source `package`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from olivelike.contracts.ports import Fetched
from olivelike.digest import Json
from olivelike.sources.package import Package
from olivelike.testing.models import mlp, save
from olivelike.testing.source_contract import SourceContract
from tests.sources.refusals import refusal


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages: `tinymodels` 1.4 with a model inside, which must not be imported."""
    site = tmp_path / "site"
    save(mlp(), site / "tinymodels" / "models").rename(site / "tinymodels" / "models" / "x.onnx")
    (site / "tinymodels" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (site / "single.py").write_text("")
    info = site / "tiny_models-1.4.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-models\nVersion: 1.4\n")
    (info / "top_level.txt").write_text("tinymodels\n")
    monkeypatch.syspath_prepend(str(site))
    return site


class TestPackage(SourceContract):
    def source(self) -> Package:
        return Package()

    def example(self, folder: Path) -> Json:
        return "tinymodels/models/x.onnx"


def fetch(value: Json, file: str = "", revision: str = "") -> Fetched:
    return Package().fetch(value, file=file, revision=revision, folder=Path(), offline=False)


def test_a_model_is_found_without_importing_its_package(site: Path) -> None:
    fetched = fetch("tinymodels/models/x.onnx")
    assert fetched.files == {"x.onnx": site / "tinymodels" / "models" / "x.onnx"}
    assert "tinymodels" not in sys.modules


def test_file_names_the_model_below_the_package() -> None:
    assert fetch("tinymodels", file="models/x.onnx").parts == {"model": "models/x.onnx"}


def test_the_lock_holds_the_distributions_version() -> None:
    pinned = {"package": "tinymodels/models/x.onnx", "distribution": "tiny-models", "version": "1.4"}
    assert fetch("tinymodels/models/x.onnx").revision == pinned
    assert fetch("tinymodels/models/x.onnx", revision="1.4").revision == pinned


def test_another_version_than_the_one_asked_for_is_refused() -> None:
    problem = refusal(lambda: fetch("tinymodels/models/x.onnx", revision="2.0"))
    assert problem.code == "OL211"
    assert "installed is tiny-models 1.4" in problem.claim
    assert problem.hint == "`pip install tiny-models==2.0`"


def test_a_package_that_is_not_installed_says_how_to_get_it() -> None:
    problem = refusal(lambda: fetch("no_such_package/x.onnx"))
    assert problem.code == "OL211"
    assert "pip install" in problem.hint


@pytest.mark.parametrize("value", ["single/x.onnx", "json.decoder/x.onnx", "not-a-name/x.onnx"])
def test_what_is_no_package_with_a_folder_is_refused(value: str) -> None:
    assert refusal(lambda: fetch(value)).code == "OL211"


def test_climbing_out_of_the_package_is_refused() -> None:
    assert refusal(lambda: fetch("tinymodels/../single.py")).code == "OL201"
    assert refusal(lambda: fetch("tinymodels", file="../single.py")).code == "OL201"


def test_a_wrong_name_in_the_package_gets_the_near_miss() -> None:
    assert refusal(lambda: fetch("tinymodels/models/y.onnx")).hint == "did you mean x.onnx?"

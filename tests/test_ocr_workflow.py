"""The second workflow, a text recogniser from a package, as a user runs it; only where the package is installed."""

from __future__ import annotations

import shutil
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import olivelike
from olivelike.api import load

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "rapidocr_onnxruntime"
installed = pytest.mark.skipif(
    find_spec(PACKAGE) is None, reason=f"needs `pip install --no-deps rapidocr-onnxruntime==1.4.4` ({PACKAGE})"
)


@pytest.fixture(scope="module")
def user() -> ModuleType:
    """The workflow's own Python."""
    pytest.importorskip("PIL")
    spec = spec_from_file_location("ocr_user", ROOT / "workflows" / "ocr" / "user.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_lines_follow_from_the_seed_and_fill_what_the_model_takes(user: ModuleType) -> None:
    first, again, other = ([*user.lines(seed, 3)] for seed in (1, 1, 2))
    assert [text for _, text in first] == [text for _, text in again] != [text for _, text in other]
    for (sample, text), (same, _) in zip(first, again, strict=True):
        assert text == text.strip() and text.isascii()
        assert sample["x"].shape == (3, 48, 320) and sample["x"].dtype == np.float32
        assert -1 <= sample["x"].min() < 0 < sample["x"].max() <= 1
        np.testing.assert_array_equal(sample["x"], same["x"])


def test_edits_are_counted_as_levenshtein_did(user: ModuleType) -> None:
    known = {("kitten", "sitting"): 3, ("", "abc"): 3, ("abc", ""): 3, ("same", "same"): 0, ("ab", "ba"): 2}
    assert {pair: user._edits(*pair) for pair in known} == known


def test_reading_is_greedy_ctc(user: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user, "_charset", lambda: ("", "a", "！", " "))
    steps = np.eye(4)[[3, 1, 1, 0, 1, 2, 2, 0, 3]]
    assert user._read(steps) == "aa!", "a repeat is once, a blank parts two, spaces at the ends are paper"


@installed
def test_the_workflow_resolves() -> None:
    opened = load(ROOT / "workflows" / "ocr.yaml")
    assert opened.plan.name == "ocr-cpu"


@installed
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_workflow_ends_in_a_static_int8_model_that_still_reads(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "workflows" / "ocr", tmp_path / "ocr")
    workflow = shutil.copy(ROOT / "workflows" / "ocr.yaml", tmp_path / "ocr.yaml")
    report = olivelike.run(workflow, cache_dir=tmp_path / "cache")
    assert report.status == "feasible"
    best = report.best
    assert any("static_quant" in step for step in best.recipe)
    assert best.metrics["characters.accuracy"].value > 0.98, "float32 reads about .998; half a point may be lost"
    assert best.metrics["size.bytes"].value < 4e6, "of 10.9 MB"

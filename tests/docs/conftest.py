"""A copy of the quickstart that is quick to measure, and a cache in which it has been run."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import olivelike
from tests.docs.pages import ROOT
from tests.docs.running import WORKFLOW, Reader

QUICKER = {
    "labels: labels, use": "labels: labels, samples: 1000, use",
    "type: latency, data: test, batch: 1": "type: latency, data: test, batch: 1, runs: 100, seconds: 0",
    "output: {path: out/fashion}": "output: {path: out/fashion}\nrun: {executor: inline}",
}
"""Fewer samples and runs, no worker processes: the page's commands stay as they are, only the answer is less certain."""


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `workflows/` and, in `cache/`, everything that a run of the quickstart computes."""
    folder = tmp_path_factory.mktemp("desk")
    shutil.copytree(ROOT / "workflows", folder / "workflows", ignore=shutil.ignore_patterns("out"))
    text = (folder / WORKFLOW).read_text("utf-8")
    for old, new in QUICKER.items():
        assert old in text, f"the quickstart no longer holds {old!r}"
        text = text.replace(old, new)
    (folder / WORKFLOW).write_text(text, encoding="utf-8")
    olivelike.run(folder / WORKFLOW, cache_dir=folder / "cache")
    return folder


@pytest.fixture
def reader(
    desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[[], Reader]]:
    """Someone who reads a page, at a desk of their own."""
    logger = logging.getLogger("olivelike")
    before = logger.handlers[:], logger.level, logger.propagate

    def sit_down() -> Reader:
        folder = tmp_path / "desk"
        shutil.copytree(desk, folder)
        monkeypatch.chdir(folder)
        monkeypatch.setenv("OLIVELIKE_CACHE_DIR", str(folder / "cache"))
        monkeypatch.setenv("PYTHONPATH", str(folder))
        return Reader(folder, monkeypatch, capfd)

    yield sit_down
    logger.handlers[:], logger.level, logger.propagate = before

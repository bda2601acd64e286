from __future__ import annotations

import os
from pathlib import Path

import pytest

from olivelike.evaluate.resources.resident import forget_own_peak, memory_of

STATUS = "Name:\tpython\nVmHWM:\t    300 kB\nVmRSS:\t    200 kB\nRssAnon:\t     50 kB\nThreads:\t1\n"


def test_linux_tells_resident_peak_and_anonymous_in_kilobytes(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "status").write_text(STATUS)
    assert memory_of(7, tmp_path) == {"peak": 300 * 1024, "resident": 200 * 1024, "anonymous": 50 * 1024}


def test_a_process_without_memory_lines_has_none_left(tmp_path: Path) -> None:
    """A zombie's status names no memory."""
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "status").write_text("Name:\tpython\nState:\tZ (zombie)\n")
    assert memory_of(7, tmp_path) == {}


def test_a_process_that_is_gone_cannot_be_looked_at(tmp_path: Path) -> None:
    with pytest.raises(ProcessLookupError):
        memory_of(7, tmp_path)


def test_without_a_process_folder_the_own_peak_is_known_all_the_same(tmp_path: Path) -> None:
    told = memory_of(os.getpid(), tmp_path / "nowhere")
    assert set(told) == {"resident", "peak"}
    assert told["peak"] >= told["resident"] * 0.9, "both are read at their own moment, in pages"
    forget_own_peak(tmp_path / "nowhere")

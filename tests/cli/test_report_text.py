"""A report as text: as wide as asked, nothing cut, no blanks at the ends, and it says where a failure's log is."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from olivelike.cli.report_text import report_lines
from olivelike.contracts.outcome import Failed, Measured, Measurement
from olivelike.contracts.recipe import Recipe
from olivelike.contracts.report import Baseline, Chosen, Cost, Report, Status, Trial
from tests.cli.conftest import Command


def built(*trials: Trial, chosen: tuple[Chosen, ...] = ()) -> Report:
    return Report("1", "w", Status.BUILT, Baseline("input"), chosen, trials, Cost(), "as it is")


def lines(report: Report, width: int) -> list[str]:
    return list(report_lines(report, Console(file=io.StringIO(), width=width)))


def test_values_are_packed_into_lines_that_fit_and_never_split() -> None:
    metrics = {f"m{i}.value": Measurement(0.5, "1", "higher", 0.4, 0.6, 100) for i in range(4)}
    shown = lines(built(Trial(0, Recipe(), Measured("a", metrics), verdict="fine")), 80)
    assert shown[:4] == [
        "  0 no step",
        "    m0.value 0.5000 [0.4000, 0.6000], n 100;",
        "    m1.value 0.5000 [0.4000, 0.6000], n 100;",
        "    m2.value 0.5000 [0.4000, 0.6000], n 100;",
    ]
    wide = lines(built(Trial(0, Recipe(), Measured("a", metrics), verdict="fine")), 200)
    assert wide[0].split() == ["recipe", *metrics, "verdict"]
    assert all(line == line.rstrip() for line in wide)


def test_a_failed_trial_says_where_its_log_is() -> None:
    shown = lines(built(Trial(3, Recipe(), Failed("OL302 it raised", "q", "Traceback"))), 80)
    assert any("trials[3].log" in line and "--debug" in line for line in shown)


def test_of_several_models_the_first_choice_is_named() -> None:
    chosen = tuple(Chosen(number, Recipe(), {}, "onnx", "a", "") for number in (4, 2))
    shown = lines(built(chosen=chosen), 80)
    assert [line.partition(":")[0] for line in shown if "trial" in line] == ["first choice", "also kept"]


def test_a_pipe_is_as_wide_as_columns_says(command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    narrow = command("run", "workflow.yaml").out.splitlines()
    assert narrow[0] == "    baseline (input)"
    monkeypatch.setenv("COLUMNS", "180")
    wide = command("run", "workflow.yaml").out.splitlines()
    assert wide[0].split() == ["recipe", "size.bytes", "accuracy.top1", "verdict"]
    assert all(line == line.rstrip() for line in narrow + wide)
    del folder


def test_lines_of_progress_tell_candidates_apart(command: Command, folder: Path) -> None:
    said = command("run", "workflow.yaml").err
    assert "trial 0: dynamic_quant(per_channel=true): " in said
    assert "trial 2: no step: " in said
    assert "e+0" not in said
    del folder

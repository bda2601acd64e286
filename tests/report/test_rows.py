"""Rows: which values have a column, and that a notebook shows what a terminal shows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from olivelike.contracts.outcome import Failed, Interval, Measured, Measurement, Paired
from olivelike.contracts.recipe import Recipe, RecipeStep
from olivelike.contracts.report import Baseline, Chosen, Cost, Report, Status, Trial
from olivelike.report.headline import headline
from olivelike.report.html import report_html
from olivelike.report.rows import rows_of, shown_names


def timed(ratio: float) -> Measurement:
    return Measurement(0.188, "ms", "lower", 0.18, 0.2, 20, Paired("ratio", Interval(ratio, ratio, ratio)))


def recipe(per_channel: bool) -> Recipe:
    return Recipe((RecipeStep("q", "static_quant", {"per_channel": per_channel, "bits": 8}),))


@pytest.fixture
def report() -> Report:
    """A report of two trials, the first of which is chosen, without a measured baseline."""
    metrics = {"latency.p50": timed(0.5), "latency.p95": timed(0.6), "latency.min": timed(0.7)}
    trials = (
        Trial(0, recipe(True), Measured("a", metrics), verdict="chosen: <b>"),
        Trial(1, recipe(False), Failed("no")),
    )
    chosen = Chosen(0, recipe(True), metrics, "onnx", "a", "it is")
    return Report("1", "w", Status.FEASIBLE, Baseline("input"), (chosen,), trials, Cost(), "it is")


def test_the_main_value_is_the_metrics_first_one_whatever_the_baseline_has(report: Report) -> None:
    assert shown_names(report) == ("latency.p50",)


def test_what_a_goal_names_has_a_column(report: Report) -> None:
    assert shown_names(replace(report, goals=("latency.p95",))) == ("latency.p50", "latency.p95")


def test_a_notebook_shows_the_values_and_parameters_of_the_table_and_escapes(report: Report) -> None:
    html = report_html(report)
    assert "q(per_channel=true)" in html
    assert "2.00 x faster [2.00, 2.00]<br/>0.188 ms, n 20" in html
    assert "latency.p95" not in html
    assert "chosen: &lt;b&gt;" in html


def test_the_headline_names_the_parameters_that_tell_the_choice_from_others(report: Report) -> None:
    assert headline(report) == "w: feasible, trial 0 (q(per_channel=true))"
    failed = replace(report, status=Status.INFEASIBLE, why="too large")
    assert headline(failed) == "w: infeasible. too large"


def test_comparisons_come_with_a_note_on_what_they_rest(report: Report) -> None:
    assert "in turns with the baseline" in rows_of(report).note
    assert rows_of(replace(report, trials=report.trials[1:])).note == ""

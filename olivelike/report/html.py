"""A report as HTML: what a notebook shows. Self-contained, nothing is fetched, everything from outside is escaped."""

from __future__ import annotations

from html import escape

from olivelike.contracts.outcome import Failed, Measured, Refused
from olivelike.contracts.report import Report, Trial
from olivelike.report.figures import headline, measured_text

STYLE = "border-collapse:collapse;font-variant-numeric:tabular-nums"
CELL = "padding:2px 10px;text-align:left;border-bottom:1px solid #ccc"


def report_html(report: Report) -> str:
    """Returns the report as an HTML fragment: the headline, then a table of the baseline and every trial."""
    columns = list(report.baseline.metrics)
    head = "".join(_cell(name, "th") for name in ["trial", "recipe", *columns, "verdict"])
    baseline = [_cell("baseline"), _cell(report.baseline.name)]
    baseline += [_cell(measured_text(report.baseline.metrics[name])) for name in columns]
    rows = ["<tr>" + "".join([*baseline, _cell("")]) + "</tr>"]
    chosen = {choice.trial for choice in report.chosen}
    rows += [_row(trial, columns, trial.number in chosen) for trial in report.trials]
    table = f"<table style='{STYLE}'><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f"<div><p><b>{escape(headline(report))}</b></p>{table}</div>"


def _row(trial: Trial, columns: list[str], chosen: bool) -> str:
    cells = [_cell(str(trial.number)), _cell(str(trial.recipe))]
    match trial.outcome:
        case Measured(metrics=metrics):
            cells += [_cell(measured_text(metrics[name]) if name in metrics else "-") for name in columns]
        case Refused() | Failed():
            cells += [_cell("-") for _ in columns]
    cells.append(_cell(trial.verdict))
    style = " style='font-weight:bold'" if chosen else ""
    return f"<tr{style}>{''.join(cells)}</tr>"


def _cell(text: str, tag: str = "td") -> str:
    return f"<{tag} style='{CELL}'>{escape(text)}</{tag}>"

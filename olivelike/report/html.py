"""A report as HTML: what a notebook shows. Self-contained, nothing is fetched, everything from outside is escaped."""

from __future__ import annotations

from html import escape

from olivelike.contracts.report import Report
from olivelike.report.headline import headline
from olivelike.report.noted import noted_lines
from olivelike.report.rows import Row, rows_of

STYLE = "border-collapse:collapse;font-variant-numeric:tabular-nums"
CELL = "padding:2px 10px;text-align:left;border-bottom:1px solid #ccc"


def report_html(report: Report) -> str:
    """Returns the report as an HTML fragment: the headline, then a table of the baseline and every trial."""
    found = rows_of(report)
    head = "".join(_cell([name], "th") for name in ["trial", "recipe", *found.names, "verdict"])
    body = "".join(map(_row, found.rows))
    table = f"<table style='{STYLE}'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    note = f"<p>{escape(found.note)}</p>" if found.note else ""
    certified = "".join(f"<p>{escape(line)}</p>" for each in report.certificates for line in each.sentences())
    noted = "".join(f"<p>{escape(line)}</p>" for choice in report.chosen for line in noted_lines(choice.notes))
    return f"<div><p><b>{escape(headline(report))}</b></p>{table}{certified}{noted}{note}</div>"


def _row(row: Row) -> str:
    cells = [
        _cell([row.number]),
        _cell([row.what]),
        *(_cell(cell or ["-"]) for cell in row.cells),
        _cell([row.verdict]),
    ]
    style = " style='font-weight:bold'" if row.chosen else ""
    return f"<tr{style}>{''.join(cells)}</tr>"


def _cell(lines: list[str] | tuple[str, ...], tag: str = "td") -> str:
    return f"<{tag} style='{CELL}'>{'<br/>'.join(map(escape, lines))}</{tag}>"

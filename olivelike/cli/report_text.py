"""A report as text: every model with its verdict, then the choice and why. A table where there is room, else a list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from olivelike.cli.drawing import drawn, escaped
from olivelike.cli.profile_table import profile_lines
from olivelike.contracts.figures import figures
from olivelike.contracts.outcome import Failed
from olivelike.contracts.report import Report
from olivelike.report.noted import noted_lines
from olivelike.report.rows import Row, Rows, choice_text, rows_of

if TYPE_CHECKING:
    from rich.console import Console

TABLE_WIDTH = 140
"""The narrowest terminal in which a table of trials is readable."""
INDENT = "    "


def report_lines(report: Report, console: Console) -> Iterator[str]:
    """Yields a report as text."""
    found = rows_of(report)
    if found.rows:
        yield from _as_table(found, console) if console.width >= TABLE_WIDTH else _as_list(found, console.width)
    if found.note:
        yield from ("", *_packed(found.note.split(" "), " ", console.width))
    yield ""
    yield f"{report.status.value}: {report.why}"
    yield from _choices(report, found)
    for certificate in report.certificates:
        yield from certificate.sentences()
    if report.profile:
        yield ""
        yield from profile_lines(report.profile, console)
        yield ""
    for note in report.notes:
        yield f"note: {note}"
    for trial in report.trials:
        if isinstance(trial.outcome, Failed) and trial.outcome.log:
            where = f"trials[{trial.number}].log of the report"
            yield f"note: trial {trial.number} failed in {trial.outcome.step}: its log is {where}, and run with --debug shows it"
    yield _cost(report)


def _choices(report: Report, found: Rows) -> Iterator[str]:
    several = len(report.chosen) > 1
    for rank, choice in enumerate(report.chosen):
        first = "closest" if report.status.exit_code else "first choice" if several else "chosen"
        label = "also kept" if rank else first
        values = [
            f"{name} {', '.join(figures(choice.metrics[name]))}" for name in found.names if name in choice.metrics
        ]
        yield ": ".join([label, choice_text(report, choice), *(["; ".join(values)] if values else [])])
        if choice.path:
            yield f"written to {choice.path}"
        yield from noted_lines(choice.notes)


def _cost(report: Report) -> str:
    cost = report.cost
    cached = f"{cost.steps_cached} steps and {cost.measurements_cached} measurements from the cache"
    return f"{cost.seconds:.1f} s: {cost.steps_run} steps and {cost.measurements_run} measurements run, {cached}"


def _as_table(found: Rows, console: Console) -> Iterator[str]:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("", "recipe", *found.names, "verdict"):
        table.add_column(column, overflow="fold")
    for row in found.rows:
        cells = ["\n".join(cell) or "-" for cell in row.cells]
        table.add_row(*map(escaped, [row.number, row.what, *cells, row.verdict]))
    yield from drawn(table, console)


def _as_list(found: Rows, width: int) -> Iterator[str]:
    """Yields a few lines for each row: what it is, what was found of it, and its verdict."""
    for row in found.rows:
        yield f"{row.number:>3} {row.what}"
        for line in _packed(_values(row, found.names), "; ", width - len(INDENT)):
            yield INDENT + line
        if row.verdict:
            yield INDENT + row.verdict


def _values(row: Row, names: Sequence[str]) -> list[str]:
    return [f"{name} {', '.join(cell)}" for name, cell in zip(names, row.cells, strict=True) if cell]


def _packed(parts: Sequence[str], between: str, width: int) -> Iterator[str]:
    """Yields lines of as many parts as fit; a part is never split."""
    line = ""
    for part in parts:
        longer = f"{line}{between}{part}" if line else part
        if line and len(longer) > width:
            yield line + between.rstrip()
            longer = part
        line = longer
    if line:
        yield line

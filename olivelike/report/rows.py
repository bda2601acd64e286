"""A report as rows: the baseline and every trial with the values that matter, the same in a terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import assert_never

from olivelike.contracts.figures import figures
from olivelike.contracts.outcome import Failed, Measured, Measurement, Paired, Refused
from olivelike.contracts.recipe import Varying, varying
from olivelike.contracts.report import Chosen, Report, Trial

SIDE_BY_SIDE = (
    "Comparisons (x faster, +, -) were measured in turns with the baseline; [ ] is the 95 % interval, n the number of samples. "
    "Plain values of different rows were measured at different times."
)


@dataclass(frozen=True, slots=True)
class Row:
    """One model.

    Attributes:
        number: the trial's; empty for the baseline.
        what: its recipe, or which baseline it is.
        cells: for each shown value what there is to tell of it; empty where it was not measured.
        verdict: chosen, or why not.
        chosen: whether it is handed out.
    """

    number: str
    what: str
    cells: tuple[tuple[str, ...], ...]
    verdict: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Rows:
    """A report's rows and the names of the values they show, `name.value` each."""

    names: tuple[str, ...]
    rows: tuple[Row, ...]
    note: str


def rows_of(report: Report) -> Rows:
    """Returns the rows of a report."""
    names = shown_names(report)
    paired = any(isinstance(m.versus, Paired) for t in report.trials for m in measured(t).values())
    return Rows(names, tuple(_rows(report, names)), SIDE_BY_SIDE if paired else "")


def shown_names(report: Report) -> tuple[str, ...]:
    """Returns the main value of each metric, its first one, and every value that a constraint or an objective names."""
    found: dict[str, None] = {}
    for metrics in (report.baseline.metrics, *map(measured, report.trials)):
        found |= dict.fromkeys(metrics)
    main = {name.partition(".")[0]: name for name in reversed(found)}
    return tuple(name for name in found if main[name.partition(".")[0]] == name or name in report.goals)


def told_of(report: Report) -> Varying:
    """Returns the parameters that tell the recipes of a report apart."""
    return varying(trial.recipe for trial in report.trials)


def choice_text(report: Report, choice: Chosen) -> str:
    """Returns what is handed out: `trial 8 (simplify > static_quant(format=qdq))`."""
    return "the baseline" if choice.trial < 0 else f"trial {choice.trial} ({choice.recipe.text(told_of(report))})"


def measured(trial: Trial) -> Mapping[str, Measurement]:
    """Returns what was measured of a trial."""
    match trial.outcome:
        case Measured(metrics=metrics):
            return metrics
        case Refused() | Failed():
            return {}
        case _ as never:
            assert_never(never)


def _rows(report: Report, names: tuple[str, ...]) -> Iterator[Row]:
    handed_out = {choice.trial for choice in report.chosen} if not report.status.exit_code else set()
    if report.baseline.metrics:
        cells = _cells(report.baseline.metrics, names)
        yield Row("", f"baseline ({report.baseline.name})", cells, "", -1 in handed_out)
    told = told_of(report)
    for trial in report.trials:
        cells = _cells(measured(trial), names)
        yield Row(str(trial.number), trial.recipe.text(told), cells, trial.verdict, trial.number in handed_out)


def _cells(metrics: Mapping[str, Measurement], names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    return tuple(figures(metrics[name]) if name in metrics else () for name in names)

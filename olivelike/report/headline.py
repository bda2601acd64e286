"""A report in one sentence."""

from __future__ import annotations

from olivelike.contracts.report import Report
from olivelike.report.rows import choice_text


def headline(report: Report) -> str:
    """Returns how a run ended: with what, or why with nothing."""
    if report.chosen and report.status.exit_code == 0:
        return f"{report.workflow}: {report.status.value}, {choice_text(report, report.chosen[0])}"
    return f"{report.workflow}: {report.status.value}. {report.why}"

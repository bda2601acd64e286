"""Everything that is printed: answers on standard output, progress and problems on standard error."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from olivelike.contracts.outcome import Measurement
    from olivelike.contracts.report import Report
    from olivelike.engine.applied import Applied
    from olivelike.engine.bench import Bench
    from olivelike.engine.blame.find import Blame
    from olivelike.engine.certify_bundle import Certified
    from olivelike.engine.difference.diff import Difference
    from olivelike.engine.events import Listener
    from olivelike.engine.inspect.inspect import Inspection
    from olivelike.engine.preview import Preview
    from olivelike.engine.rebuild import Rebuilt
    from olivelike.engine.view.server import Viewer
    from olivelike.errors import Problem
    from olivelike.plan.catalog import Description
    from olivelike.plan.model import Plan
    from olivelike.store.port import Entry, Swept, Verdict
    from olivelike.testing.selftest.rates import Rate

NARROW, WIDE = 100, 200
"""Columns of a pipe whose width nobody names: reports become a list, tables of short cells are drawn without a fold."""


def say(text: str) -> None:
    """Prints a line of the answer."""
    print(text)


def document(value: Mapping[str, object]) -> None:
    """Prints the answer as one JSON document."""
    print(json.dumps(value, indent=1, ensure_ascii=False))


def complain(problems: Sequence[Problem], *, as_events: bool = False, trace: str = "") -> None:
    """Prints problems to standard error, one a line, as text or as JSON events; a traceback before text, inside an event."""
    if trace and not as_events:
        print(trace, end="", file=sys.stderr)
    for problem in problems:
        event = {"event": "error", **problem.to_json(), **({"traceback": trace} if trace else {})}
        print(json.dumps(event, ensure_ascii=False) if as_events else problem, file=sys.stderr)


def start_logging(level: str, style: str) -> None:
    """Sends logs to standard error, as text or as one JSON object a line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if style == "json" else logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("olivelike")
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "event": "log",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        return json.dumps(entry, ensure_ascii=False)


@contextmanager
def progress(style: str, *, trials: bool = True) -> Iterator[Listener]:
    """Gives a listener that shows a run's progress on standard error: a live line, plain lines, or JSON events.

    Args:
        style: `json` or `text`.
        trials: whether text tells what came of each trial; not where the answer says nothing else.
    """
    from olivelike.cli.progress import JsonEvents, LiveLine, PlainLines, without_trials

    shown = JsonEvents() if style == "json" else LiveLine() if sys.stderr.isatty() else PlainLines()
    try:
        yield shown if trials or style == "json" else without_trials(shown)
    finally:
        shown.close()


def answer(report: Report, *, as_json: bool, with_logs: bool = False) -> None:
    """Prints a report: a table of everything that was tried, then the choice and why.

    Args:
        report: what to print.
        as_json: the answer document instead of text.
        with_logs: the logs of failed trials on standard error before it.
    """
    if with_logs:
        _tell_logs(report)
    if as_json:
        document(report.to_json())
        return
    from olivelike.cli.report_text import report_lines

    for line in report_lines(report, _console(NARROW)):
        say(line)


def applied(found: Applied, *, as_json: bool, as_events: bool = False, with_logs: bool = False) -> None:
    """Prints what applying a pass came to; why there is no model goes to standard error, each reason once.

    Args:
        found: what to print.
        as_json: the answer document instead of text.
        as_events: problems as JSON events.
        with_logs: the log of a step that failed on standard error before it.
    """
    from olivelike.cli.apply_text import applied_lines

    if with_logs:
        _tell_logs(found.report)
    complain(found.problems, as_events=as_events)
    if as_json:
        document(found.to_json())
        return
    for line in applied_lines(found):
        say(line)


def _tell_logs(report: Report) -> None:
    from olivelike.contracts.outcome import Failed

    for trial in report.trials:
        if isinstance(trial.outcome, Failed) and trial.outcome.log:
            print(f"log of trial {trial.number}, {trial.outcome.step}:", file=sys.stderr)
            print(trial.outcome.log.rstrip("\n"), file=sys.stderr)


def profiled(found: Mapping[str, Measurement], *, as_json: bool) -> None:
    """Prints where the time goes in one or several models."""
    from olivelike.cli.profile_table import profile_lines

    if as_json:
        from olivelike.contracts.figures import metrics_json

        document({"models": metrics_json(found)})
        return
    for line in profile_lines(found, _console()):
        say(line)


def rebuilt(result: Rebuilt, *, as_json: bool) -> None:
    """Prints what a rebuild came to and what differs from the lock."""
    if as_json:
        document({**result.report.to_json(), "differences": list(result.differences)})
        return
    say(result.report.why)
    for line in result.differences or ("nothing differs from the lock",):
        say(f"- {line}")
    for choice in result.report.chosen:
        if choice.path:
            say(f"written to {choice.path}")


def benched(result: Bench, *, as_json: bool) -> None:
    """Prints how models compare."""
    if as_json:
        document(result.to_json())
        return
    from olivelike.cli.tables import bench_lines

    for line in bench_lines(result):
        say(line)


def certified(found: Certified, *, as_json: bool) -> None:
    """Prints what holds of a bundle on new data."""
    if as_json:
        document(found.to_json())
        return
    from olivelike.cli.tables import certified_lines

    for line in certified_lines(found):
        say(line)


def rates(found: Iterator[Rate], *, as_json: bool) -> list[Rate]:
    """Prints the rates of a self-test, each as soon as it is known, and returns them."""
    seen: list[Rate] = []
    for rate in found:
        seen.append(rate)
        if not as_json:
            held = "ok" if rate.holds else "OUT OF BOUNDS"
            say(f"{rate.count:>4} of {rate.of:<4} {rate.name} ({rate.bound}): {held}")
    if as_json:
        document({"format": 1, "holds": all(rate.holds for rate in seen), "rates": [rate.to_json() for rate in seen]})
    return seen


def validated(plan: Plan, *, as_json: bool) -> None:
    """Prints that a workflow holds together, and how it was read."""
    from olivelike.cli.drawing import counted

    count = plan.space.count()
    if as_json:
        document({"valid": True, "workflow": plan.name, "recipes": count, "notes": list(plan.notes)})
        return
    many = "a continuous range of recipes" if count < 0 else counted(count, "recipe")
    goals = f"{counted(len(plan.metrics), 'metric')}, {counted(len(plan.constraints), 'constraint')}"
    say(f"{plan.name} is valid: {many}, {goals}")
    for note in plan.notes:
        say(f"note: {note}")


def planned(plan: Plan, found: Preview, *, as_json: bool) -> None:
    """Prints the recipes that a run would try and what of them is cached."""
    from olivelike.cli.tables import plan_lines, preview_json

    if as_json:
        document(preview_json(found))
        return
    for line in plan_lines(plan, found, _console()):
        say(line)


def explained(found: Preview, *, as_json: bool) -> None:
    """Prints every step and measurement with what the cache knows of it."""
    from olivelike.cli.tables import preview_json

    if as_json:
        document(preview_json(found))
        return
    for look in found.recipes:
        say(f"{look.label}: {look.recipe.text(found.told)}" if look.label.isdigit() else look.label)
        for line in (*look.steps, *look.measurements):
            say(f"  {line}")


def listed(summaries: Mapping[str, str], *, as_json: bool) -> None:
    """Prints names, each with a line of what it is."""
    if as_json:
        document(dict(summaries))
        return
    width = max(map(len, summaries), default=0)
    for name, text in summaries.items():
        say(f"{name:<{width}}  {text}")


def described(what: Description, *, as_json: bool) -> None:
    """Prints a pass or metric in full."""
    from olivelike.cli.tables import description_json, description_lines

    if as_json:
        document(description_json(what))
        return
    for line in description_lines(what):
        say(line)


def entries(found: Sequence[Entry], *, as_json: bool) -> None:
    """Prints the artifacts of a store."""
    from olivelike.cli.tables import entries_json, entry_lines

    if as_json:
        document({"artifacts": entries_json(found)})
        return
    for line in entry_lines(found, _console()):
        say(line)


def verified(verdict: Verdict, *, as_json: bool) -> None:
    """Prints what a full check of a store found."""
    if as_json:
        document({"checked": verdict.checked, "bad": [str(problem) for problem in verdict.bad]})
        return
    for problem in verdict.bad:
        say(str(problem))
    say(f"{verdict.checked} checked, {len(verdict.bad)} bad" if verdict.bad else f"{verdict.checked} checked, all good")


def swept(found: Swept, limit: int, min_age: float, *, as_json: bool) -> None:
    """Prints what a garbage collection did, and why more is left than was asked for."""
    if as_json:
        document({"freed": found.freed, "kept": found.kept, "artifacts": found.artifacts, "leftovers": found.leftovers})
        return
    from olivelike.contracts.figures import value_text

    freed, kept = value_text(found.freed, "bytes"), value_text(found.kept, "bytes")
    say(f"freed {freed} ({found.artifacts} artifacts, {found.leftovers} leftovers), kept {kept}")
    if found.kept > limit:
        recent = f"what was used within the last {min_age:,.0f} s (--min-age), and " if min_age else ""
        say(f"more than {value_text(limit, 'bytes')} is left: {recent}what a running search uses stays")


def cleared(artifacts: int, size: int, *, as_json: bool) -> None:
    """Prints what emptying a store removed."""
    from olivelike.cli.drawing import counted
    from olivelike.contracts.figures import value_text

    if as_json:
        document({"artifacts": artifacts, "freed": size})
        return
    say(f"removed {counted(artifacts, 'artifact')}, {value_text(size, 'bytes')}; the cache is empty")


def blamed(found: Blame, written: Path | None, *, as_json: bool) -> None:
    """Prints which nodes cause a quantized model's drop, and what repairs it."""
    from olivelike.cli.blame_tables import blame_json, blame_lines

    if as_json:
        document(blame_json(found, written))
        return
    for line in blame_lines(found, written):
        say(line)


def inspected(found: Inspection, *, as_json: bool) -> None:
    """Prints what is in a model."""
    if as_json:
        document(found.to_json())
        return
    from olivelike.cli.inspect_text import inspection_lines

    for line in inspection_lines(found, _console()):
        say(line)


def differing(found: Difference, *, as_json: bool) -> None:
    """Prints what differs between two models."""
    if as_json:
        document(found.to_json())
        return
    from olivelike.cli.difference_text import difference_lines

    for line in difference_lines(found, _console()):
        say(line)


def shown(viewer: Viewer) -> None:
    """Prints at once where models are shown: the command then goes on until it is ended."""
    say(f"{' and '.join(viewer.titles)}: {viewer.url} (Ctrl-C ends it)")
    sys.stdout.flush()


def _console(otherwise: int = WIDE) -> Console:
    """Returns a console as wide as COLUMNS says or the terminal is, and `otherwise` where the output is a file or a pipe."""
    from rich.console import Console

    known = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()
    return Console(file=sys.stdout, width=None if known else otherwise, highlight=False)

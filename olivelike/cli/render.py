"""Everything that is printed: answers on standard output, progress and problems on standard error."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from olivelike.contracts.report import Report
    from olivelike.digest import JsonObject
    from olivelike.engine.blame.find import Blame
    from olivelike.engine.events import Listener
    from olivelike.engine.preview import Preview
    from olivelike.engine.rebuild import Rebuilt
    from olivelike.errors import Problem
    from olivelike.plan.catalog import Description
    from olivelike.plan.model import Plan
    from olivelike.store.port import Entry, Swept, Verdict

WIDE = 200


def say(text: str) -> None:
    """Prints a line of the answer."""
    print(text)


def document(value: JsonObject) -> None:
    """Prints the answer as one JSON document."""
    print(json.dumps(value, indent=1, ensure_ascii=False))


def complain(problems: Sequence[Problem]) -> None:
    """Prints problems, one a line, to standard error."""
    for problem in problems:
        print(problem, file=sys.stderr)


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
def progress(style: str) -> Iterator[Listener]:
    """Gives a listener that shows a run's progress on standard error: a live line, plain lines, or JSON events."""
    from olivelike.cli.progress import JsonEvents, LiveLine, PlainLines

    shown = JsonEvents() if style == "json" else LiveLine() if sys.stderr.isatty() else PlainLines()
    try:
        yield shown
    finally:
        shown.close()


def answer(report: Report, *, as_json: bool) -> None:
    """Prints a report: the choice and why, then a table of everything that was tried."""
    if as_json:
        document(report.to_json())
        return
    from olivelike.cli.tables import report_lines

    for line in report_lines(report, _console()):
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


def validated(plan: Plan, *, as_json: bool) -> None:
    """Prints that a workflow holds together, and how it was read."""
    count = plan.space.count()
    if as_json:
        document({"valid": True, "workflow": plan.name, "recipes": count, "notes": list(plan.notes)})
        return
    many = "a continuous range of recipes" if count < 0 else _counted(count, "recipe")
    goals = f"{_counted(len(plan.metrics), 'metric')}, {_counted(len(plan.constraints), 'constraint')}"
    say(f"{plan.name} is valid: {many}, {goals}")
    for note in plan.notes:
        say(f"note: {note}")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


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
        say(f"{look.label}: {look.recipe}" if look.recipe.steps else look.label)
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


def swept(found: Swept, *, as_json: bool) -> None:
    """Prints what a garbage collection did."""
    if as_json:
        document({"freed": found.freed, "kept": found.kept, "artifacts": found.artifacts, "leftovers": found.leftovers})
        return
    from olivelike.report.figures import value_text

    freed, kept = value_text(found.freed, "bytes"), value_text(found.kept, "bytes")
    say(f"freed {freed} ({found.artifacts} artifacts, {found.leftovers} leftovers), kept {kept}")


def blamed(found: Blame, written: Path | None, *, as_json: bool) -> None:
    """Prints which nodes cause a quantized model's drop, and what repairs it."""
    from olivelike.cli.blame_tables import blame_json, blame_lines

    if as_json:
        document(blame_json(found, written))
        return
    for line in blame_lines(found, written):
        say(line)


def _console() -> Console:
    """Returns a console as wide as the terminal; wide where the output is a file, so that nothing is cut."""
    from rich.console import Console

    terminal = sys.stdout.isatty()
    return Console(file=sys.stdout, width=None if terminal else WIDE, highlight=False)

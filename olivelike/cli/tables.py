"""The shapes of answers: reports, plans, listings, as lines of text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, assert_never

from olivelike.cli.profile_table import profile_lines
from olivelike.contracts.outcome import Failed, Measured, Measurement, Refused
from olivelike.contracts.report import Report, Trial
from olivelike.digest import Json, JsonObject
from olivelike.engine.preview import Found, Look, Preview
from olivelike.plan.catalog import Description
from olivelike.plan.model import Plan
from olivelike.report.figures import measured_text, value_text
from olivelike.store.port import Entry

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


TABLE_WIDTH = 140
"""The narrowest terminal in which a table of trials is readable."""


def report_lines(report: Report, console: Console) -> Iterator[str]:
    """Yields a report as text: every trial with its verdict, then the choice and why."""
    names = list(report.baseline.metrics) or sorted({n for t in report.trials for n in _metrics(t)})
    shown = _worth_showing(names, report)
    rows = list(_rows(report, shown))
    yield from _as_table(rows, shown, console) if console.width >= TABLE_WIDTH else _as_list(rows, shown)
    yield ""
    yield f"{report.status.value}: {report.why}"
    for choice in report.chosen:
        values = ", ".join(f"{name} {measured_text(found)}" for name, found in choice.metrics.items() if name in shown)
        what = "the baseline" if choice.trial < 0 else f"trial {choice.trial} ({choice.recipe})"
        yield f"{_label(report)}: {what}: {values}" if values else f"{_label(report)}: {what}"
        if choice.path:
            yield f"written to {choice.path}"
    if report.profile:
        yield ""
        yield from profile_lines(report.profile, console)
        yield ""
    for note in report.notes:
        yield f"note: {note}"
    cost = report.cost
    cached = f"{cost.steps_cached} steps and {cost.measurements_cached} measurements from the cache"
    yield f"{cost.seconds:.1f} s: {cost.steps_run} steps and {cost.measurements_run} measurements run, {cached}"


def _label(report: Report) -> str:
    return "closest" if report.status.exit_code else "chosen"


def _rows(report: Report, shown: Sequence[str]) -> Iterator[list[str]]:
    """Yields number, recipe, values and verdict of the baseline and of every trial."""
    if report.baseline.metrics:
        yield ["", f"baseline ({report.baseline.name})", *_cells(report.baseline.metrics, shown), ""]
    told = varying(report.trials)
    for trial in report.trials:
        yield [str(trial.number), recipe_text(trial, told), *_cells(_metrics(trial), shown), trial.verdict]


def _cells(found: Mapping[str, Measurement], shown: Sequence[str]) -> list[str]:
    return [measured_text(found[name]) if name in found else "-" for name in shown]


def _as_table(rows: Sequence[Sequence[str]], shown: Sequence[str], console: Console) -> Iterator[str]:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("", "recipe", *shown, "verdict"):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(escaped, row))
    yield from drawn(table, console)


def _as_list(rows: Sequence[Sequence[str]], shown: Sequence[str]) -> Iterator[str]:
    """Yields two lines for each row, for narrow terminals: what it is, and what was found of it."""
    for number, recipe, *values, verdict in rows:
        yield f"{number:>3} {recipe}"
        told = [f"{name} {value}" for name, value in zip(shown, values, strict=True) if value != "-"]
        yield "    " + ", ".join(told)
        if verdict:
            yield f"    {verdict}"


def varying(trials: Sequence[Trial]) -> set[tuple[str, str]]:
    """Returns the (step, parameter) pairs that differ between trials: what a table has to tell."""
    seen: dict[tuple[str, str], set[str]] = {}
    for trial in trials:
        for step in trial.recipe.steps:
            for key, value in step.config.items():
                seen.setdefault((step.name, key), set()).add(str(value))
    return {pair for pair, values in seen.items() if len(values) > 1}


def recipe_text(trial: Trial, told: set[tuple[str, str]]) -> str:
    """Returns a trial's recipe, each step with those of its parameters that are to be told."""
    parts = []
    for step in trial.recipe.steps:
        words = [f"{key}={_word(value)}" for key, value in step.config.items() if (step.name, key) in told]
        parts.append(f"{step.name}({', '.join(words)})" if words else step.name)
    return " > ".join(parts) or "(no step)"


def _word(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _worth_showing(names: Sequence[str], report: Report) -> list[str]:
    """Returns the main value of each metric, and every value that a verdict or the choice speaks of."""
    spoken = " ".join([report.why, *(trial.verdict for trial in report.trials)])
    first = {name.partition(".")[0]: name for name in reversed(names)}
    return [name for name in names if first[name.partition(".")[0]] == name or name in spoken]


def _metrics(trial: Trial) -> dict[str, Measurement]:
    match trial.outcome:
        case Measured(metrics=metrics):
            return dict(metrics)
        case Refused() | Failed():
            return {}
        case _ as never:
            assert_never(never)


def plan_lines(plan: Plan, found: Preview, console: Console) -> Iterator[str]:
    """Yields the recipes that a run would try, each with what the cache has of it."""
    from rich.table import Table

    many = "a continuous range of recipes" if found.count < 0 else f"{found.count} recipes"
    yield f"{plan.name}: {many}, {found.tried} would be tried at most; strategy {plan.search.strategy}"
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("", "recipe", "steps cached", "measurements cached"):
        table.add_column(column, overflow="fold")
    for look in found.recipes:
        table.add_row(look.label, escaped(str(look.recipe)), _cached(look.steps), _cached(look.measurements))
    yield from drawn(table, console)
    for note in plan.notes:
        yield f"note: {note}"


def _cached(looks: Sequence[Look]) -> str:
    return f"{sum(look.found is Found.HIT for look in looks)} of {len(looks)}"


def preview_json(found: Preview) -> JsonObject:
    """Returns a preview as JSON."""
    return {
        "count": found.count,
        "tried": found.tried,
        "recipes": [
            {
                "label": look.label,
                "steps": [step.to_json() for step in look.recipe.steps],
                "step_lookups": [_look_json(each) for each in look.steps],
                "measurement_lookups": [_look_json(each) for each in look.measurements],
            }
            for look in found.recipes
        ],
    }


def _look_json(look: Look) -> JsonObject:
    return {"name": look.name, "found": look.found.value, "why": look.why}


def description_lines(what: Description) -> Iterator[str]:
    """Yields a pass or metric in full."""
    yield what.name
    yield ""
    yield what.text
    yield ""
    for name, text in what.facts.items():
        yield f"{name}: {text}"
    if what.parameters:
        yield ""
        yield "parameters:"
    for parameter in what.parameters:
        yield f"  {parameter.name}: {parameter.type.replace('`', '')} = {parameter.default}"
        if parameter.meaning:
            yield f"      {parameter.meaning}"


def description_json(what: Description) -> JsonObject:
    """Returns a pass or metric in full as JSON."""
    return {
        "name": what.name,
        "text": what.text,
        "facts": dict(what.facts),
        "parameters": [
            {"name": p.name, "type": p.type, "default": p.default, "meaning": p.meaning} for p in what.parameters
        ],
    }


def entry_lines(found: Sequence[Entry], console: Console) -> Iterator[str]:
    """Yields the artifacts of a store."""
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("artifact", "kind", "size", "last used", "made by"):
        table.add_column(column, overflow="fold")
    for entry in found:
        used = datetime.fromtimestamp(entry.used, UTC).strftime("%Y-%m-%d %H:%M")
        made = str(len(entry.made_by)) + " steps" if len(entry.made_by) > 1 else "".join(k[:17] for k in entry.made_by)
        table.add_row(entry.digest[:16], entry.kind, value_text(entry.bytes, "bytes"), used, made or "taken in")
    yield from drawn(table, console)
    yield f"{len(found)} artifacts, {value_text(sum(entry.bytes for entry in found), 'bytes')} with what they share counted twice"


def entries_json(found: Sequence[Entry]) -> list[JsonObject]:
    """Returns the artifacts of a store as JSON."""
    return [
        {
            "digest": f"sha256:{entry.digest}",
            "kind": entry.kind,
            "bytes": entry.bytes,
            "created": entry.created,
            "used": entry.used,
            "made_by": list(entry.made_by),
        }
        for entry in found
    ]


def escaped(text: str) -> str:
    """Returns text that a table shows as it is; square brackets are markup to it otherwise."""
    from rich.markup import escape

    return escape(text)


def drawn(table: Table, console: Console) -> Iterator[str]:
    """Yields a table's lines."""
    with console.capture() as capture:
        console.print(table)
    yield from capture.get().rstrip("\n").split("\n")

"""The shapes of answers other than reports: plans, passes, artifacts, as lines of text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, assert_never

from olivelike.cli.drawing import counted, drawn, escaped
from olivelike.contracts.figures import value_text
from olivelike.contracts.outcome import Interval, Undefined
from olivelike.digest import JsonObject
from olivelike.engine.bench import Bench, Timed
from olivelike.engine.certify_bundle import Certified
from olivelike.engine.preview import Found, Look, Preview
from olivelike.plan.catalog import Description
from olivelike.plan.model import Plan
from olivelike.store.port import Entry

if TYPE_CHECKING:
    from rich.console import Console

FILES_NAMED = 3


def bench_lines(result: Bench) -> Iterator[str]:
    """Yields how models compare: each with its times, and against the first."""
    yield from _timed_lines(result.first)
    yield f"  beside its own copy: {_against(result.first, 'itself')}"
    for timed in result.others:
        yield from _timed_lines(timed)
        yield f"  {_against(timed, 'the first')}"


def _against(timed: Timed, other: str) -> str:
    match timed.ratio:
        case Interval(value=value, low=low, high=high):
            return f"{timed.verdict.value}: {timed.of} {value:.3f} [{low:.3f}, {high:.3f}] times {other}"
        case Undefined(reason=reason):
            return f"{timed.verdict.value}: {reason}"
        case _ as never:
            assert_never(never)


def _timed_lines(timed: Timed) -> Iterator[str]:
    yield timed.path
    for name, found in timed.values.items():
        yield f"  {name} {found.value:.4g} ms [{found.low:.4g}, {found.high:.4g}], {found.n:,} runs"
    for name, why in timed.undefined.items():
        yield f"  {name}: {why}"


def certified_lines(found: Certified) -> Iterator[str]:
    """Yields what holds of a bundle on new data, a line for each constraint."""
    for finding in found.findings:
        yield f"{finding.constraint}: {finding.verdict.value}, {finding.found}"
    for note in found.notes:
        yield f"note: {note}"
    yield f"{found.verdict.value} (alpha {found.alpha:g}, {found.samples:,} samples)"


def plan_lines(plan: Plan, found: Preview, console: Console) -> Iterator[str]:
    """Yields the recipes that a run would try, each with what the cache has of it."""
    from rich.table import Table

    many = "a continuous range of recipes" if found.count < 0 else counted(found.count, "recipe")
    yield f"{plan.name}: {many}, at most {found.tried} would be tried; strategy {plan.search.strategy}"
    if found.count < 0:
        yield "a run draws its values from the range while it goes, so one recipe is shown as an example"
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("", "recipe", "steps cached", "measurements cached"):
        table.add_column(column, overflow="fold")
    for look in found.recipes:
        table.add_row(
            look.label, escaped(look.recipe.text(found.told)), _cached(look.steps), _cached(look.measurements)
        )
    yield from drawn(table, console)
    for note in plan.notes:
        yield f"note: {note}"


def _cached(looks: Sequence[Look]) -> str:
    asked = [look for look in looks if look.found is not Found.NOT_NEEDED]
    return f"{sum(look.found is Found.HIT for look in asked)} of {len(asked)}"


def preview_json(found: Preview) -> JsonObject:
    """Returns a preview as JSON."""
    return {
        "count": found.count,
        "tried": found.tried,
        "notes": list(found.notes),
        "example_only": found.count < 0,
        "recipes": [
            {
                "label": look.label,
                "recipe": look.recipe.text(found.told),
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
    for column in ("artifact", "kind", "size", "last used", "origin"):
        table.add_column(column, overflow="fold")
    for entry in found:
        used = datetime.fromtimestamp(entry.used, UTC).strftime("%Y-%m-%d %H:%M")
        row = (entry.digest[:16], entry.kind, value_text(entry.bytes, "bytes"), used, _origin(entry))
        table.add_row(*map(escaped, row))
    yield from drawn(table, console)
    yield f"{len(found)} artifacts, {value_text(sum(entry.bytes for entry in found), 'bytes')} with what they share counted twice"


def _origin(entry: Entry) -> str:
    """Returns which steps made an artifact, or the files it was taken in with."""
    if entry.steps:
        return f"made by {', '.join(entry.steps)}"
    more = f" and {len(entry.files) - FILES_NAMED} more" if len(entry.files) > FILES_NAMED else ""
    return f"taken in: {', '.join(entry.files[:FILES_NAMED])}{more}"


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
            "steps": list(entry.steps),
            "files": list(entry.files),
        }
        for entry in found
    ]

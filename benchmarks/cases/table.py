"""The table of public models: from the answers of their runs to rows, beside what was found by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from cases.case import Case, Figure

Answer: TypeAlias = "Mapping[str, Any]"
"""The document that `olivelike run --json` prints."""

SIZE = "size.bytes"
COLUMNS = ("model", "setting found", "quality", "latency", "size", "goals", "found by hand")


@dataclass(frozen=True, slots=True)
class Row:
    """What one case gave.

    Attributes:
        case: the case.
        cells: one for each of `COLUMNS`.
        missed: whether it ran and a goal is not reached.
    """

    case: Case
    cells: tuple[str, ...]
    missed: bool


def row_of(case: Case, answer: Answer, defaults: Mapping[str, Mapping[str, object]]) -> Row:
    """Returns the row of a case.

    Args:
        case: the case.
        answer: of its run.
        defaults: pass to its parameters' default values, which a setting does not repeat.
    """
    if not answer["chosen"]:
        return replace(unknown(case, f"{answer['status']}: {answer['why']}"), missed=True)
    chosen, before = answer["chosen"][0], answer["baseline"]["metrics"]
    figures = {name: _figure(value, before[name]) for name, value in chosen["metrics"].items() if name in before}
    verdicts = [(goal, goal.metric in figures and goal.reached(figures[goal.metric])) for goal in case.goals]
    cells = (
        f"**{case.name}**: {case.told}",
        _setting(chosen["steps"], defaults) + _tried(answer.get("search", {})),
        f"{case.quality} {_from_to(figures, case.quality)}",
        _latency(chosen["metrics"].get(case.speed, {}), before.get(case.speed, {})),
        _size(figures),
        "; ".join(f"{goal.metric} {goal.told}: {'reached' if good else 'not reached'}" for goal, good in verdicts),
        case.by_hand,
    )
    status = answer["status"]
    marked = cells if status == "feasible" else (cells[0], f"({status}) {cells[1]}", *cells[2:])
    return Row(case, marked, not all(good for _, good in verdicts))


def unknown(case: Case, why: str) -> Row:
    """Returns the row of a case that has no figures, with the reason."""
    return Row(case, (f"**{case.name}**: {case.told}", why, "", "", "", "", case.by_hand), False)


def markdown(rows: Sequence[Row]) -> str:
    """Returns the table as Markdown."""
    lines = [COLUMNS, tuple("---" for _ in COLUMNS), *(row.cells for row in rows)]
    return "".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |\n" for line in lines
    )


def _figure(after: Mapping[str, Any], before: Mapping[str, Any]) -> Figure:
    versus = after.get("versus_baseline") or {}
    ratio = versus.get("ratio") or (after["value"] / before["value"] if before["value"] else 1.0)
    return Figure(after["value"], before["value"], ratio)


def _from_to(figures: Mapping[str, Figure], name: str) -> str:
    if name not in figures:
        return "was not measured"
    return f"{figures[name].before:.4g} -> {figures[name].value:.4g}"


def _latency(after: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    """Returns how many times as fast, with the interval, and the milliseconds before."""
    if not after or not before:
        return "was not measured"
    versus = after.get("versus_baseline") or {}
    if "ratio" not in versus:
        return f"{before['value']:.3g} ms, as before"
    times, low, high = (1 / versus[end] for end in ("ratio", "high", "low"))  # the ends change places
    return f"{times:.2f} x as fast [{low:.2f}, {high:.2f}], from {before['value']:.3g} ms"


def _size(figures: Mapping[str, Figure]) -> str:
    if SIZE not in figures:
        return "was not measured"
    return f"{figures[SIZE].before / 1e6:.2f} -> {figures[SIZE].value / 1e6:.2f} MB"


def _setting(steps: Sequence[Mapping[str, Any]], defaults: Mapping[str, Mapping[str, object]]) -> str:
    return (
        ", ".join(_step(step["pass"], step["config"], defaults.get(step["pass"], {})) for step in steps) or "as it was"
    )


def _tried(search: Mapping[str, Any]) -> str:
    """Returns how much was tried, where that was not all."""
    return (
        ""
        if search.get("stopped_by", "all_tried") == "all_tried"
        else f"; {search['tried']} of {search['of']} recipes tried"
    )


def _step(name: str, config: Mapping[str, Any], defaults: Mapping[str, object]) -> str:
    differs = [
        f"{key}: {_text(value)}"
        for key, value in config.items()
        if key != "data" and defaults.get(key, object()) != value
    ]
    return f"`{name}`" + (f" ({', '.join(differs)})" if differs else "")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(str, value))}]"
    return str(value)

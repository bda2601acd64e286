"""The shape of what `blame` answers, as lines of text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.contracts.figures import value_text
from olivelike.engine.blame.find import Blame, Verdict
from olivelike.engine.blame.repair import Repair

if TYPE_CHECKING:
    from olivelike.digest import Json, JsonObject
    from olivelike.engine.blame.pairing import Unit

FORMAT = 1
SHOWN = 12
"""How many names are shown of a long list."""


def blame_lines(found: Blame, written: Path | None) -> Iterator[str]:
    """Yields the answer as text: the drop, who causes it, what repairs it, and what it cannot tell."""
    yield _drop_line(found)
    match found.verdict:
        case Verdict.NO_DROP:
            yield "no drop shown: there is nobody to blame"
        case Verdict.UNEXPLAINED:
            yield (
                f"unexplained: with all {len(found.units)} quantized units in float a drop of {found.remaining:.4g} is left, "
                f"more than the {found.target:.4g} that may be; it lies in what could not be matched"
            )
        case Verdict.FOUND:
            yield from _culprit_lines(found)
            yield from _repair_lines(found, written)
    if found.suspects:
        names = _some([unit.name for unit in found.suspects])
        yield f"not needed for that, but their integers are not BASE's weights: {names}"
    if found.unmatched:
        yield f"not matched with BASE, so never blamed: {_some(found.unmatched)}"
    yield f"{found.evaluations} evaluations of {found.samples} samples each, {len(found.units)} quantized units"


def _drop_line(found: Blame) -> str:
    if found.metric == "accuracy":
        ours, theirs = found.base_value, found.base_value - found.drop
        return f"accuracy of BASE {ours:.4f}, of QUANTIZED {theirs:.4f}: a drop of {found.drop:.4f}"
    return f"share of noise in QUANTIZED's outputs, BASE's being the signal: {found.drop:.4g}"


def _culprit_lines(found: Blame) -> Iterator[str]:
    one = len(found.culprits) == 1
    who, them = ("1 node causes it", "it") if one else (f"{len(found.culprits)} nodes cause it", "them")
    yield f"{who}; with {them} in float a drop of {found.remaining:.4g} is left:"
    width = max(len(culprit.unit.name) for culprit in found.culprits)
    for culprit in found.culprits:
        others = [name for name in culprit.unit.nodes if name != culprit.unit.name]
        together = f", not told apart from {_some(others)}" if others else ""
        yield f"  {culprit.unit.name:<{width}}  {culprit.unit.kind}, drop if it alone stays quantized {culprit.drop:.4g}{together}"
    if not found.monotone:
        yield "  (putting more nodes back made it worse on the way, so the set was made minimal one by one: others may exist)"


def _repair_lines(found: Blame, written: Path | None) -> Iterator[str]:
    for rank, repair in enumerate(found.repairs):
        yield f"{'cheapest repair' if not rank else 'or'}: {_repair_text(repair)}"
        if repair.in_float:
            yield f"  exclude_nodes: [{', '.join(_quoted(repair.exclude_nodes))}]"
    if written:
        yield f"written to {written}"


def _repair_text(repair: Repair) -> str:
    parts = []
    if repair.scales:
        parts.append(f"set {_some(repair.scales)} to what fits BASE's weights")
    if repair.in_float:
        parts.append(f"keep {_some([unit.name for unit in repair.in_float])} in float")
    more = value_text(abs(repair.bytes), "bytes")
    size = "as large as it was" if not repair.bytes else f"{more} {'larger' if repair.bytes > 0 else 'smaller'}"
    return f"{' and '.join(parts)} (drop {repair.drop:.4g}, {size})"


def _quoted(names: Sequence[str]) -> list[str]:
    return [f'"{name}"' for name in names]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def blame_json(found: Blame, written: Path | None) -> JsonObject:
    """Returns the answer as JSON."""
    blamed: list[Json] = [{**_unit_json(c.unit), "drop": c.drop} for c in found.culprits]
    return {
        "format": FORMAT,
        "verdict": found.verdict.value,
        "base": str(found.base),
        "quantized": str(found.quantized),
        "metric": found.metric,
        "samples": found.samples,
        "base_value": found.base_value,
        "drop": found.drop,
        "target": found.target,
        "remaining": found.remaining,
        "evaluations": found.evaluations,
        "monotone": found.monotone,
        "culprits": blamed,
        "suspects": [unit.name for unit in found.suspects],
        "repairs": [_repair_json(repair) for repair in found.repairs],
        "written": str(written) if written else "",
        "units": [_unit_json(unit) for unit in found.units],
        "unmatched": list(found.unmatched),
    }


def _unit_json(unit: Unit) -> dict[str, Json]:
    return {"name": unit.name, "type": unit.kind, "nodes": list(unit.nodes), "weight_bytes": unit.weight_bytes}


def _repair_json(repair: Repair) -> JsonObject:
    return {
        "scales": list(repair.scales),
        "in_float": [unit.name for unit in repair.in_float],
        "exclude_nodes": list(repair.exclude_nodes),
        "drop": repair.drop,
        "bytes": repair.bytes,
    }

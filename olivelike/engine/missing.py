"""Why the cache lacks a step or a measurement: what differs from the nearest one that it has, in the user's terms."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import cast

from olivelike.digest import JsonObject
from olivelike.store.keys import differences
from olivelike.store.port import Store

MOST = 4
DIGESTS = re.compile(r"(\S+) (?:sha256:)?[0-9a-f]{12}\S* -> (?:sha256:)?[0-9a-f]{12}\S*")
"""A line of `differences` that holds two digests, which say nothing to anyone."""


def why_no_step(store: Store, ingredients: JsonObject) -> str:
    """Returns what differs from the nearest run of the same pass."""
    return _nearest(store, "step/", "pass", "source", ingredients) or "never done before"


def why_no_measurement(store: Store, ingredients: JsonObject) -> str:
    """Returns what differs from the nearest measurement of this candidate by the same metric."""
    found = _nearest(store, "measure/", "metric", "candidate", ingredients, only_same=True)
    return found or "never measured for this candidate"


def _nearest(
    store: Store, prefix: str, subject: str, about: str, ingredients: JsonObject, *, only_same: bool = False
) -> str:
    """Returns what differs from the nearest record; those about the same model are nearer than all others."""
    best: tuple[bool, int, list[str]] | None = None
    for old in _recorded(store, prefix):
        if old.get(subject) != ingredients[subject] or (only_same and old.get(about) != ingredients[about]):
            continue
        found = list(differences(old, ingredients))
        rank = (old.get(about) != ingredients[about], len(found), found)
        if found and (best is None or rank < best):
            best = rank
    return _told(best[2]) if best else ""


def _told(found: list[str]) -> str:
    lines = list(dict.fromkeys(map(_in_words, found)))
    more = f" and {len(lines) - MOST} more" if len(lines) > MOST else ""
    return ", ".join(lines[:MOST]) + more


def _in_words(difference: str) -> str:
    match = DIGESTS.fullmatch(difference)
    if match is None:
        return difference
    part, _, name = match[1].partition(".")
    match part:
        case "source":
            return "its input is another model"
        case "reference":
            return "the baseline is another model"
        case "code":
            return "the code of the pass or metric changed"
        case "data":
            return f"the files of data.{name.partition('.')[0]} changed"
        case "scripts":
            return f"the script {name} changed"
        case "needed":
            return f"{name} was made anew"
        case _:
            return f"{match[1]} changed"


def _recorded(store: Store, prefix: str) -> Iterator[JsonObject]:
    for _, record in store.records(prefix):
        if isinstance(ingredients := record.get("ingredients"), Mapping):
            yield cast("JsonObject", ingredients)

"""JSON schemas as tables for people: one row for each key, with its type, its default and what it means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from olivelike.digest import Json, JsonObject
from olivelike.plan.type_text import plain, resolved, type_text


def key_table(properties: Mapping[str, Json], definitions: JsonObject, required: Iterable[str] = ()) -> str:
    """Returns a Markdown table of keys.

    Args:
        properties: key to JSON schema, each with its `description`.
        definitions: what `#/$defs/...` points to.
        required: the keys that must be given.
    """
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    needed = set(required)
    for key, schema in properties.items():
        known = cast("JsonObject", schema)
        meaning = _meaning(known, definitions)
        shown = "required" if key in needed else _default(known)
        rows.append(f"| `{key}` | {_cell(type_text(known, definitions))} | {_cell(shown)} | {_cell(meaning)} |")
    return "\n".join(rows)


def one_line(text: str) -> str:
    """Returns a text on one line."""
    return " ".join(text.split())


def _meaning(schema: JsonObject, definitions: JsonObject) -> str:
    """Returns what a key means, and after it what the keys of the mapping behind it mean."""
    whole = resolved(schema, definitions)
    texts = [str(schema.get("description", whole.get("description", "")))]
    if "$ref" in schema:
        inner = cast("JsonObject", whole.get("properties", {}))
        said = {key: cast("JsonObject", each).get("description") for key, each in inner.items()}
        texts += [f"`{key}`: {meaning}" for key, meaning in said.items() if meaning]
    return one_line(" ".join(_sentence(text) for text in texts if text))


def _sentence(text: str) -> str:
    end = "" if text.endswith((".", ":")) else "."
    return f"{text[:1].upper()}{text[1:]}{end}"


def _default(schema: JsonObject) -> str:
    default = schema.get("default")
    return "" if default is None or default in ("", [], {}) else f"`{plain(default)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")

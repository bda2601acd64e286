"""JSON schemas as tables for people: one row for each key, with its type, its default and what it means."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import cast

from olivelike.digest import Json, JsonObject

PLAIN = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "null": "`null`",
}
FREE = "anything"
MAPPING = "mapping"
STEP = "#/$defs/step"
MOST_KEYS = 4


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


def type_text(schema: Json, definitions: JsonObject, *, inner: bool = False) -> str:
    """Returns a JSON schema as a reader would say it: `text`, `list of whole numbers`, the values of an enumeration.

    The keys of a mapping are named where it stands alone, not where it is `inner` to something else.

    >>> type_text({"type": "array", "items": {"type": "integer"}}, {})
    'list of whole numbers'
    """
    known = _resolved(cast("JsonObject", schema), definitions)
    if cast("JsonObject", schema).get("$ref") == STEP:
        return "step"
    if "properties" in known:
        keys = list(cast("JsonObject", known["properties"]))
        return (
            f"{MAPPING}: {', '.join(f'`{key}`' for key in keys)}" if len(keys) <= MOST_KEYS and not inner else MAPPING
        )
    for several in ("anyOf", "oneOf"):
        if several in known:
            members = [type_text(member, definitions, inner=inner) for member in cast("list[Json]", known[several])]
            left_open = [] if "default" in known and known["default"] is None else [PLAIN["null"]]
            return " or ".join(member for member in dict.fromkeys(members) if member != PLAIN["null"] or left_open)
    if "enum" in known or "const" in known:
        values = cast("list[Json]", known.get("enum", [known.get("const")]))
        return ", ".join(f"`{_plain(value)}`" for value in values if value != "")
    return _by_type(known, definitions)


def one_line(text: str) -> str:
    """Returns a text on one line."""
    return " ".join(text.split())


def _by_type(known: JsonObject, definitions: JsonObject) -> str:
    kind = known.get("type", FREE)
    if kind == "array" and "prefixItems" in known:
        items = [type_text(item, definitions, inner=True) for item in cast("list[Json]", known["prefixItems"])]
        return f"list of {len(items)} {_plural(items[0])}" if len(set(items)) == 1 else f"list: {', '.join(items)}"
    if kind == "array":
        return f"list of {_plural(type_text(known.get('items', {}), definitions, inner=True))}"
    if kind == "object":
        values = type_text(known.get("additionalProperties") or {}, definitions, inner=True)
        return MAPPING if values == FREE else f"{MAPPING} of {_plural(values)}"
    return PLAIN.get(str(kind), FREE)


def _plural(text: str) -> str:
    return f"{text}s" if text.endswith(("text", "number", "mapping", "step")) else text


def _meaning(schema: JsonObject, definitions: JsonObject) -> str:
    """Returns what a key means, and after it what the keys of the mapping behind it mean."""
    whole = _resolved(schema, definitions)
    texts = [str(schema.get("description", whole.get("description", "")))]
    if "$ref" in schema:
        inner = cast("JsonObject", whole.get("properties", {}))
        texts += [f"`{key}`: {cast('JsonObject', each).get('description', '')}" for key, each in inner.items()]
    return one_line(" ".join(_sentence(text) for text in texts if text))


def _sentence(text: str) -> str:
    end = "" if text.endswith((".", ":")) else "."
    return f"{text[:1].upper()}{text[1:]}{end}"


def _resolved(schema: JsonObject, definitions: JsonObject) -> JsonObject:
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return schema
    return cast("JsonObject", definitions.get(reference.removeprefix("#/$defs/"), {}))


def _default(schema: JsonObject) -> str:
    default = schema.get("default")
    return "" if default is None or default in ("", [], {}) else f"`{_plain(default)}`"


def _plain(value: Json) -> str:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")

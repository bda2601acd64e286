"""JSON schemas as a reader would say them: the types of parameters, in listings and in the reference pages."""

from __future__ import annotations

import json
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
MOST_VALUES = 24
"""Enumerations of more values are not spelled out."""


def type_text(schema: Json, definitions: JsonObject, *, inner: bool = False) -> str:
    """Returns a JSON schema as a reader would say it: `text`, `list of whole numbers`, the values of an enumeration.

    The keys of a mapping are named where it stands alone, not where it is `inner` to something else.

    >>> type_text({"type": "array", "items": {"type": "integer"}}, {})
    'list of whole numbers'
    >>> type_text({"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "object"}]}}, {})
    'list of texts or mappings'
    """
    known = resolved(cast("JsonObject", schema), definitions)
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
        if len(values) > MOST_VALUES:
            return "name"
        return ", ".join(f"`{plain(value)}`" for value in values if value != "")
    return _by_type(known, definitions)


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
    words = text.split(" or ")
    return " or ".join(
        f"{word}s" if word.endswith(("text", "number", "mapping", "step", "name")) else word for word in words
    )


def resolved(schema: JsonObject, definitions: JsonObject) -> JsonObject:
    """Returns what a schema refers to, or the schema itself."""
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return schema
    return cast("JsonObject", definitions.get(reference.removeprefix("#/$defs/"), {}))


def plain(value: Json) -> str:
    """Returns a JSON value as a workflow file would hold it."""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(value) if isinstance(value, bool) else str(value)

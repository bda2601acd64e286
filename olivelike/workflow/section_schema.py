"""Section schemas: the JSON schema of a section's keys as users write them, described by the section's own docstring."""

from __future__ import annotations

import math
import re
from typing import cast

from pydantic import BaseModel

from olivelike.digest import Json, JsonObject
from olivelike.workflow.document import expand
from olivelike.workflow.section import Section
from olivelike.workflow.yaml_text import parse_yaml

_ATTRIBUTE = re.compile(r"^    (\w+): (.+(?:\n {8}.+)*)", re.MULTILINE)


def section_properties(section: type[Section]) -> JsonObject:
    """Returns key to JSON schema for the keys of a section that a user may write and that are built.

    Keys that are no attributes (`extra_keys`) and sections inside are left to the caller.
    """
    schema = model_schema(section, "")
    properties = cast("dict[str, JsonObject]", schema["properties"])
    described = descriptions(section)
    return {
        key: {**_written(properties[key]), **({"description": described[key]} if key in described else {})}
        for key in section.written_keys()
        if key not in section.extra_keys
    }


def model_schema(model: type[BaseModel], prefix: str) -> JsonObject:
    """Returns a model's JSON schema; references to its own definitions point to `#/$defs/<prefix><name>`."""
    schema: JsonObject = model.model_json_schema(ref_template=f"#/$defs/{prefix}{{model}}")
    if "$ref" not in schema:
        return schema
    definitions = cast("dict[str, JsonObject]", schema["$defs"])  # of a model that holds itself
    return {**definitions[model.__name__], "$defs": definitions}


def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """Returns attribute to description, from the `Attributes:` block of a docstring (Google style)."""
    _, _, block = (model.__doc__ or "").partition("Attributes:\n")
    lines = re.sub(r"^    (?=    )", "", block, flags=re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(lines)}


def summary(described: object) -> str:
    """Returns the first paragraph of a docstring on one line."""
    return " ".join((getattr(described, "__doc__", "") or "").strip().partition("\n\n")[0].split())


def _written(schema: JsonObject) -> JsonObject:
    """Leaves out titles that pydantic makes up and defaults that no user writes; reads the sections' examples, which are YAML."""
    default: Json = schema.get("default")
    strange = isinstance(default, dict | list) or (isinstance(default, float) and math.isinf(default)) or default == ""
    kept = {key: value for key, value in schema.items() if key != "title" and not (key == "default" and strange)}
    if "examples" in kept:
        texts = cast("list[str]", kept["examples"])
        kept["examples"] = [expand(parse_yaml(text, "example"), "example").value for text in texts]
    return kept

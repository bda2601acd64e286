"""What a data entry says of its preparation: `pad` in its short and long forms, and `prepare` with one transform."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from pydantic import ValidationError

from olivelike.contracts.data import EVERY_COLUMN, Pad
from olivelike.digest import Json, JsonObject
from olivelike.errors import nearest
from olivelike.workflow.faults import broken

PAD_LENGTH: JsonObject = {"anyOf": [{"type": "integer", "exclusiveMinimum": 0}, {"const": "longest"}]}
PAD: JsonObject = {
    "type": "object",
    "properties": {
        key: {**schema, "description": Pad.model_fields[key].description}
        for key, schema in cast("dict[str, JsonObject]", Pad.model_json_schema()["properties"]).items()
    },
    "additionalProperties": False,
}


def padding(value: object) -> dict[str, Json]:
    """Reads `pad`: a length for every ragged column, or a mapping of columns to lengths or to the options of `Pad`."""
    columns = value if isinstance(value, Mapping) else {EVERY_COLUMN: value}
    found: dict[str, Json] = {}
    for name, written in columns.items():
        at = () if name == EVERY_COLUMN else (str(name),)
        found[str(name)] = _pad(written, at)
    return found


def _pad(written: object, at: tuple[str, ...]) -> Json:
    options = written if isinstance(written, Mapping) else {"to": written}
    try:
        return Pad.model_validate(dict(options)).model_dump(mode="json", exclude_defaults=True)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            raise broken("OL104", "unknown key", at=(*at, key), hint=nearest(key, Pad.model_fields)) from error
        where = at if key == "to" and not isinstance(written, Mapping) else (*at, key)
        claim = f"got {first['input']!r}, expected {_expected(key)}"
        raise broken("OL105", claim, at=where, hint="for example pad: {input_ids: 128}") from error


def _expected(key: str) -> str:
    known = {
        "to": "a whole number above 0, or longest",
        "multiple_of": "a whole number above 0",
        "value": "a number",
        "side": "right or left",
        "truncate": "true or false",
    }
    return known[key]


def one_transform(value: dict[str, dict[str, Json]]) -> dict[str, dict[str, Json]]:
    """Checks that `prepare` names one transform."""
    if len(value) != 1:
        claim = f"`prepare` takes one transform, got {', '.join(value)}"
        raise broken("OL112", claim, hint="keep one; chain others in a function of your own with `script`")
    return value

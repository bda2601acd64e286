"""What a user wrote behind a model source's key: one text."""

from __future__ import annotations

from olivelike.digest import Json
from olivelike.errors import InputError, fail


def name_in(value: Json, key: str) -> str:
    """Returns the text behind a source's key.

    Raises:
        InputError: OL105, the value is no text, or empty.
    """
    if not isinstance(value, str) or not value.strip():
        raise fail(
            InputError, "OL105", f"`{key}` takes a text, got {value!r}", path=f"model.{key}", hint="write one name"
        )
    return value.strip()

"""The `preprocessor_config.json` beside a model: how Transformers prepares pictures and recordings for it."""

from __future__ import annotations

import json

from olivelike.contracts.transform import Surroundings
from olivelike.errors import InputError, OlivelikeError, fail

PREPROCESSOR = "preprocessor_config.json"


def preprocessor(around: Surroundings) -> dict[str, object]:
    """Returns what the file says; empty where there is none.

    Raises:
        InputError: OL205, it is no JSON object.
    """
    path = around.files.get(PREPROCESSOR)
    if path is None:
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _damaged(str(path), str(error)) from error
    if not isinstance(found, dict):
        raise _damaged(str(path), "it holds no object")
    return found


def unprepared(around: Surroundings, transform: str, options: str) -> OlivelikeError:
    """Returns the error where neither the file nor the options say how to prepare."""
    claim = f"there is no {PREPROCESSOR} beside the model, and nothing says how to prepare its data"
    hint = f"write `prepare: {{{transform}: {{{options}}}}}`, or `prepare: none` to feed them as they are"
    return fail(InputError, "OL205", claim, path=f"{around.place}.prepare", hint=hint)


def _damaged(place: str, reason: str) -> OlivelikeError:
    claim = f"is no {PREPROCESSOR}: {reason}"
    return fail(InputError, "OL205", claim, place=place, hint="copy the model's folder again")

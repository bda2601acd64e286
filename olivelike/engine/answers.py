"""The answers of a worker as JSON: how a failure is written by the worker and read by the engine."""

from __future__ import annotations

import traceback
from dataclasses import astuple
from typing import cast

from olivelike.contracts.outcome import Failed
from olivelike.digest import JsonObject
from olivelike.engine.origins import Origins
from olivelike.errors import InputError, Problem

LOG_LINES = 30


def failure(reason: str, error: BaseException) -> JsonObject:
    """Returns the answer for an error that is being handled: its reason, the end of its traceback, what is wrong with input."""
    wrong = [list(astuple(problem)) for problem in error.problems] if isinstance(error, InputError) else []
    log = "\n".join(traceback.format_exc().splitlines()[-LOG_LINES:])
    return {"outcome": "failed", "reason": reason, "log": log, "input": wrong}


def read_failure(answer: JsonObject, where: str, origins: Origins) -> Failed:
    """Returns the outcome that such an answer describes; `where` is the step or metric, `origins` name the user's files."""
    wrong = tuple(Problem(*problem) for problem in cast("list[list[str]]", answer.get("input", [])))
    return Failed(
        origins.told(str(answer["reason"])),
        where,
        origins.told(str(answer.get("log", ""))),
        tuple(map(origins.told_problem, wrong)),
    )

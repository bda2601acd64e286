"""Why something is not in the cache is said in the user's terms, never as two digests."""

from __future__ import annotations

from pathlib import Path

import pytest

from olivelike.digest import Json, JsonObject
from olivelike.engine.missing import why_no_measurement, why_no_step
from olivelike.store import open_store
from olivelike.store.port import Store

A, B = "a" * 64, "b" * 64


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store that holds one step and one measurement."""
    store = open_store(tmp_path / "cache")
    store.record("step/1", {"ingredients": step()})
    store.record("measure/1", {"ingredients": measurement()})
    return store


def step(**changed: Json) -> JsonObject:
    return {"pass": "q", "source": A, "config": {"bits": 8}, "code": A, "needed": {"ranges": A}, **changed}


def measurement(**changed: Json) -> JsonObject:
    return {"metric": "accuracy", "candidate": A, "reference": A, "data": {"test": {"files": A}}, **changed}


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"config": {"bits": 4}}, "config.bits 8 -> 4"),
        ({"source": B}, "its input is another model"),
        ({"code": B}, "the code of the pass or metric changed"),
        ({"needed": {"ranges": B}, "config": {"bits": 4}}, "config.bits 8 -> 4, ranges was made anew"),
        ({"pass": "other"}, "never done before"),
    ],
)
def test_a_missing_step_says_what_differs(store: Store, changed: JsonObject, why: str) -> None:
    assert why_no_step(store, step(**changed)) == why


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"candidate": B}, "never measured for this candidate"),
        ({"reference": B}, "the baseline is another model"),
        ({"data": {"test": {"files": B}}}, "the files of data.test changed"),
    ],
)
def test_a_missing_measurement_says_what_differs(store: Store, changed: JsonObject, why: str) -> None:
    assert why_no_measurement(store, measurement(**changed)) == why

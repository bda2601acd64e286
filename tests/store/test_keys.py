"""Keys: whatever a result depends on changes its key, and nothing else does."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olivelike.contracts.data import DataSpec
from olivelike.contracts.passes import Reads
from olivelike.contracts.target import Provider, Target
from olivelike.contracts.task import MeasureTask, StepTask
from olivelike.digest import JsonObject
from olivelike.registry import installed
from olivelike.store.keys import differences, key_of, measure_ingredients, source_digest, step_ingredients

TASK = StepTask("store", "quantize", "dynamic_quant", {"per_channel": True}, "a" * 64, {"ranges": "b" * 64}, Target())
MEASURE = MeasureTask("store", "speed", "latency", {"batch": 1}, "a" * 64, "b" * 64, Target())
MACHINE: JsonObject = {"cpu": "x"}
DATA = DataSpec("test", "npz", {"npz": "test.npz"}, "d" * 64)


def step_key(task: StepTask, machine: JsonObject = MACHINE) -> str:
    return key_of(step_ingredients(task, installed().pass_named(task.pass_name), machine))


def measure_key(
    task: MeasureTask, version: int = 1, runtime: JsonObject | None = None, machine: JsonObject = MACHINE
) -> str:
    kind = type("Latency", (installed().metric_named("latency"),), {"version": version})
    kind.__module__ = "olivelike.evaluate.timing.latency"
    return key_of(measure_ingredients(task, kind, runtime or {"ort": "1"}, machine))


@pytest.mark.parametrize(
    "other",
    [
        replace(TASK, pass_name="float16"),
        replace(TASK, config={"per_channel": False}),
        replace(TASK, source="c" * 64),
        replace(TASK, needed={"ranges": "c" * 64}),
        replace(TASK, data={"test": DATA}),
        replace(TASK, verify="full"),
    ],
)
def test_everything_a_step_depends_on_is_in_its_key(other: StepTask) -> None:
    assert step_key(other) != step_key(TASK)


def test_names_places_and_what_the_pass_does_not_read_are_in_no_key() -> None:
    elsewhere = replace(TASK, store="other", name="another", target=Target(threads=7), seed=5)
    assert step_key(elsewhere) == step_key(TASK)
    assert step_key(TASK, {"cpu": "y"}) == step_key(TASK)


QUANT = StepTask(
    "store", "q", "static_quant", {"data": "test", "format": "qdq"}, "a" * 64, {}, Target(), {"test": DATA}
)


def test_a_renamed_data_entry_is_the_same_data() -> None:
    renamed = replace(DATA, name="other", use=("calibration",))
    assert step_key(QUANT) == step_key(
        replace(QUANT, config={"data": "other", "format": "qdq"}, data={"other": renamed})
    )
    assert measure_key(replace(MEASURE, data={"test": DATA})) == measure_key(replace(MEASURE, data={"other": renamed}))


def test_other_data_under_the_same_name_are_not() -> None:
    other = replace(DATA, files="e" * 64)
    assert step_key(QUANT) != step_key(replace(QUANT, data={"test": other}))
    assert measure_key(replace(MEASURE, data={"test": DATA})) != measure_key(replace(MEASURE, data={"test": other}))
    assert step_key(QUANT) != step_key(replace(QUANT, data={"test": replace(DATA, samples=5)}))


def test_a_script_that_was_moved_is_the_same_script() -> None:
    def called(path: str, digest: str = "f" * 64) -> MeasureTask:
        config: JsonObject = {"batch": 1, "postprocess": {"script": path, "call": "f", "args": {}}}
        return replace(MEASURE, config=config, scripts={path: digest})

    assert measure_key(called("user.py")) == measure_key(called("deep/user.py"))
    assert measure_key(called("user.py")) != measure_key(called("user.py", "0" * 64))
    prepared = replace(DATA, prepare={"script": "user.py", "call": "f", "args": {}, "files": "f" * 64})
    moved = replace(DATA, prepare={**prepared.prepare, "script": "deep/user.py"})
    assert measure_key(replace(MEASURE, data={"d": prepared})) == measure_key(replace(MEASURE, data={"d": moved}))


def test_what_a_pass_declares_to_read_is_in_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = installed().pass_named(TASK.pass_name)
    monkeypatch.setattr(kind, "reads", frozenset({Reads.TARGET, Reads.MACHINE, Reads.SEED}))
    assert step_key(replace(TASK, target=Target(threads=7))) != step_key(TASK)
    assert step_key(replace(TASK, seed=5)) != step_key(TASK)
    assert step_key(TASK, {"cpu": "y"}) != step_key(TASK)


def test_the_version_of_a_pass_and_of_its_tools_is_in_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    kind, before = installed().pass_named(TASK.pass_name), step_key(TASK)
    monkeypatch.setattr(kind, "version", kind.version + 1)
    assert step_key(TASK) != before
    monkeypatch.undo()
    monkeypatch.setattr("olivelike.store.keys.version", lambda name: "0.0.0")
    assert step_key(TASK) != before


@pytest.mark.parametrize(
    "other",
    [
        replace(MEASURE, metric="throughput"),
        replace(MEASURE, config={"batch": 2}),
        replace(MEASURE, candidate="c" * 64),
        replace(MEASURE, reference="c" * 64),
        replace(MEASURE, target=Target(threads=2)),
        replace(MEASURE, target=Target(providers=(Provider("CPUExecutionProvider", {"x": 1}),))),
        replace(MEASURE, data={"test": DATA}),
        replace(MEASURE, data={"test": replace(DATA, files="e" * 64)}),
        replace(MEASURE, scripts={"user.py": "f" * 64}),
    ],
)
def test_everything_a_measurement_depends_on_is_in_its_key(other: MeasureTask) -> None:
    assert measure_key(replace(other, data=other.data or MEASURE.data)) != measure_key(MEASURE)


def test_runtime_machine_and_version_are_in_a_measurement_s_key() -> None:
    assert measure_key(MEASURE, runtime={"ort": "2"}) != measure_key(MEASURE)
    assert measure_key(MEASURE, machine={"cpu": "y"}) != measure_key(MEASURE)
    assert measure_key(MEASURE, version=2) != measure_key(MEASURE)


def test_a_step_and_a_measurement_never_share_a_key() -> None:
    assert step_key(TASK).startswith("step/")
    assert measure_key(MEASURE).startswith("measure/")
    assert len(step_key(TASK)) == len("step/") + 64


def test_the_code_digest_follows_what_a_module_imports_from_its_own_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "own_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "effect.py").write_text(
        "from own_package.inner import (\n    value,\n)\nfrom . import other\nimport json\n"
    )
    (package / "inner.py").write_text("value = 1\n")
    (package / "other.py").write_text("")
    (package / "unrelated.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))

    def digest() -> str:
        source_digest.cache_clear()
        return source_digest("own_package.effect")

    before = digest()
    (package / "unrelated.py").write_text("changed = True\n")
    assert digest() == before
    for name in ("inner.py", "other.py", "effect.py"):
        (package / name).write_text((package / name).read_text() + "# changed\n")
        after = digest()
        assert after != before
        before = after
    assert "own_package" not in sys.modules
    source_digest.cache_clear()


def test_a_difference_is_told_with_its_path() -> None:
    old: JsonObject = {"config": {"calibration": "minmax", "same": 1}, "tools": {"onnx": "1"}}
    new: JsonObject = {"config": {"calibration": "entropy", "same": 1}, "tools": {"onnx": "1"}}
    assert list(differences(old, new)) == ["config.calibration minmax -> entropy"]


values = st.recursive(
    st.integers() | st.text(max_size=5) | st.booleans(), lambda inner: st.dictionaries(st.text(max_size=3), inner)
)


@given(st.dictionaries(st.text(max_size=3), values), st.dictionaries(st.text(max_size=3), values))
def test_equal_ingredients_have_no_differences_and_different_ones_have_some(one: JsonObject, two: JsonObject) -> None:
    assert list(differences(one, one)) == []
    if list(differences(one, two)) == []:
        assert {k: v for k, v in one.items() if v != {}} == {k: v for k, v in two.items() if v != {}}

"""Overrides from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from olivelike.contracts.space import Limits
from olivelike.workflow.load import Loaded, load
from olivelike.workflow.schema import Amount, Workflow, walk
from tests.workflow.quickstart import QUICKSTART

CHAIN = """\
model: {path: m.onnx}
passes:
  - simplify
  - name: quantize
    one_of:
      - dynamic_quant: {}
      - - fix_shapes: {dims: {a: 1}}
        - {name: static, static_quant: {format: qdq}, verify: full}
        - {name: inner, one_of: [float16, {bfloat16: {keep_io: true}}]}
      - none
"""


def loaded(tmp_path: Path, text: str, *overrides: str) -> Loaded:
    path = tmp_path / "w.yaml"
    path.write_text(text)
    return load(path, overrides)


def changed(tmp_path: Path, text: str, *overrides: str) -> Workflow:
    result = loaded(tmp_path, text, *overrides)
    assert result.problems == ()
    assert isinstance(result.workflow, Workflow)
    return result.workflow


def config_of(workflow: Workflow, name: str) -> object:
    return next(step.config for _, step in walk(workflow.passes) if step.name == name)


def test_a_key_of_a_section_is_set_whether_or_not_it_stands_in_the_file(tmp_path: Path) -> None:
    workflow = changed(tmp_path, QUICKSTART, "search.max_trials=5", "search.no_improvement=3", "run.workers=2")
    assert (workflow.search.max_trials, workflow.search.no_improvement, workflow.run.workers) == (5, 3, 2)


def test_an_absent_section_is_made(tmp_path: Path) -> None:
    assert changed(tmp_path, "model: {path: m}\n", "run.limits.time=5 min").run.limits == Limits(300.0)


def test_values_are_yaml_and_may_hold_an_equals_sign(tmp_path: Path) -> None:
    workflow = changed(
        tmp_path,
        QUICKSTART,
        "search.time_limit=10 min",
        "passes.static_quant.format=[qdq]",
        "passes.float16.keep={choice: [a, b]}",
        "name=a=b",
    )
    assert workflow.search.time_limit == 600.0
    assert config_of(workflow, "static_quant") == {
        "format": ["qdq"],
        "per_channel": [True, False],
        "calibration": ["minmax", "entropy"],
        "data": "calibration",
    }
    assert config_of(workflow, "float16") == {"keep": {"choice": ["a", "b"]}}
    assert workflow.name == "a=b"


@pytest.mark.parametrize(
    ("override", "step", "config"),
    [
        ("passes.simplify.depth=2", "simplify", {"depth": 2}),
        ("passes.dynamic_quant.per_channel=true", "dynamic_quant", {"per_channel": True}),
        ("passes.fix_shapes.dims.a=10", "fix_shapes", {"dims": {"a": 10}}),
        ("passes.static.format=qoperator", "static", {"format": "qoperator"}),
        ("passes.float16.keep_io=true", "float16", {"keep_io": True}),
        ("passes.bfloat16.keep_io=false", "bfloat16", {"keep_io": False}),
        ("passes.1.one_of.1.1.static_quant.format=a", "static", {"format": "a"}),
        ("passes.quantize.one_of.0.dynamic_quant.x=1", "dynamic_quant", {"x": 1}),
    ],
)
def test_a_step_is_found_by_name_at_any_depth(tmp_path: Path, override: str, step: str, config: object) -> None:
    assert config_of(changed(tmp_path, CHAIN, override), step) == config


def test_engine_keys_are_reached_by_position(tmp_path: Path) -> None:
    assert changed(tmp_path, CHAIN, "passes.1.one_of.1.1.verify=off").passes[1].one_of[1][1].verify == "off"


def test_entries_of_a_list_are_counted_from_zero(tmp_path: Path) -> None:
    assert changed(tmp_path, QUICKSTART, "constraints.0.max_drop=2%").constraints[0].amount == Amount(0.02, True)


def test_the_later_override_wins(tmp_path: Path) -> None:
    assert changed(tmp_path, QUICKSTART, "search.seed=1", "search.seed=2").search.seed == 2


def test_an_override_touches_one_of_two_aliases(tmp_path: Path) -> None:
    text = "model: {path: m}\nx-a: &a {p: 1}\npasses:\n- {q: *a}\n- {r: *a}\n"
    workflow = changed(tmp_path, text, "passes.q.p=2")
    assert [step.config for step in workflow.passes] == [{"p": 2}, {"p": 1}]


def test_the_place_of_an_override_is_the_command_line(tmp_path: Path) -> None:
    places = loaded(tmp_path, QUICKSTART, "search.seed=3").places
    assert places.at(("search", "seed")) == "command line"
    assert places.at(("search", "strategy")).endswith(":24")


def test_a_wrong_value_is_said_with_its_place(tmp_path: Path) -> None:
    result = loaded(tmp_path, QUICKSTART, "search.max_trials=many")
    assert [str(problem) for problem in result.problems] == [
        "OL105 command line search.max_trials: got the text 'many', expected a whole number. hint: for example max_trials: 100"
    ]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("search.max_trails=5", "OL113 command line search.max_trails: unknown key. hint: did you mean max_trials?"),
        ("serach.seed=5", "OL113 command line serach: unknown key. hint: did you mean search?"),
        (
            "passes.statc.format=a",
            "OL113 command line passes.statc.format: no step is called `statc`. hint: did you mean static?",
        ),
        (
            "passes.static=a",
            "OL113 command line passes.static: a step is no value. hint: for example passes.static.PARAMETER=VALUE",
        ),
        (
            "passes.9.simplify.x=1",
            "OL113 command line passes.9.simplify.x: no entry 9 in a list of 2. hint: positions are 0 to 1",
        ),
        (
            "passes.q.x=1",
            "OL113 command line passes.q.x: no step is called `q`. hint: known: bfloat16, dynamic_quant, fix_shapes, float16, "
            "inner, quantize, simplify, static",
        ),
        (
            "data.tset.samples=5",
            "OL113 command line data.tset.samples: no entry of `data` is called `tset`. hint: none is defined yet: add one of "
            "this name",
        ),
        (
            "model.path.x=1",
            "OL113 command line model.path.x: `model.path` holds 'm.onnx', which has no keys. hint: set it as a whole",
        ),
        ("foo", "OL113 command line: got 'foo', expected KEY=VALUE. hint: for example search.max_trials=5"),
        ("=5", "OL113 command line: got '=5', expected KEY=VALUE. hint: for example search.max_trials=5"),
        (
            "search.seed=[1",
            "OL101 command line:1: not YAML: expected ',' or ']', but got '<stream end>', while parsing a flow sequence",
        ),
    ],
)
def test_an_override_that_fits_nothing_says_so(tmp_path: Path, override: str, message: str) -> None:
    result = loaded(tmp_path, CHAIN, override, "search.seed=7")
    assert [str(problem) for problem in result.problems] == [message]
    assert isinstance(result.workflow, Workflow)
    assert result.workflow.search.seed == 7

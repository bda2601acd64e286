"""Workflows built in code."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from olivelike.contracts.data import ScriptCall
from olivelike.contracts.space import Limits
from olivelike.workflow.load import from_mapping
from olivelike.workflow.schema import (
    Amount,
    ConstraintSection,
    DataSection,
    MetricSection,
    ModelSection,
    ObjectiveSection,
    OutputSection,
    ProviderSection,
    SearchSection,
    StepSection,
    TargetSection,
    Workflow,
    walk,
)

MAPPING: dict[str, object] = {
    "name": "small",
    "model": {"path": "m.onnx", "revision": "abc"},
    "target": {"providers": [{"openvino": {"device_type": "GPU"}}, "cpu"], "threads": 2},
    "data": {"test": {"npz": "t.npz", "columns": ["a"], "prepare": {"script": "u.py", "call": "f"}}},
    "metrics": {"accuracy": {"type": "accuracy", "data": "test", "values": ["top1"]}},
    "constraints": [{"metric": "accuracy", "max_drop": "1%"}],
    "objectives": [{"minimize": "latency.p50", "within": "2%"}],
    "passes": [
        "simplify",
        {"name": "q", "one_of": [{"dynamic_quant": {"x": [1, 2]}}, [{"a": {}}, {"b": {}}], "none"]},
        {"tune": {}, "when": {"q": "none"}, "limits": {"time": "1 min"}},
    ],
    "search": {"time_limit": "5 min"},
    "output": {"path": "out"},
}


def built() -> Workflow:
    return Workflow(
        name="small",
        model=ModelSection(own={"path": "m.onnx"}, revision="abc"),
        target=TargetSection(
            providers=(ProviderSection(name="openvino", options={"device_type": "GPU"}), ProviderSection(name="cpu")),
            threads=2,
        ),
        data={
            "test": DataSection(own={"npz": "t.npz"}, columns=("a",), prepare=ScriptCall(script="u.py", call="f")),
        },
        metrics={"accuracy": MetricSection(type="accuracy", data="test", own={"values": ["top1"]})},
        constraints=(ConstraintSection(metric="accuracy", rule="max_drop", amount=Amount(0.01, relative=True)),),
        objectives=(ObjectiveSection(metric="latency.p50", direction="minimize", within=Amount(0.02, relative=True)),),
        passes=(
            StepSection(pass_name="simplify"),
            StepSection(
                name="q",
                one_of=(
                    (StepSection(pass_name="dynamic_quant", config={"x": [1, 2]}),),
                    (StepSection(pass_name="a"), StepSection(pass_name="b")),
                    (),
                ),
            ),
            StepSection(pass_name="tune", when={"q": ("none",)}, limits=Limits(60.0)),
        ),
        search=SearchSection(time_limit=300.0),
        output=OutputSection(path="out"),
    )


def test_a_workflow_built_in_code_equals_the_one_that_was_read() -> None:
    assert from_mapping(MAPPING).problems == ()
    assert from_mapping(MAPPING).workflow == built()


def test_code_may_also_use_the_form_of_the_file() -> None:
    assert Workflow.model_validate(MAPPING) == built()


def test_a_workflow_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        built().name = "other"  # type: ignore[misc]


def test_unknown_attributes_are_refused_in_code_too() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        SearchSection(trials=3)  # type: ignore[call-arg]


def test_what_is_not_built_yet_is_refused_in_code_too() -> None:
    with pytest.raises(ValidationError, match="OL109 `environments` is not built yet"):
        Workflow(model=ModelSection(own={"path": "m"}), environments={"gpu": {}})


def test_a_step_without_a_pass_or_with_both_is_refused() -> None:
    inner = StepSection(pass_name="a")
    with pytest.raises(ValidationError, match="OL112"):
        StepSection(name="x", pass_name="a", one_of=((inner,),), chain_written=(False,))
    with pytest.raises(ValidationError, match="OL111"):
        StepSection(name="x")


def test_walking_yields_every_step_with_the_path_that_a_user_would_write() -> None:
    assert [(path, step.name) for path, step in walk(built().passes)] == [
        (("passes", 0), "simplify"),
        (("passes", 1), "q"),
        (("passes", 1, "one_of", 0), "dynamic_quant"),
        (("passes", 1, "one_of", 1, 0), "a"),
        (("passes", 1, "one_of", 1, 1), "b"),
        (("passes", 2), "tune"),
    ]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"at_most": "20 ms"}, Amount(20.0, unit="ms")),
        ({"at_least": 0.9}, Amount(0.9)),
        ({"max_increase": "10%"}, Amount(0.1, relative=True)),
        ({"min_improvement": "1 MiB"}, Amount(1048576.0, unit="bytes")),
    ],
)
def test_every_rule_takes_every_kind_of_amount(written: dict[str, object], expected: Amount) -> None:
    constraint = ConstraintSection.model_validate({"metric": "m", **written})
    assert (constraint.rule, constraint.amount) == (next(iter(written)), expected)

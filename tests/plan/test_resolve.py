"""Resolving a workflow: names become classes, choices become domains, and every mistake is said with its path."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from olivelike.contracts.space import Choice, ForkSpace, Range, StepSpace
from olivelike.digest import Json
from olivelike.engine.opened import open_workflow
from olivelike.errors import InputError
from olivelike.plan.model import Plan, Rule
from olivelike.plan.steps import holds_collection

Job = dict[str, Json]


UNFIT: Job = {"activation_type": "int8", "weight_type": "uint8"}


def plan(job: Job) -> Plan:
    return open_workflow(job).plan


def problems(job: Job) -> list[tuple[str, str]]:
    with pytest.raises(InputError) as caught:
        plan(job)
    return [(problem.code, problem.path) for problem in caught.value.problems]


def quantize(**parameters: Json) -> list[Json]:
    return [{"dynamic_quant": parameters}]


def test_a_bare_list_for_a_scalar_parameter_is_a_choice_and_for_a_list_parameter_the_value(job: Job) -> None:
    job["passes"] = quantize(per_channel=[True, False], op_types=["MatMul", "Gemm"])
    [step] = plan(job).space.tree
    assert isinstance(step, StepSpace)
    assert step.free == {"per_channel": Choice((True, False))}
    assert step.fixed == {"op_types": ["MatMul", "Gemm"]}


def test_a_choice_between_lists_is_written_out(job: Job) -> None:
    job["passes"] = quantize(op_types={"choice": [["MatMul"], ["Gemm"]]})
    [step] = plan(job).space.tree
    assert isinstance(step, StepSpace)
    assert step.free == {"op_types": Choice((["MatMul"], ["Gemm"]))}


def test_value_escapes_what_would_be_a_choice(job: Job) -> None:
    job["passes"] = quantize(per_channel={"value": True})
    [step] = plan(job).space.tree
    assert isinstance(step, StepSpace)
    assert (step.fixed, step.free) == ({"per_channel": True}, {})


def test_a_range_of_whole_numbers_is_counted(job: Job) -> None:
    job["passes"] = [{"convert_opset": {"target": {"range": [18, 21]}}}]
    found = plan(job)
    [step] = found.space.tree
    assert isinstance(step, StepSpace)
    assert step.free == {"target": Range(18, 21, 0.0, False, True)}
    assert found.space.count() == 4


@pytest.mark.parametrize(
    "written", [{"range": [3, 1]}, {"range": [1]}, {"range": [0, 5], "log": True}, {"range": "1-4"}]
)
def test_a_range_that_is_none_is_refused(job: Job, written: Json) -> None:
    job["passes"] = [{"convert_opset": {"target": written}}]
    assert ("OL105", "passes.0.convert_opset.target") in problems(job)


def test_a_key_that_no_range_has_is_named(job: Job) -> None:
    job["passes"] = [{"convert_opset": {"target": {"range": [13, 15], "stepp": 1}}}]
    assert problems(job) == [("OL104", "passes.0.convert_opset.target.stepp")]


@pytest.mark.parametrize(
    ("metric", "bound", "claim", "hint"),
    [
        ("accuracy", "3 ms", "top1 is a plain number, got an amount in ms", "write a number without a unit"),
        ("size", "3 ms", "bytes is measured in bytes, got ms", "for example 2 MiB"),
    ],
)
def test_an_amount_in_another_unit_says_what_to_write(job: Job, metric: str, bound: str, claim: str, hint: str) -> None:
    job["constraints"] = [{"metric": metric, "at_most": bound}]
    with pytest.raises(InputError) as caught:
        plan(job)
    assert [(p.claim, p.hint) for p in caught.value.problems] == [(claim, hint)]


def test_alternatives_may_be_chains_and_nothing(job: Job) -> None:
    job["passes"] = [{"name": "q", "one_of": [[{"simplify": {}}, {"dynamic_quant": {}}], {"float16": {}}, "none"]}]
    [fork] = plan(job).space.tree
    assert isinstance(fork, ForkSpace)
    assert [len(alternative) for alternative in fork.alternatives] == [2, 1, 0]


def test_when_asks_for_an_alternative_that_was_taken_before(job: Job) -> None:
    choice: Json = {"name": "q", "one_of": [{"dynamic_quant": {}}, {"float16": {}}, "none"]}
    job["passes"] = [choice, {"simplify": {}, "when": {"q": ["dynamic_quant", "none"]}}]
    recipes = [str(recipe) for recipe in plan(job).space.recipes()]
    assert recipes == ["dynamic_quant > simplify", "float16", "simplify"]


@pytest.mark.parametrize("when", [{"nowhere": "none"}, {"q": "simplfy"}])
def test_when_on_what_does_not_exist_is_refused(job: Job, when: Json) -> None:
    job["passes"] = [{"name": "q", "one_of": [{"dynamic_quant": {}}, "none"]}, {"simplify": {}, "when": when}]
    assert [code for code, _ in problems(job)] == ["OL108"]


def test_a_percentage_is_a_share_of_the_baseline_and_a_number_is_absolute(job: Job) -> None:
    job["constraints"] = [{"metric": "accuracy", "max_drop": "1%"}, {"metric": "size", "at_most": "1 MiB"}]
    relative, absolute = plan(job).constraints
    assert (relative.rule, relative.amount, relative.relative) == (Rule.MAX_DROP, 0.01, True)
    assert (absolute.key, absolute.amount) == ("size.bytes", 1048576)


def test_seconds_are_turned_into_the_unit_of_the_metric(job: Job) -> None:
    job["metrics"] = {**cast("Job", job["metrics"]), "latency": {"type": "latency"}}
    job["constraints"] = [{"metric": "latency.p90", "at_most": "0.5 s"}]
    assert plan(job).constraints[0].amount == 500


def test_metrics_run_cheapest_first(job: Job) -> None:
    job["metrics"] = {**cast("Job", job["metrics"]), "latency": {"type": "latency"}}
    assert [metric.name for metric in plan(job).metrics] == ["size", "latency", "accuracy"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"metrics": {"a": {"type": "accuracy"}}}, ("OL111", "metrics.a")),
        ({"metrics": {"s": {"type": "size", "data": "test"}}}, ("OL112", "metrics.s.data")),
        ({"constraints": [{"metric": "size", "max_drop": 1}]}, ("OL112", "constraints.0.max_drop")),
        ({"constraints": [{"metric": "size", "at_most": "5%"}]}, ("OL112", "constraints.0.at_most")),
        ({"constraints": [{"metric": "size", "at_most": "5 ms"}]}, ("OL105", "constraints.0.at_most")),
        ({"constraints": [], "objectives": []}, ("OL117", "passes")),
        ({"passes": [{"calibrate": {"data": "test"}}]}, ("OL112", "passes.0")),
        ({"passes": [{"static_quant": {}}]}, ("OL111", "passes.0.static_quant.data")),
        ({"passes": [{"static_quant": {"data": "calib"}}]}, ("OL108", "passes.0.static_quant.data")),
        ({"model": {"pth": "x.onnx"}}, ("OL104", "model.pth")),
        ({"model": {"path": "x.onnx", "hub": "a/b"}}, ("OL112", "model")),
        ({"data": {"test": {"nzp": "x.npz"}}}, ("OL111", "data.test")),
        ({"baseline": "none"}, ("OL112", "constraints.0")),
        ({"constraints": [{"metric": "size", "at_most": 5}]}, ("OL105", "constraints.0.at_most")),
        ({"objectives": [{"minimize": "size", "within": 5}]}, ("OL105", "objectives.0.within")),
        ({"output": {"kind": "tflite"}, "passes": [{"simplify": {}}]}, ("OL112", "output.kind")),
        ({"passes": [{"static_quant": {"data": ["test", "nope"]}}]}, ("OL108", "passes.0.static_quant.data")),
        ({"passes": [{"convert_opset": {"target": 999}}]}, ("OL105", "passes.0.convert_opset.target")),
        ({"passes": [{"convert_opset": {"target": {"range": [17, 999]}}}]}, ("OL105", "passes.0.convert_opset.target")),
        ({"passes": [{"static_quant": {"data": "test", **UNFIT}}]}, ("OL307", "passes.0.static_quant")),
        (
            {"passes": [{"static_quant": {"data": "test", **UNFIT, "per_channel": [True, False]}}]},
            ("OL307", "passes.0.static_quant"),
        ),
    ],
)
def test_each_mistake_has_its_code_and_its_path(job: Job, change: Job, expected: tuple[str, str]) -> None:
    assert expected in problems({**job, **change})


def test_a_choice_of_which_some_ways_do_not_hold_together_is_left_to_the_search(job: Job) -> None:
    types: Json = ["uint8", "int16"]
    job["passes"] = [{"static_quant": {"data": "test", "format": "qoperator", "activation_type": types}}]
    assert plan(job).space.count() == 2


def test_nothing_needs_no_unit(job: Job) -> None:
    job["constraints"] = [{"metric": "size", "max_increase": 0}]
    assert plan(job).constraints[0].amount == 0


def test_the_kind_to_deliver_is_what_the_last_step_produces(job: Job) -> None:
    assert plan(job).output.kind == "onnx"
    assert plan({**job, "passes": []}).output.kind == ""


@pytest.mark.parametrize("written", [{"op_types": ["MatMul"]}, {"per_channel": {"value": True}}])
def test_a_step_without_a_choice_may_be_the_baseline(job: Job, written: Json) -> None:
    job["passes"] = [{"name": "first", "dynamic_quant": written}, {"name": "q", "one_of": [{"float16": {}}, "none"]}]
    assert plan({**job, "baseline": "first"}).baseline == "first"
    assert problems({**job, "baseline": "q"}) == [("OL112", "baseline")]


def test_every_value_of_a_choice_of_data_is_looked_at(job: Job) -> None:
    data = cast("Job", cast("Job", job["data"])["test"])
    job["data"] = {"test": {**data, "use": ["selection"]}, "calibration": data}
    job["passes"] = [{"static_quant": {"data": ["calibration", "test"]}}]
    assert ("OL112", "passes.0.static_quant.data") in problems(job)


def test_data_that_are_marked_for_something_else_are_refused(job: Job) -> None:
    data = cast("Job", cast("Job", job["data"])["test"])
    job["data"] = {"test": {**data, "use": ["selection"]}}
    job["passes"] = [{"static_quant": {"data": "test"}}]
    assert ("OL112", "passes.0.static_quant.data") in problems(job)
    job["data"] = {"test": {**data, "use": ["calibration"]}}
    assert ("OL112", "metrics.accuracy.data") in problems(job)


def test_a_step_that_can_take_nothing_of_what_arrives_is_found_before_any_work(job: Job) -> None:
    job["passes"] = [{"split": {}}, {"simplify": {}}]
    assert ("OL112", "passes.1") in problems(job)
    job["passes"] = [{"split": {}}, {"name": "way", "one_of": [{"compose": {}}, {"simplify": {}}]}]
    assert ("OL112", "passes.1.one_of.1") in problems(job)


def test_steps_that_may_fit_are_left_to_the_run(job: Job) -> None:
    for passes in (
        [{"compose": {}}],
        [{"split": {}}, {"compose": {}}, {"simplify": {}}],
        [{"name": "cut", "one_of": [{"split": {}}, "none"]}, {"compose": {}, "when": {"cut": "split"}}],
        [{"name": "cut", "one_of": [{"split": {}}, "none"]}, {"simplify": {}}],
    ):
        job["passes"] = cast("Json", passes)
        assert plan(job).passes


def test_a_mistake_is_not_said_twice_for_what_follows_from_it(job: Job) -> None:
    job["metrics"] = {"accuracy": {"type": "acuracy", "data": "test"}, "size": {"type": "size"}}
    assert problems(job) == [("OL107", "metrics.accuracy.type")]


def test_a_collection_inside_a_declared_type_is_found() -> None:
    assert holds_collection(list[int])
    assert holds_collection(str | tuple[str, ...])
    assert not holds_collection(int | str | None)


def test_a_workflow_built_in_code_gives_the_same_plan_as_its_text(job: Job, tmp_path: Path) -> None:
    import olivelike
    from olivelike.workflow.load import load
    from olivelike.workflow.write import to_yaml

    built = olivelike.Workflow.model_validate(job)
    file = tmp_path / "workflow.yaml"
    file.write_text(to_yaml(built))
    assert load(file).workflow == built
    assert open_workflow(built).plan.document == open_workflow(file).plan.document


@pytest.mark.parametrize(
    ("calibration", "recipes", "note"),
    [
        ("minmax", 1, "static_quant.percentile has no effect with the other parameters of the step"),
        (
            ["minmax", "percentile"],
            3,
            "static_quant.percentile has no effect in 2 of 4 combinations, which count as one recipe each",
        ),
        ("percentile", 2, ""),
    ],
)
def test_a_parameter_without_effect_makes_no_second_recipe_and_is_noted(
    job: Job, calibration: Json, recipes: int, note: str
) -> None:
    job["passes"] = [{"static_quant": {"percentile": [99, 99.9], "calibration": calibration, "data": "test"}}]
    made = plan(job)
    assert len(list(made.space.recipes())) == recipes
    assert made.notes == ((note,) if note else ())

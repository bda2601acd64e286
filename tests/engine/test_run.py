"""A run from a workflow to a report, on a small real model: choice, cache, failures, infeasible and undecided ends."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import olivelike
from olivelike.contracts.outcome import Failed
from olivelike.digest import Json
from olivelike.engine.events import Event, Noted, TrialEnded
from olivelike.engine.opened import open_workflow
from olivelike.errors import InputError, StepError

Job = dict[str, Json]


def run(job: Job, *overrides: str, ship_closest: bool = False) -> olivelike.Report:
    return olivelike.run(job, overrides=overrides, ship_closest=ship_closest)


def hugging_face_folder(folder: Path) -> Path:
    """Writes a folder as Transformers saves one: a configuration and weights in safetensors."""
    header = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    return folder


def test_the_smaller_model_that_keeps_the_accuracy_wins(job: Job, tmp_path: Path) -> None:
    report = run(job)
    assert report.status == "feasible"
    assert report.best.recipe == ("dynamic_quant",)
    assert report.best.metrics["size.bytes"].value < report.contract.baseline.metrics["size.bytes"].value
    bundle = tmp_path / "out"
    assert {"model.onnx", "report.json", "olivelike.lock.json", "README.md"} <= {p.name for p in bundle.iterdir()}
    assert json.loads((bundle / "report.json").read_text())["chosen"][0]["path"] == str(bundle)


def test_the_session_of_the_best_model_runs(job: Job) -> None:
    session = run(job).best.session()
    name = session.get_inputs()[0].name
    width = session.get_inputs()[0].shape[-1]
    outputs = session.run(None, {name: np.zeros((2, width), "float32")})
    assert np.isfinite(outputs[0]).all()


def test_a_second_run_computes_nothing_and_says_the_same(job: Job) -> None:
    first, second = run(job), run(job)
    cost = second.contract.cost
    assert (cost.steps_run, cost.measurements_run, cost.workers_started) == (0, 0, 0)
    ours, theirs = first.to_json(), second.to_json()
    for answer in (ours, theirs):
        answer.pop("cost")
    assert ours == theirs


def test_one_changed_weight_changes_the_result(job: Job) -> None:
    path = Path(str(cast("Job", job["model"])["path"]))
    before = run(job)
    model = onnx.load(path)
    tensor = next(t for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT)
    array = numpy_helper.to_array(tensor).copy()
    array.flat[0] += 1.0
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    onnx.save(model, path)
    after = run(job)
    assert after.contract.cost.steps_cached == 0
    assert after.contract.chosen[0].digest != before.contract.chosen[0].digest


def test_one_changed_weight_in_external_data_changes_the_result(job: Job, tmp_path: Path) -> None:
    path = tmp_path / "external" / "model.onnx"
    path.parent.mkdir()
    model = onnx.load(str(cast("Job", job["model"])["path"]))
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    job["model"] = {"path": str(path)}
    before = run(job)
    weights = path.with_name("weights.bin")
    data = bytearray(weights.read_bytes())
    data[2] ^= 0x20
    weights.write_bytes(data)
    after = run(job)
    assert after.contract.cost.steps_cached == 0
    assert after.contract.chosen[0].digest != before.contract.chosen[0].digest


def test_nothing_that_holds_ends_infeasible_and_keeps_the_older_bundle(job: Job, tmp_path: Path) -> None:
    run(job)
    older = (tmp_path / "out" / "model.onnx").read_bytes()
    job["constraints"] = [{"metric": "size", "at_most": "1 KB"}]
    report = run(job)
    assert report.status == "infeasible"
    assert (tmp_path / "out" / "model.onnx").read_bytes() == older
    beside = json.loads((tmp_path / "out.report.json").read_text())
    assert beside["status"] == "infeasible"
    assert beside["chosen"][0]["path"] is None
    assert "size.bytes at_most 1000" in report.contract.why
    with pytest.raises(LookupError, match="infeasible"):
        _ = report.best


def test_the_closest_is_written_on_request_and_the_run_stays_infeasible(job: Job, tmp_path: Path) -> None:
    job["constraints"] = [{"metric": "size", "at_most": "1 KB"}]
    report = run(job, ship_closest=True)
    assert report.status == "infeasible"
    assert (tmp_path / "out" / "model.onnx").is_file()


def test_a_constraint_inside_the_interval_is_undecided(job: Job) -> None:
    job["passes"] = [{"dynamic_quant": {}}]
    job["constraints"] = [{"metric": "accuracy", "at_least": 0.99}]
    job["objectives"] = []
    report = run(job)
    assert report.status in {"undecided", "infeasible"}
    trial = report.contract.trials[0]
    assert trial.undecided or trial.violates


def test_nothing_beats_the_baseline_and_the_baseline_is_handed_out(job: Job) -> None:
    job["objectives"] = [{"maximize": "accuracy"}]
    job["constraints"] = [{"metric": "size", "max_increase": 0}]
    job["passes"] = [{"convert_opset": {"target": 21}}]
    report = run(job)
    assert report.status == "feasible"
    chosen = report.contract.chosen[0]
    assert chosen.trial in {-1, 0}
    assert "cannot be told apart" in chosen.why or "nothing beats" in chosen.why


def test_a_workflow_without_goals_builds_its_one_recipe(job: Job) -> None:
    job |= {"constraints": [], "objectives": [], "passes": [{"dynamic_quant": {}}]}
    report = run(job)
    assert (report.status, report.best.recipe) == ("built", ("dynamic_quant",))
    assert set(report.best.metrics) >= {"size.bytes", "accuracy.top1"}


def test_a_workflow_without_passes_only_measures(job: Job) -> None:
    job |= {"constraints": [], "objectives": [], "passes": []}
    report = run(job)
    assert report.status == "built"
    assert report.best.recipe == ()


def test_a_model_in_parts_is_never_measured_as_if_its_first_part_were_it(job: Job, tmp_path: Path) -> None:
    job |= {"constraints": [], "objectives": [], "passes": [{"split": {"parts": 2}}]}
    report = run(job)
    assert set(report.best.metrics) == {"size.bytes"}
    assert "accuracy cannot measure an artifact of the kind onnx-parts" in str(report.to_json())
    with pytest.raises(StepError, match="no single model"):
        _ = report.best.path
    bundle = tmp_path / "out"
    assert {"part0.onnx", "part1.onnx"} <= {path.name for path in bundle.iterdir()}
    script = (bundle / "README.md").read_text().partition("```python\n")[2].partition("```")[0]
    given = "{entry.name: __import__('numpy').zeros((2, entry.shape[-1]), 'float32') for entry in onnxruntime"
    feeds = f"{given}.InferenceSession('part0.onnx').get_inputs()}}"
    done = subprocess.run(
        [sys.executable, "-c", script.replace("{}  #", f"{feeds}  #") + "print(sorted(values))"],
        cwd=bundle,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "logits" in done.stdout


def test_parts_put_together_again_are_the_model(job: Job) -> None:
    job |= {"constraints": [], "objectives": [], "passes": [{"split": {"parts": 2}, "verify": "full"}, {"compose": {}}]}
    report = run(job)
    baseline = run({**job, "passes": []}).best.metrics
    assert report.best.metrics["accuracy.top1"].value == baseline["accuracy.top1"].value


def test_a_step_may_be_the_baseline(job: Job) -> None:
    job["passes"] = [{"simplify": {}}, *cast("list[Json]", job["passes"])]
    job["baseline"] = "simplify"
    report = run(job)
    assert report.contract.baseline.name == "simplify"
    assert report.status == "feasible"


def test_the_pareto_set_is_written_side_by_side(job: Job, tmp_path: Path) -> None:
    job["output"] = {"path": str(tmp_path / "out"), "keep": "all"}
    report = run(job)
    folders = {Path(choice.path) for choice in report.contract.chosen}
    assert len(folders) == len(report.contract.chosen) >= 2
    assert all((folder / "model.onnx").is_file() for folder in folders)
    assert {"README.md", "report.json", "olivelike.lock.json"} <= {path.name for path in (tmp_path / "out").iterdir()}
    run(job)  # the bundle of several models is known for ours, and is replaced
    (folders.pop() / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"OL116.*/?notes\.txt"):
        run(job)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("raises", "OL302"),
        ("returns_nothing", "OL303"),
        ("names_no_part", "OL303"),
        ("writes_garbage", "OL304"),
        ("forgets_the_file", "OL303"),
        ("explodes", "OL305"),
    ],
)
@pytest.mark.usefixtures("bad_passes")
def test_a_pass_that_breaks_its_contract_fails_its_trial_and_the_run_goes_on(job: Job, name: str, code: str) -> None:
    job["passes"] = [{"name": "quantize", "one_of": [{name: {}}, {"dynamic_quant": {}}]}]
    report = run(job)
    failed, good = report.to_dicts()
    assert (failed["outcome"], good["outcome"]) == ("failed", "measured")
    assert code in str(failed["verdict"])
    assert report.status == "feasible"


@pytest.mark.usefixtures("bad_passes")
def test_a_pass_declared_lossless_that_is_not_is_found_by_the_full_check(job: Job) -> None:
    job["passes"] = [{"name": "try", "one_of": [{"lies": {}, "verify": "full"}, "none"]}]
    report = run(job)
    assert "OL306" in str(report.to_dicts()[0]["verdict"])


@pytest.mark.usefixtures("bad_passes")
def test_when_no_candidate_can_be_measured_the_run_has_failed(job: Job) -> None:
    job["passes"] = [{"raises": {}}]
    report = run(job)
    assert report.status == "failed"
    assert report.contract.status.exit_code == 5
    assert "the planted error" in report.contract.why


@pytest.mark.usefixtures("bad_passes")
def test_a_refusal_is_an_outcome_with_its_reason_and_is_remembered(job: Job) -> None:
    job["passes"] = [{"name": "try", "one_of": [{"refuses_all": {}}, "none"]}]
    for _ in range(2):
        report = run(job)
        row = report.to_dicts()[0]
        assert (row["outcome"], "the planted reason" in str(row["verdict"])) == ("refused", True)
    assert report.contract.cost.steps_run == 0


@pytest.mark.usefixtures("bad_passes")
def test_a_failure_is_tried_again_by_the_next_run(job: Job) -> None:
    job["passes"] = [{"name": "try", "one_of": [{"raises": {}}, "none"]}]
    run(job)
    assert run(job).contract.cost.steps_run == 1


@pytest.mark.usefixtures("bad_passes")
def test_a_pass_that_kills_its_worker_fails_its_trial_alone(job: Job) -> None:
    job["run"] = {**cast("Job", job["run"]), "executor": "process"}
    job["passes"] = [{"name": "quantize", "one_of": [{"dies": {}}, {"dynamic_quant": {}}]}]
    report = run(job)
    failed, good = report.to_dicts()
    assert (failed["outcome"], good["outcome"]) == ("failed", "measured")
    assert "OL501" in str(failed["verdict"])


def test_several_trials_in_flight_give_the_same_answer(job: Job, tmp_path: Path) -> None:
    job["run"] = {"executor": "process", "workers": 2, "cache": str(tmp_path / "parallel")}
    parallel = run(job)
    job["run"] = {"executor": "inline", "cache": str(tmp_path / "serial")}
    serial = run(job)
    assert parallel.contract.chosen[0].digest == serial.contract.chosen[0].digest
    assert [t.number for t in parallel.contract.trials] == [0, 1, 2]


def test_an_output_path_of_somebody_else_s_is_refused_and_kept(job: Job, tmp_path: Path) -> None:
    foreign = tmp_path / "out" / "thesis.tex"
    foreign.parent.mkdir()
    foreign.write_text("years of work")
    with pytest.raises(InputError, match="OL116"):
        run(job)
    assert foreign.read_text() == "years of work"


def test_a_model_can_be_rebuilt_from_its_lock_to_the_same_bytes(job: Job, tmp_path: Path) -> None:
    from olivelike.engine.rebuild import rebuild
    from olivelike.engine.session import Settings

    run(job)
    again = rebuild(
        tmp_path / "out" / "olivelike.lock.json", None, str(tmp_path / "again"), Settings(str(tmp_path / "c2"))
    )
    assert again.differences == ()
    assert (tmp_path / "again" / "model.onnx").read_bytes() == (tmp_path / "out" / "model.onnx").read_bytes()


def test_a_model_can_be_rebuilt_from_the_lock_of_several(job: Job, tmp_path: Path) -> None:
    from olivelike.engine.rebuild import rebuild
    from olivelike.engine.session import Settings

    data = Path(str(cast("Job", cast("Job", job["data"])["test"])["npz"]))
    job["data"] = {"test": {"npz": data.name, "labels": "labels"}}
    job["model"] = {"path": "model.onnx"}
    job["output"] = {"path": "out", "keep": "all"}
    (data.parent / "w.json").write_text(json.dumps(job))
    olivelike.run(data.parent / "w.json")
    for lock in (data.parent / "out").rglob("olivelike.lock.json"):
        assert rebuild(lock, None, "", Settings()).differences == (), lock


def test_a_rebuild_says_what_differs(job: Job, tmp_path: Path) -> None:
    from olivelike.engine.rebuild import rebuild
    from olivelike.engine.session import Settings

    run(job)
    path = Path(str(cast("Job", job["model"])["path"]))
    model = onnx.load(path)
    model.graph.initializer[0].CopyFrom(
        numpy_helper.from_array(numpy_helper.to_array(model.graph.initializer[0]) * 2, model.graph.initializer[0].name)
    )
    onnx.save(model, path)
    again = rebuild(tmp_path / "out" / "olivelike.lock.json", None, "", Settings(str(tmp_path / "c2")))
    assert any("source model changed" in line for line in again.differences)
    assert any("model differs" in line for line in again.differences)


@pytest.mark.usefixtures("bad_passes")
@pytest.mark.parametrize(
    ("bound", "status", "rounds"), [("4.9 ms", "feasible", 3), ("4.1 ms", "undecided", 4), ("7 ms", "feasible", 1)]
)
def test_an_undecided_candidate_is_measured_longer(job: Job, bound: str, status: str, rounds: int) -> None:
    job["metrics"] = {"vague": {"type": "vague"}, "size": {"type": "size"}}
    job["constraints"] = [{"metric": "vague", "at_most": bound}]
    job["passes"] = [{"dynamic_quant": {}}]
    report = run(job)
    assert report.status == status
    [row] = report.contract.trials
    assert row.outcome.metrics["vague.ms"].n == rounds  # type: ignore[union-attr]


@pytest.mark.usefixtures("bad_passes")
def test_one_trial_is_made_and_not_measured_longer_when_the_time_is_up(job: Job) -> None:
    job["metrics"] = {"vague": {"type": "vague"}}
    job["constraints"] = [{"metric": "vague", "at_most": "4.9 ms"}]
    job["objectives"] = []
    job["passes"] = [{"dynamic_quant": {}}]
    job["search"] = {"time_limit": "0.001 s"}
    report = run(job)
    assert (len(report.contract.trials), report.status) == (1, "undecided")


@pytest.mark.usefixtures("bad_passes")
def test_an_input_that_cannot_be_measured_gives_way_to_what_the_first_capturing_step_makes(
    job: Job, tmp_path: Path
) -> None:
    job["model"] = {"path": str(hugging_face_folder(tmp_path / "hf"))}
    job["passes"] = [{"captures": {}}, *cast("list[Json]", job["passes"])]
    report = run(job)
    assert report.status == "feasible"
    assert report.best.recipe == ("captures", "dynamic_quant")
    assert any("the baseline is what captures makes" in note for note in report.contract.notes)


def test_a_kind_that_nothing_makes_of_this_model_is_refused_before_any_work(job: Job) -> None:
    job |= {"constraints": [], "objectives": [], "passes": [], "output": {"kind": "tflite"}}
    with pytest.raises(InputError, match=r"OL112 output\.kind.*they make: onnx"):
        run(job)


@pytest.mark.usefixtures("bad_passes")
def test_a_preview_knows_the_baseline_that_a_capturing_step_makes(job: Job, tmp_path: Path) -> None:
    from olivelike.engine.preview import preview
    from olivelike.engine.session import Settings, desk_for

    job["model"] = {"path": str(hugging_face_folder(tmp_path / "hf"))}
    job["passes"] = [{"captures": {}}, *cast("list[Json]", job["passes"])]
    run(job)
    with desk_for(open_workflow(job), Settings()) as (desk, prepared):
        found = preview(desk, prepared.source)
    assert found.recipes[0].recipe.steps[0].name == "captures"
    assert {look.found.value for look in found.recipes[0].measurements} == {"hit"}
    assert any("the baseline is what captures makes" in note for note in found.notes)


def test_an_input_that_no_step_captures_is_refused_with_its_kind(job: Job, tmp_path: Path) -> None:
    job["model"] = {"path": str(hugging_face_folder(tmp_path / "hf"))}
    with pytest.raises(InputError, match="kind hf, which cannot be measured"):
        run(job)


@pytest.mark.parametrize("strategy", ["single", "grid", "random", "tpe", "auto"])
def test_every_strategy_ends_in_a_model_that_holds(job: Job, strategy: str) -> None:
    job["search"] = {"strategy": strategy, "max_trials": 5}
    report = run(job)
    assert report.status == "feasible"
    steps = [str(row["steps"]) + str(row["number"]) for row in report.to_dicts()]
    assert len(steps) == len(set(steps)) == (1 if strategy == "single" else 3)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_search_without_improvement_stops_after_the_same_trial_whatever_the_workers(job: Job, workers: int) -> None:
    job["search"] = {"no_improvement": 1}
    job["passes"] = [{"name": "quantize", "one_of": [{"dynamic_quant": {}}, "none", {"float16": {}}]}]
    job["run"] = {**cast("Job", job["run"]), "executor": "process", "workers": workers}
    report = run(job)
    assert [trial.number for trial in report.contract.trials] == [0, 1]
    assert report.to_json()["search"] == {"stopped_by": "no_improvement", "tried": 2, "of": 3}
    assert "cut short by search.no_improvement: 2 of 3 recipes were tried" in report.contract.notes


def test_the_number_of_workers_does_not_change_what_a_learning_strategy_proposes(job: Job, tmp_path: Path) -> None:
    choices: Json = [True, False]
    types: Json = ["int8", "uint8"]
    job["passes"] = [{"dynamic_quant": {"per_channel": choices, "reduce_range": choices, "weight_type": types}}]
    job["search"] = {"strategy": "tpe", "max_trials": 7}
    proposed = []
    for workers in (1, 3):
        job["run"] = {"executor": "process", "workers": workers, "cache": str(tmp_path / f"cache-{workers}")}
        report = run(job).contract
        proposed.append([trial.recipe.key for trial in report.trials])
        assert report.search.stopped_by.value == "max_trials"
    assert proposed[0] == proposed[1]
    assert len(proposed[0]) == 7


def test_the_report_says_that_everything_was_tried(job: Job) -> None:
    report = run(job)
    assert report.to_json()["search"] == {"stopped_by": "all_tried", "tried": 3, "of": 3}
    assert not any("cut short" in note for note in report.contract.notes)


def test_a_search_cut_short_by_max_trials_says_how_much_was_not_tried(job: Job) -> None:
    job["search"] = {"strategy": "random", "max_trials": 2}
    report = run(job)
    assert report.to_json()["search"] == {"stopped_by": "max_trials", "tried": 2, "of": 3}
    assert "cut short by search.max_trials: 2 of 3 recipes were tried" in report.contract.notes


@pytest.mark.usefixtures("bad_passes")
def test_what_breaks_in_the_engine_fails_its_trial_alone(job: Job) -> None:
    job["passes"] = [{"name": "try", "one_of": [{"needs_nobody_knows_what": {}}, {"dynamic_quant": {}}]}]
    report = run(job)
    broken, good = report.contract.trials
    assert isinstance(broken.outcome, Failed)
    assert "OL599 internal error: KeyError" in broken.outcome.reason
    assert "in needs" in broken.outcome.log
    assert (good.verdict.partition(":")[0], report.status) == ("chosen", "feasible")


def test_a_run_that_breaks_reports_the_trials_that_had_ended(job: Job, tmp_path: Path) -> None:
    def break_at_the_second(event: Event) -> None:
        if isinstance(event, TrialEnded) and event.trial.number == 1:
            raise RuntimeError("the planted error of a listener")

    report = olivelike.run(job, listener=break_at_the_second)
    assert (report.status, report.contract.status.exit_code) == ("failed", 5)
    assert "OL599 internal error: RuntimeError: the planted error" in report.contract.why
    written = json.loads((tmp_path / "out.report.json").read_text())
    assert (written["status"], len(written["trials"])) == ("failed", 2)


def test_a_model_that_cannot_be_written_is_reported_beside_the_output_path(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(path: Path, fill: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("olivelike.engine.deliver.put_in_place", no_space)
    report = run(job)
    assert (report.status, "No space left" in report.contract.why) == ("failed", True)
    assert json.loads((tmp_path / "out.report.json").read_text())["chosen"][0]["path"] is None


def test_a_step_that_two_trials_share_runs_once_with_two_workers(job: Job) -> None:
    job["passes"] = [{"simplify": {}}, {"name": "quantize", "one_of": [{"dynamic_quant": {}}, {"float16": {}}]}]
    job["run"] = {**cast("Job", job["run"]), "executor": "process", "workers": 2}
    cost = run(job).contract.cost
    assert (cost.steps_run, cost.steps_cached) == (3, 1)


@pytest.mark.usefixtures("bad_passes")
def test_a_step_that_failed_is_not_tried_again_by_the_next_trial_of_the_same_run(job: Job) -> None:
    job["passes"] = [{"raises": {}}, {"name": "quantize", "one_of": [{"dynamic_quant": {}}, {"float16": {}}]}]
    report = run(job)
    assert (len(report.contract.trials), report.contract.cost.steps_run) == (2, 1)


def test_a_target_that_is_not_present_is_built_for_and_never_run_on(job: Job) -> None:
    job["target"] = {"device": "npu", "providers": ["qnn"], "present": False}
    report = run(job)
    assert report.status == "undecided"
    trial = report.contract.trials[0]
    assert "not present" in trial.outcome.unavailable["accuracy.top1"]  # type: ignore[union-attr]


def test_a_pass_that_calibrates_runs_on_the_cpu_for_a_target_that_is_not_present(job: Job) -> None:
    job["target"] = {"device": "npu", "providers": ["qnn"], "present": False}
    job |= {"constraints": [], "objectives": [], "passes": [{"static_quant": {"data": "test"}}]}
    report = run(job)
    assert (report.status, report.best.recipe) == ("built", ("static_quant",)), report.contract.why


def test_an_unavailable_metric_that_nothing_asks_for_rules_nobody_out(job: Job) -> None:
    job["target"] = {"device": "npu", "providers": ["qnn"], "present": False}
    job["constraints"] = []
    report = run(job)
    assert report.status == "feasible"
    assert report.best.recipe == ("dynamic_quant",)


@pytest.mark.usefixtures("bad_passes")
def test_a_baseline_that_fails_ends_no_run(job: Job) -> None:
    job["passes"] = [{"raises": {}}, {"dynamic_quant": {}}]
    job["baseline"] = "raises"
    job["constraints"] = [{"metric": "size", "at_most": "1 MB"}]
    report = run(job)
    assert report.contract.status.exit_code == 5
    assert "OL506" in report.contract.why
    assert any("OL505" in note for note in report.contract.notes)


def test_an_input_model_that_gives_no_numbers_ends_the_run_before_any_candidate(job: Job) -> None:
    path = Path(str(cast("Job", job["model"])["path"]))
    model = onnx.load(path)
    tensor = next(t for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT)
    tensor.CopyFrom(numpy_helper.from_array(np.full_like(numpy_helper.to_array(tensor), np.nan), tensor.name))
    onnx.save(model, path)
    report = run(job)
    assert (report.contract.status.exit_code, report.contract.trials) == (5, ())
    assert "OL505" in report.contract.why
    assert "it is the input model that gives them, before any step" in report.contract.why
    assert "float32" not in report.contract.why


@pytest.mark.usefixtures("bad_passes")
def test_what_the_baseline_shows_is_told_before_the_first_trial(job: Job) -> None:
    heard: list[Event] = []
    job["passes"] = [{"raises": {}}, {"dynamic_quant": {}}]
    olivelike.run(job | {"baseline": "raises"}, listener=heard.append)
    kinds = [type(event) for event in heard]
    assert kinds.index(Noted) < kinds.index(TrialEnded)
    assert "OL505" in next(event.text for event in heard if isinstance(event, Noted))


def test_a_workflow_without_goals_measures_nothing_but_its_one_recipe(job: Job) -> None:
    job |= {"constraints": [], "objectives": [], "passes": [{"dynamic_quant": {}}]}
    assert run(job).contract.cost.measurements_run == 2


def test_a_step_s_own_limits_go_before_the_workflow_s(job: Job) -> None:
    from olivelike.contracts.space import Limits
    from olivelike.engine.session import Settings, desk_for

    job["run"] = {**cast("Job", job["run"]), "limits": {"time": "3 s", "memory": "1 GiB"}}
    with desk_for(open_workflow(job), Settings()) as (desk, _):
        assert desk.limits(Limits(seconds=30)) == Limits(30, 1 << 30)
        assert desk.limits() == Limits(3, 1 << 30)
        late = replace(desk, deadline=0.0)
        assert late.limits(Limits(seconds=30)).seconds < 30


@pytest.mark.parametrize("within", ["10%", 0])
def test_measuring_all_and_until_decided_give_the_same_winner(job: Job, tmp_path: Path, within: Json) -> None:
    job["objectives"] = [{"minimize": "size", "within": within}]
    winners = set()
    for measure in ("all", "until_decided"):
        job["search"] = {"measure": measure}
        job["run"] = {"executor": "inline", "cache": str(tmp_path / measure)}
        winners.add(run(job).contract.chosen[0].trial)
    assert len(winners) == 1

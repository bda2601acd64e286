"""The cases of public models: the default space is valid, goals are held against what was found, data are made as they are told."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cases import fashion, silero, smollm2
from cases.case import (
    ROOT,
    Case,
    Figure,
    Goal,
    MissingError,
    Prepared,
    at_least_faster,
    drops_at_most,
    packaged,
    require,
)
from cases.space import DEFAULT_SPACE, workflow_text, write_workflow
from cases.table import markdown, row_of, unknown
from olivelike.api import load

SECONDS = 16_000
NAMES = ("fashion", "ocr", "minilm", "smollm2", "smollm2-small", "silero", "digits")


def case(*goals: Goal) -> Case:
    """A case that nothing can be prepared for."""

    def prepare(room: Path) -> Prepared:
        raise MissingError("made for a test")

    return Case("made-up", "a model", prepare, "accuracy.top1", "latency.p50", "half of it", goals)


def answer(ratio: float, accuracy: float) -> dict[str, Any]:
    """What a run says that found a model with this ratio of latencies and this accuracy, where the model as it was had 0.9."""
    versus = {"ratio": ratio, "low": ratio * 0.8, "high": ratio * 1.25}
    return {
        "status": "feasible",
        "why": "",
        "baseline": {
            "metrics": {"latency.p50": {"value": 2.0}, "accuracy.top1": {"value": 0.9}, "size.bytes": {"value": 4e6}}
        },
        "chosen": [
            {
                "steps": [{"pass": "float16", "config": {"keep_io_types": True, "op_block_list": ["Softmax"]}}],
                "metrics": {
                    "latency.p50": {"value": 2.0 * ratio, "versus_baseline": versus},
                    "accuracy.top1": {"value": accuracy},
                    "size.bytes": {"value": 2e6},
                },
            }
        ],
    }


def test_every_case_of_the_issue_is_there() -> None:
    assert tuple(each.name for each in importlib.import_module("public_models").CASES) == NAMES


def test_default_space_is_a_valid_workflow_with_the_data_of_a_case(tmp_path: Path) -> None:
    text = workflow_text(fashion.CASE, fashion.prepare(tmp_path))
    plan = load(write_workflow(tmp_path, text)).plan
    assert text.endswith(DEFAULT_SPACE)
    assert [constraint.key for constraint in plan.constraints] == ["accuracy.top1"]
    assert plan.search.max_trials >= 30


def test_the_guide_shows_the_default_space() -> None:
    assert f"```yaml\n{DEFAULT_SPACE}```" in (ROOT / "docs" / "how-to" / "search-for-a-format.md").read_text("utf-8")


def test_default_space_names_no_node_of_a_model() -> None:
    assert "nodes" not in DEFAULT_SPACE


def test_workflow_without_passes_measures_the_model_alone(tmp_path: Path) -> None:
    plan = load(write_workflow(tmp_path, workflow_text(fashion.CASE, fashion.prepare(tmp_path), passes=""))).plan
    assert not plan.constraints and not plan.objectives


def test_a_setting_as_good_as_the_one_by_hand_reaches_its_goals() -> None:
    made_up = case(at_least_faster("latency.p50", 2.0), drops_at_most("accuracy.top1", 0.01))
    row = row_of(made_up, answer(0.5, 0.895), {"float16": {"keep_io_types": True, "op_block_list": []}})
    assert not row.missed
    assert row.cells[1] == "`float16` (op_block_list: [Softmax])", "defaults are not repeated"
    assert row.cells[2] == "accuracy.top1 0.9 -> 0.895"
    assert row.cells[3] == "2.00 x as fast [1.60, 2.50], from 2 ms", "the reciprocal of 0.5 [0.4, 0.625]"
    assert row.cells[4] == "4.00 -> 2.00 MB"


def test_a_search_that_ended_early_says_how_much_it_tried() -> None:
    early = {**answer(0.5, 0.9), "search": {"stopped_by": "time_limit", "tried": 7, "of": 68}}
    assert row_of(case(), early, {}).cells[1].endswith("; 7 of 68 recipes tried")
    whole = {**early, "search": {"stopped_by": "all_tried", "tried": 68, "of": 68}}
    assert "tried" not in row_of(case(), whole, {}).cells[1]


def test_a_goal_that_is_not_reached_says_so_and_is_missed() -> None:
    row = row_of(case(at_least_faster("latency.p50", 2.0), drops_at_most("accuracy.top1", 0.0)), answer(0.4, 0.89), {})
    assert row.missed
    assert row.cells[5] == "latency.p50 >= 2 x as fast: reached; accuracy.top1 no drop: not reached"


def test_a_goal_on_what_was_not_measured_is_missed() -> None:
    found = answer(0.5, 0.9)
    del found["chosen"][0]["metrics"]["latency.p50"]
    row = row_of(case(at_least_faster("latency.p50", 1.0)), found, {})
    assert row.missed and row.cells[3] == "was not measured"


def test_a_run_that_chose_nothing_is_a_row_with_its_reason() -> None:
    row = row_of(case(), {"status": "failed", "why": "it broke", "chosen": [], "baseline": {"metrics": {}}}, {})
    assert row.missed and row.cells[1] == "failed: it broke"


def test_a_case_that_was_left_out_misses_nothing() -> None:
    row = unknown(case(at_least_faster("latency.p50", 9.0)), "x is not installed: pip install x")
    assert not row.missed
    assert "| x is not installed: pip install x |" in markdown([row])


def test_perplexity_goals_go_by_the_ratio_of_what_was_found_by_hand() -> None:
    goal = next(each for each in smollm2.FAST.goals if each.metric == "language.perplexity")
    assert goal.reached(Figure(50.5, 46.6, 50.5 / 46.6)) and not goal.reached(Figure(50.5, 42.0, 50.5 / 42.0))


def test_a_missing_package_is_named_with_the_way_to_get_it() -> None:
    with pytest.raises(MissingError, match=r"no_such_package/model\.onnx is not installed: pip install that"):
        packaged("no_such_package", "model.onnx", "pip install that")
    with pytest.raises(MissingError, match="no_such_package not installed"):
        require("pip install that", "numpy", "no_such_package")


def test_recordings_are_frames_with_their_past_and_a_label_for_each(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    phrase = np.concatenate([np.zeros(SECONDS // 2), draw.standard_normal(SECONDS), np.zeros(SECONDS // 2)])
    silero.write_frames(tmp_path / "test.npz", [phrase.astype(np.float32)], recordings=10, seed=0)
    with np.load(tmp_path / "test.npz") as file:
        frames, labels = file["input"].reshape(10, silero.FRAMES, -1), file["label"].reshape(10, silero.FRAMES)
    assert frames.shape[2] == silero.BEFORE + silero.NEW and frames.dtype == np.float32
    np.testing.assert_array_equal(frames[:, 1:, : silero.BEFORE], frames[:, :-1, -silero.BEFORE :])
    assert set(np.unique(labels)) == {0, 1}
    spoken = labels.any(axis=1)
    assert spoken.any() and not spoken.all(), "a fifth of the recordings is noise alone"
    loudness = np.sqrt((frames[spoken][:, :, silero.BEFORE :] ** 2).mean(axis=2))
    assert loudness[labels[spoken] == 1].mean() > 1.2 * loudness[labels[spoken] == 0].mean(), (
        "the silence inside is no speech"
    )


def test_the_same_seed_mixes_the_same_recordings(tmp_path: Path) -> None:
    phrases = [np.sin(np.arange(SECONDS) / 20).astype(np.float32)]
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        silero.write_frames(tmp_path / f"{name}.npz", phrases, recordings=2, seed=seed)
    one, again, other = (np.load(tmp_path / f"{name}.npz")["input"] for name in ("one", "again", "other"))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)

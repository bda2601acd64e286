"""How many samples a constraint takes is said before anything runs."""

from __future__ import annotations

import pytest

from olivelike.digest import Json
from olivelike.engine.opened import open_workflow
from olivelike.engine.samples import sample_notes
from olivelike.evaluate.statistics.intervals import (
    matched_difference_interval,
    proportion_interval,
    samples_for_drop,
)


@pytest.mark.parametrize("drop", [0.1, 0.01, 0.003])
def test_so_many_samples_and_not_one_less_show_the_drop_when_no_answer_changes(drop: float) -> None:
    n = samples_for_drop(drop, 0.0)
    assert -matched_difference_interval(0, 0, n).low <= drop < -matched_difference_interval(0, 0, n - 1).low


def test_changed_answers_take_more_as_the_square_of_the_bound() -> None:
    assert samples_for_drop(0.001, 0.02) == pytest.approx(100 * samples_for_drop(0.01, 0.02), rel=0.2)


@pytest.mark.parametrize(
    ("drop", "told"),
    [(0.001, "cannot be shown on data.test: it has 200"), (0.02, "may stay undecided on data.test"), (0.2, "")],
)
def test_a_plan_says_when_its_samples_are_too_few(job: dict[str, Json], drop: float, told: str) -> None:
    job["constraints"] = [{"metric": "accuracy", "max_drop": drop}]
    notes = sample_notes(open_workflow(job).plan)
    assert (told in notes[0]) if told else not notes


@pytest.mark.parametrize(
    ("constraint", "told"),
    [
        ({"max_drop": "0.1%"}, "cannot be shown on data.test: it has 200, and that takes at least 3,"),
        ({"max_drop": "20%"}, ""),
        ({"at_least": 0.99}, "cannot be shown on data.test: it has 200, and that takes at least 381 samples"),
        ({"at_least": 0.9}, ""),
    ],
)
def test_relative_bounds_and_bounds_on_the_share_itself_take_samples_too(
    job: dict[str, Json], constraint: dict[str, Json], told: str
) -> None:
    job["constraints"] = [{"metric": "accuracy", **constraint}]
    notes = sample_notes(open_workflow(job).plan)
    assert (told in notes[0]) if told else not notes


def test_so_many_right_answers_and_not_one_less_show_a_share() -> None:
    assert proportion_interval(381, 381).low >= 0.99 > proportion_interval(380, 380).low


@pytest.mark.parametrize(("samples", "warned"), [(99, True), (100, False)])
def test_few_samples_of_any_other_metric_are_named(job: dict[str, Json], samples: int, warned: bool) -> None:
    job["data"]["test"]["samples"] = samples  # type: ignore[index,call-overload]
    job["metrics"] = {"error": {"type": "regression", "data": "test"}}
    job["constraints"] = [{"metric": "error.mae", "max_increase": 0.1}]
    job["objectives"] = []
    notes = sample_notes(open_workflow(job).plan)
    assert any("may stay undecided on data.test: it has 99" in note for note in notes) is warned


def test_what_the_user_is_told_comes_before_the_first_trial(job: dict[str, Json]) -> None:
    import olivelike

    heard: list[object] = []
    job["constraints"] = [{"metric": "accuracy", "max_drop": 0.001}]
    olivelike.run(job, listener=heard.append)
    assert isinstance(heard[0], olivelike.RunStarted)
    assert any("cannot be shown" in note for note in heard[0].notes)

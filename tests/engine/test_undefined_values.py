"""A value undefined on the data leaves its constraint open and the report says why; a user's function gone wrong is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import olivelike
from olivelike.contracts.outcome import Measured
from olivelike.digest import Json
from olivelike.errors import InputError

Job = dict[str, Json]


def relabelled(job: Job, tmp_path: Path, metric: dict[str, Json], most: int = 200, limit: str = "max_drop") -> Job:
    """Gives the job constant labels and another quality metric."""
    data = cast("dict[str, Any]", job["data"])
    with np.load(data["test"]["npz"]) as known:
        np.savez(tmp_path / "constant.npz", x=known["x"][:most], labels=np.zeros(len(known["x"][:most]), np.int64))
    job["data"] = {"test": {"npz": str(tmp_path / "constant.npz"), "labels": "labels"}}
    job["metrics"] = {"quality": {"data": "test", **metric}, "size": {"type": "size"}}
    job["constraints"] = [{"metric": "quality", limit: 0.2}]
    return job


def test_constant_labels_leave_the_constraint_open_and_the_report_says_why(job: Job, tmp_path: Path) -> None:
    report = olivelike.run(relabelled(job, tmp_path, {"type": "classification", "values": ["auroc"], "classes": [0]}))
    assert report.status == "undecided"
    reason = "all 200 labels are 0, and auroc needs two classes"
    for trial in report.contract.trials:
        assert isinstance(trial.outcome, Measured)
        assert trial.outcome.unavailable["quality.auroc"] == reason
    assert reason in report.contract.why
    assert all(reason in trial.verdict for trial in report.contract.trials)
    print(
        report.contract.why,
        [t.verdict for t in report.contract.trials]
        if hasattr(report.contract.trials[0], "verdict")
        else report.contract.trials[0],
        report.contract.notes,
        report.to_dicts(),
    )


@pytest.mark.parametrize("samples", [1, 2])
def test_too_few_samples_leave_the_constraint_open(job: Job, tmp_path: Path, samples: int) -> None:
    report = olivelike.run(
        relabelled(job, tmp_path, scripted(tmp_path, "outputs['logits'][:, 0]"), samples, "max_increase")
    )
    assert report.status == "undecided"
    assert f"{samples} samples are too few for an interval" in json.dumps(report.to_json())


def scripted(folder: Path, returned: str) -> dict[str, Json]:
    """Writes a user's function and returns the metric that calls it."""
    (folder / "user.py").write_text(f"def score(outputs, labels):\n    return {returned}\n")
    call: dict[str, Json] = {"script": str(folder / "user.py"), "call": "score"}
    return {"type": "regression", "values": ["mae"], "postprocess": call}


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        ("1 / 0", r"OL209 .*user.py:2: .*ZeroDivisionError"),
        ("None", "OL209: what score returned is of type object"),
        ("'good'", "OL209: what score returned is of type <U4"),
        ("labels[:3] * 1.0", r"OL209: .* shape \[3\]: 64 samples need numbers \[64\]"),
    ],
)
def test_a_users_function_gone_wrong_ends_the_run_with_its_place(
    job: Job, tmp_path: Path, returned: str, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        olivelike.run(relabelled(job, tmp_path, scripted(tmp_path, returned), limit="max_increase"))


def test_nan_from_a_users_function_is_a_failed_measurement_not_a_number(job: Job, tmp_path: Path) -> None:
    """It may be the model's fault (a logarithm of a score that became 0), so other candidates go on."""
    metric = scripted(tmp_path, "labels * float('nan')")
    report = olivelike.run(relabelled(job, tmp_path, metric, limit="max_increase"))
    assert report.status == "failed"
    assert "OL504: what score returned is not finite in 64 of 64 values" in json.dumps(report.to_json())

"""A run killed at any moment and started again ends in the same answer, with a store that checks clean."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from olivelike.digest import Json
from olivelike.store import open_store

Job = dict[str, Json]


def written(job: Job, folder: Path, name: str) -> list[str]:
    """Writes the job with a store and an output of its own and returns the command that runs it."""
    job = {**job, "output": {"path": f"out-{name}"}, "run": {"cache": str(folder / f"cache-{name}")}}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(job))
    return [sys.executable, "-m", "olivelike", "run", str(path), "--json"]


def answer_of(command: list[str]) -> dict[str, object]:
    """Runs a command to its end and returns what it answers, without what differs from run to run."""
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    answer: dict[str, object] = json.loads(ended.stdout)
    del answer["cost"]
    for choice in answer["chosen"]:  # type: ignore[attr-defined]
        del choice["path"]
    return answer


def killed_at(command: list[str], seconds: float) -> bool:
    """Starts a command, kills it after a while, and returns whether it was still running."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    return process.wait() == -signal.SIGKILL


def storm(job: Job, folder: Path, kills: int) -> None:
    """Kills a run so many times at random moments and compares what it ends in with an undisturbed run."""
    begin = time.monotonic()
    undisturbed = answer_of(written(job, folder, "undisturbed"))
    duration = time.monotonic() - begin
    rng = random.Random(20)
    command = written(job, folder, "storm")
    store = folder / "cache-storm"
    done = 0
    while done < kills:
        if killed_at(command, rng.uniform(0.1, duration)):
            done += 1
        else:  # it came to its end: begin anew, so that there is work to be killed in
            open_store(store).clear()
    assert answer_of(command) == undisturbed
    with open_store(store) as survived:
        assert survived.verify().bad == ()
    assert (folder / "out-storm" / "model.onnx").read_bytes() == (
        folder / "out-undisturbed" / "model.onnx"
    ).read_bytes()


def test_a_run_killed_a_few_times_ends_in_the_same_answer(job: Job, tmp_path: Path) -> None:
    storm(job, tmp_path, 4)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_run_killed_fifty_times_ends_in_the_same_answer(job: Job, tmp_path: Path) -> None:
    storm(job, tmp_path, 50)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_exit_130_and_the_same_command_resumes(job: Job, tmp_path: Path, number: int) -> None:
    command = written({**job, "passes": [{"simplify": {}}, *job["passes"]]}, tmp_path, "interrupted")  # type: ignore[misc]
    process = subprocess.Popen(
        [*command, "--log-format", "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if json.loads(line)["event"] == "trial_ended":
            process.send_signal(number)
            break
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    answer = json.loads(out)
    assert (answer["status"], len(answer["trials"]) >= 1) == ("interrupted", True)
    assert (tmp_path / "out-interrupted.report.json").is_file()
    assert not (tmp_path / "out-interrupted").exists()
    resumed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(resumed.stdout)["cost"]["steps_cached"] >= 1


def test_a_damaged_artifact_is_set_aside_and_made_again(job: Job, tmp_path: Path) -> None:
    command = written(job, tmp_path, "damaged")
    before = answer_of(command)
    with open_store(tmp_path / "cache-damaged") as store:
        models = [store.open(entry.digest).model for entry in store.listing() if entry.made_by]
    for model in models:
        model.chmod(0o644)
        data = bytearray(model.read_bytes())
        data[-1] ^= 1
        model.write_bytes(data)
    assert answer_of(command) == before

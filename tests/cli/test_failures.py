"""A command that fails still speaks the language it was asked to speak."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from olivelike.errors import Problem
from tests.cli.conftest import WORKFLOW, Command

KEYS = {"code", "claim", "place", "path", "hint"}


@pytest.fixture
def wrong(folder: Path) -> Path:
    """A folder whose workflow holds two mistakes."""
    (folder / "workflow.yaml").write_text(WORKFLOW.replace("max_drop", "max_dorp").replace("minimize", "minimise"))
    return folder


def test_validate_answers_with_all_problems_in_one_document(command: Command, wrong: Path) -> None:
    ended = command("validate", "workflow.yaml", "--json")
    answer = json.loads(ended.out)
    assert (ended.code, answer["valid"], len(answer["problems"])) == (2, False, 2)
    assert all(set(problem) == KEYS for problem in answer["problems"])
    del wrong


@pytest.mark.parametrize(
    "arguments", [("run", "workflow.yaml"), ("plan", "nowhere.yaml"), ("passes", "nope"), ("run", "--x")]
)
def test_every_command_with_json_prints_a_document_when_it_fails(
    command: Command, wrong: Path, arguments: tuple[str, ...]
) -> None:
    ended = command(*arguments, "--json")
    assert ended.code == 2
    assert json.loads(ended.out)["problems"][0]["code"].startswith("OL1")
    del wrong


def test_problems_are_events_where_events_were_asked_for(command: Command, wrong: Path) -> None:
    for written in (("--log-format", "json"), ("--log-format=json",)):
        events = [json.loads(line) for line in command("run", "workflow.yaml", *written).err.splitlines()]
        assert [event["event"] for event in events] == ["error", "error"]
        assert set(events[0]) == {"event", *KEYS}
    traced = command("run", "workflow.yaml", "--log-format", "json", "--debug").err.splitlines()
    assert "Traceback" in json.loads(traced[0])["traceback"]
    del wrong


def test_a_near_miss_of_a_command_is_the_hint(command: Command) -> None:
    assert command("rum").err.strip() == "OL115: No such command 'rum'. hint: did you mean run?"


def test_a_question_gets_no_full_stop() -> None:
    assert str(Problem("OL1", "is it?", hint="yes")) == "OL1: is it? hint: yes"


def test_sigterm_ends_a_run_like_ctrl_c(folder: Path) -> None:
    code = "import sys\nfrom olivelike.cli.app import main\nsys.argv = ['olivelike', *sys.argv[1:]]\nmain()"
    arguments = ["run", "workflow.yaml", "--json", "--log-format", "json", "--cache-dir", "cache"]
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        assert json.loads(running.stderr.readline())["event"] == "run_started"
        assert json.loads(running.stderr.readline())["event"] == "step_started"
        running.terminate()
        out, _ = running.communicate(timeout=60)
    assert running.returncode == 130
    assert json.loads(out)["status"] == "interrupted"
    assert not (folder / "out").exists()


def test_an_interruption_before_there_is_a_report_says_that_the_same_command_resumes(
    command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("olivelike.engine.opened.open_workflow", interrupted)
    ended = command("run", "workflow.yaml", "--json")
    assert (ended.code, ended.err) == (130, "OL600: interrupted. hint: the same command again resumes\n")
    assert json.loads(ended.out)["problems"][0]["code"] == "OL600"
    del folder

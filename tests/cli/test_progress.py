"""Progress, three ways: what is worth a line is said in each."""

from __future__ import annotations

import json

import pytest

from olivelike.cli.progress import JsonEvents, LiveLine, PlainLines
from olivelike.engine.events import Noted

NOISE = "latency: the machine is too noisy to tell 3% apart"


@pytest.mark.parametrize("style", [PlainLines, LiveLine])
def test_what_turns_out_on_the_way_is_said_at_once(
    style: type[PlainLines | LiveLine], capsys: pytest.CaptureFixture[str]
) -> None:
    progress = style()
    progress(Noted(NOISE))
    progress.close()
    assert f"note: {NOISE}" in capsys.readouterr().err


def test_it_is_an_event_of_its_own_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    JsonEvents()(Noted(NOISE))
    assert json.loads(capsys.readouterr().err) == {"event": "noted", "text": NOISE}

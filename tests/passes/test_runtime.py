"""Tests of the runtime as passes use it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from olivelike.errors import RefusedError
from olivelike.testing import models
from olivelike_passes.runtime import open_session, quiet
from tests.passes.running import artifact


def test_model_that_the_runtime_does_not_know_is_refused(tmp_path: Path) -> None:
    source = artifact(models.unknown_operator(), tmp_path)
    with pytest.raises(RefusedError, match=r"OL301.*Mystery"):
        open_session(source.model, source)


def test_what_is_printed_goes_to_the_log(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "olivelike_passes.runtime"), quiet():
        print("talk")
    assert capsys.readouterr().out == ""
    assert "talk" in caplog.messages


def test_root_logger_is_as_before_even_after_an_error() -> None:
    root = logging.getLogger()
    before = (list(root.handlers), list(root.filters))
    with pytest.raises(ValueError, match="stop"), quiet():
        raise ValueError("stop")
    assert (root.handlers, root.filters) == before


def test_other_peoples_warnings_pass(caplog: pytest.LogCaptureFixture) -> None:
    with quiet():
        logging.warning("mine")
    assert "mine" in caplog.messages

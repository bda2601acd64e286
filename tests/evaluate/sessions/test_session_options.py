from dataclasses import replace
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.target import Target
from olivelike.digest import Json
from olivelike.errors import InputError, MeasureError
from olivelike.evaluate.sessions.session_options import effective_options, session_options


def artifact(tmp_path: Path, **manifest: Any) -> Artifact:
    return Artifact(tmp_path, replace(Manifest("onnx", {"model": "model.onnx"}), **manifest), "d")


def test_target_decides_and_the_artifact_fills_what_is_open(tmp_path: Path) -> None:
    tuned = artifact(tmp_path, session={"enable_mem_pattern": False, "graph_optimization_level": "basic"})
    options = session_options(tuned, Target(session={"graph_optimization_level": "ORT_ENABLE_EXTENDED"}))
    assert options.enable_mem_pattern is False
    assert options.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED


def test_names_with_a_dot_are_configuration_entries(tmp_path: Path) -> None:
    tuned = artifact(tmp_path, session={"session.intra_op.allow_spinning": False})
    assert session_options(tuned, Target()).get_session_config_entry("session.intra_op.allow_spinning") == "0"


@given(st.integers(0, 8), st.integers(0, 8))
def test_an_artifact_never_gets_more_threads_than_the_target_allows(asked: int, allowed: int) -> None:
    threads = effective_options(Manifest("onnx", session={"intra_op_num_threads": asked}), Target(threads=allowed))
    got = threads["intra_op_num_threads"]
    assert got == (allowed if asked == 0 or 0 < allowed < asked else asked)


def test_default_is_one_inter_operator_thread_and_no_log_noise(tmp_path: Path) -> None:
    options = session_options(artifact(tmp_path), Target(threads=3))
    assert (options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level) == (3, 1, 3)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("intra_op_threads", 2, r"OL107 session\.intra_op_threads.*did you mean intra_op_num_threads"),
        ("intra_op_num_threads", True, "OL105: .*give a whole number"),
        ("enable_mem_pattern", 1, "OL105: .*give true or false"),
        ("execution_mode", "fast", "OL105: .*'fast'.*sequential, parallel"),
        ("optimized_model_filepath", "x.onnx", "OL107"),
    ],
)
def test_a_wrong_option_is_refused_by_name(tmp_path: Path, option: str, value: Json, message: str) -> None:
    with pytest.raises(InputError, match=message):
        session_options(artifact(tmp_path), Target(session={option: value}))


def test_custom_operators_come_from_inside_the_artifact_only(tmp_path: Path) -> None:
    with pytest.raises(MeasureError, match=r"OL504: .*outside the artifact"):
        session_options(artifact(tmp_path, custom_operators=("../evil.so",)), Target())


def test_custom_operators_that_cannot_be_loaded_are_an_error_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "ops.so").write_bytes(b"no library")
    with pytest.raises(MeasureError, match=r"OL504: the custom operators 'ops\.so' cannot be loaded: "):
        session_options(artifact(tmp_path, custom_operators=("ops.so",)), Target())

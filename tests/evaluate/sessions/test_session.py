from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from olivelike.contracts.metric import Session, TensorInfo
from olivelike.contracts.target import Provider, Target
from olivelike.errors import InputError, MeasureError
from olivelike.evaluate.sessions.session import open_session
from olivelike.testing.measure_context import artifact_at
from tests.evaluate.tiny_models import classifier, write

CPU = Target(threads=1)


def test_inputs_and_outputs_carry_names_types_and_dynamic_dimensions(tmp_path: Path) -> None:
    session = open_session(classifier(tmp_path), CPU)
    assert session.inputs == (TensorInfo("image", "float32", ("n", 3)),)
    assert session.outputs == (TensorInfo("logits", "float32", ("n", 3)),)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        (TensorProto.DOUBLE, "float64"),
        (TensorProto.FLOAT16, "float16"),
        (TensorProto.INT64, "int64"),
        (TensorProto.UINT8, "uint8"),
        (TensorProto.BOOL, "bool"),
        (TensorProto.STRING, "string"),
    ],
)
def test_element_types_are_named_as_in_numpy(tmp_path: Path, kind: int, dtype: str) -> None:
    nodes = [helper.make_node("Identity", ["a"], ["b"])]
    session = open_session(write(tmp_path, nodes, {"a": ("n",)}, {"b": ("n",)}, kind=kind), CPU)
    assert session.inputs[0].dtype == dtype


def test_an_unnamed_dynamic_dimension_is_a_question_mark(tmp_path: Path) -> None:
    nodes = [helper.make_node("Identity", ["a"], ["b"])]
    model = write(tmp_path, nodes, {"a": (None, 2)}, {"b": (None, 2)})  # type: ignore[dict-item]
    assert open_session(model, CPU).inputs[0].shape == ("?", 2)


def test_run_gives_all_outputs_or_those_asked_for(tmp_path: Path) -> None:
    nodes = [helper.make_node("Neg", ["a"], ["minus"]), helper.make_node("Abs", ["a"], ["size"])]
    session = open_session(write(tmp_path, nodes, {"a": ("n",)}, {"minus": ("n",), "size": ("n",)}), CPU)
    feeds = {"a": np.array([-2, 3], np.float32)}
    assert {name: array.tolist() for name, array in session.run(feeds).items()} == {"minus": [2, -3], "size": [2, 3]}
    assert list(session.run(feeds, ["size"])) == ["size"]


def test_time_is_a_positive_number_of_seconds(tmp_path: Path) -> None:
    session: Session = open_session(classifier(tmp_path), CPU)
    assert session.time({"image": np.ones((2, 3), np.float32)}) > 0


def test_external_data_are_found_beside_the_model(tmp_path: Path) -> None:
    import onnx

    whole = classifier(tmp_path / "whole")
    (tmp_path / "split").mkdir()
    onnx.save(
        onnx.load(whole.model),
        tmp_path / "split" / "model.onnx",
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    assert (tmp_path / "split" / "weights.bin").stat().st_size > 0
    feeds = {"image": np.array([[1, 2, 3]], np.float32)}
    assert open_session(artifact_at(tmp_path / "split"), CPU).run(feeds)["logits"].tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("content", [b"", b"garbage"])
def test_a_file_that_is_no_model_is_an_error_with_a_short_reason(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(MeasureError, match=r"OL504: model\.onnx cannot be loaded: ") as caught:
        open_session(artifact_at(tmp_path), CPU)
    assert "[ONNXRuntimeError]" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_missing_provider_never_becomes_a_silent_run_on_the_cpu(tmp_path: Path) -> None:
    target = Target(device="gpu", providers=(Provider("CUDAExecutionProvider"), Provider("CPUExecutionProvider")))
    with pytest.raises(InputError, match="OL210"):
        open_session(classifier(tmp_path), target)


def test_provider_options_reach_the_runtime(tmp_path: Path) -> None:
    target = Target(providers=(Provider("AzureExecutionProvider"), Provider("CPUExecutionProvider", {"use_arena": 1})))
    session = open_session(classifier(tmp_path), target)
    assert session.runtime.get_providers() == ["AzureExecutionProvider", "CPUExecutionProvider"]


def test_feeds_that_do_not_fit_are_an_error_with_the_runtimes_reason(tmp_path: Path) -> None:
    session = open_session(classifier(tmp_path), CPU)
    with pytest.raises(MeasureError, match=r"OL504: the model cannot be run: .*image"):
        session.run({"image": np.ones((1, 4), np.float32)})
    with pytest.raises(MeasureError, match="OL504: the model cannot be run: "):
        session.time({})

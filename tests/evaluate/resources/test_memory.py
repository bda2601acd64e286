from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.outcome import Measurement, Paired, Undefined
from olivelike.contracts.target import Provider, Target
from olivelike.errors import InputError, MeasureError
from olivelike.evaluate.resources.fresh_process import FreshProcesses, Life
from olivelike.evaluate.resources.memory import Memory, MemoryConfig, memory_values
from olivelike.testing.measure_context import MemoryContext, artifact_at
from tests.evaluate.resources.measured_once import MeasuredOnce
from tests.evaluate.tiny_models import classifier, write

SHORT = MemoryConfig(processes=6, runs=1)
MIB = 1 << 20


def wide(folder: Path, mebibytes: int) -> Artifact:
    """A model whose one weight is so large that it stands out from what any session takes."""
    rows = mebibytes * MIB // (4 * 1024)
    weights = np.random.default_rng(0).standard_normal((rows, 1024)).astype(np.float32)
    nodes = [helper.make_node("MatMul", ["image", "weights"], ["logits"])]
    return write(folder, nodes, {"image": ("n", rows)}, {"logits": ("n", 1024)}, {"weights": weights})


class TestMemory(MeasuredOnce):
    metric = Memory

    def artifact(self, folder: Path) -> Artifact:
        return classifier(folder)

    def context(self, folder: Path) -> MemoryContext:
        return MemoryContext(folder)

    def configs(self) -> Sequence[MemoryConfig]:
        return (SHORT,)


def test_a_heavy_weight_is_found_and_how_many_times_it_is_that_of_a_light_one(tmp_path: Path) -> None:
    """Within a third: the runtime holds the file's bytes and its own copy for a while, and packs weights in its own way."""
    (tmp_path / "scratch").mkdir()
    heavy, light = wide(tmp_path / "heavy", 48), wide(tmp_path / "light", 4)
    measured = Memory().measure(heavy, light, SHORT, MemoryContext(tmp_path / "scratch"))
    peak = measured["peak"]
    assert isinstance(peak, Measurement)
    assert 48 * MIB <= peak.value <= 4 * 48 * MIB
    assert isinstance(peak.versus, Paired)
    assert peak.versus.kind == "ratio"
    assert 3 < peak.versus.interval.value <= 24, "twelve times the weight, beside what any session takes"
    after = measured["after_load"]
    assert isinstance(after, Measurement)
    assert 0.9 * 48 * MIB < after.value <= peak.value * 1.01
    process = measured["process"]
    assert isinstance(process, Measurement)
    assert process.value > peak.value


def life(weights: int, *names: str) -> Life:
    """A process of 100 bytes that loads some more, needs twice that for a while, and keeps half of it on the heap."""
    told = {
        "resident": (100, 100 + weights, 100 + weights),
        "peak": (100, 100 + 2 * weights, 100 + 2 * weights),
        "anonymous": (60, 60 + weights // 2, 60 + weights // 2),
    }
    looks = [{name: told[name][place] for name in names} for place in range(3)]
    return Life(0.1, (0.1,), looks[0], looks[1], looks[2], 60 + weights if "anonymous" in names else 0)


def test_values_are_what_a_model_adds_to_its_process() -> None:
    every = ("resident", "peak", "anonymous")
    found = memory_values([(life(300, *every), life(600, *every))] * 6, {})
    numbers = {name: value.value for name, value in found.items() if isinstance(value, Measurement)}
    assert numbers == {"peak": 600, "peak_anonymous": 300, "after_load": 300, "process": 700}
    peak = found["peak"]
    assert isinstance(peak, Measurement)
    assert isinstance(peak.versus, Paired)
    assert peak.versus.interval.value == pytest.approx(0.5)


def test_what_the_system_does_not_tell_is_undefined_and_the_rest_is_given() -> None:
    found = memory_values([(life(300, "resident", "peak"),)] * 6, {})
    assert isinstance(found["peak_anonymous"], Undefined)
    assert "does not tell" in found["peak_anonymous"].reason
    assert isinstance(found["peak"], Measurement)


def test_a_model_too_small_to_be_seen_has_no_value_that_pretends() -> None:
    found = memory_values([(life(0, "resident", "peak"),)] * 6, {})
    assert isinstance(found["peak"], Undefined)
    assert isinstance(found["process"], Measurement)


def test_sizes_that_do_not_fit_the_model_are_refused(tmp_path: Path) -> None:
    model = classifier(tmp_path)
    with pytest.raises(InputError, match=r"OL206 dims.length"):
        Memory().measure(model, model, SHORT.model_copy(update={"dims": {"length": 3}}), MemoryContext(tmp_path))


def test_a_provider_that_the_runtime_lacks_is_refused(tmp_path: Path) -> None:
    model = classifier(tmp_path)
    target = Target(providers=(Provider("CoreMLExecutionProvider"),))
    with pytest.raises(InputError, match=r"OL210"):
        Memory().measure(model, model, SHORT, MemoryContext(tmp_path, target=target))


def test_a_model_that_cannot_be_loaded_says_why(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model")
    model = artifact_at(tmp_path, Manifest("onnx", {"model": "model.onnx"}))
    with pytest.raises(MeasureError, match=r"OL504: model.onnx cannot be loaded"):
        Memory().measure(model, model, SHORT, MemoryContext(tmp_path))


def test_inputs_may_be_called_like_anything_and_hold_texts(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Identity", ["file"], ["out"])],
        "texts",
        [helper.make_tensor_value_info("file", TensorProto.STRING, ["n"])],
        [helper.make_tensor_value_info("out", TensorProto.STRING, ["n"])],
        [numpy_helper.from_array(np.zeros(1, np.float32), "unused")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    artifact = artifact_at(tmp_path, Manifest("onnx", {"model": "model.onnx"}))
    context = MemoryContext(tmp_path)
    life = FreshProcesses(context.target, tmp_path)(artifact, {"file": np.array(["good", "bad"], dtype=object)}, 1)
    assert len(life.run_seconds) == 1

from __future__ import annotations

from pathlib import Path

import pytest

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.errors import InputError, MeasureError
from olivelike.evaluate.timing.profile import Profile, ProfileConfig
from olivelike.testing.measure_context import MemoryContext, artifact_at
from olivelike.testing.metric_contract import MetricContract
from olivelike.testing.models import if_model, matmul_chain, save
from tests.evaluate.tiny_models import classifier

SHORT = ProfileConfig(runs=10, warmup=1)


class TestProfile(MetricContract):
    metric = Profile

    def artifact(self, folder: Path) -> Artifact:
        return classifier(folder)

    def context(self, folder: Path) -> MemoryContext:
        return MemoryContext(folder)

    def configs(self) -> tuple[ProfileConfig, ...]:
        return (SHORT,)


def test_every_node_of_the_optimized_graph_is_in_the_table_and_nothing_is_left_behind(tmp_path: Path) -> None:
    save(matmul_chain(layers=3), tmp_path / "model")
    artifact = artifact_at(tmp_path / "model")
    (tmp_path / "scratch").mkdir()
    found = Profile().measure(artifact, artifact, SHORT, MemoryContext(tmp_path / "scratch"))["kernels"]
    operators = found.details["operators"]
    assert isinstance(operators, list)
    assert {row["op_type"]: row["nodes"] for row in operators if isinstance(row, dict)} == {"MatMul": 3, "Relu": 3}
    assert found.n == 10
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_network_inside_an_if_is_told_apart_from_the_if(tmp_path: Path) -> None:
    save(if_model(), tmp_path / "model")
    artifact = artifact_at(tmp_path / "model")
    found = Profile().measure(artifact, artifact, SHORT, MemoryContext(tmp_path))["kernels"]
    nodes = found.details["nodes"]
    assert isinstance(nodes, list)
    assert {node["op_type"] for node in nodes if isinstance(node, dict)} >= {"If", "MatMul"}


def test_sizes_that_do_not_fit_and_a_model_that_cannot_be_loaded_are_refused(tmp_path: Path) -> None:
    artifact = classifier(tmp_path / "model")
    with pytest.raises(InputError, match=r"OL206 dims.length"):
        config = SHORT.model_copy(update={"dims": {"length": 3}})
        Profile().measure(artifact, artifact, config, MemoryContext(tmp_path))
    (tmp_path / "model.onnx").write_bytes(b"no model")
    broken = artifact_at(tmp_path, Manifest("onnx", {"model": "model.onnx"}))
    with pytest.raises(MeasureError, match="OL504"):
        Profile().measure(broken, broken, SHORT, MemoryContext(tmp_path))

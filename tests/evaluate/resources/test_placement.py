from __future__ import annotations

from pathlib import Path

import pytest

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.outcome import Measurement, Undefined
from olivelike.contracts.target import Provider, Target
from olivelike.engine.judge import Holds, judge
from olivelike.errors import InputError, MeasureError
from olivelike.evaluate.resources.placement import Piece, Placement, PlacementConfig, placed
from olivelike.plan.model import Constraint, Rule
from olivelike.testing.measure_context import MemoryContext, artifact_at
from olivelike.testing.metric_contract import MetricContract
from olivelike.testing.models import bert_layer, mlp, save

AZURE = Target(providers=(Provider("AzureExecutionProvider"), Provider("CPUExecutionProvider")))
CPU = "CPUExecutionProvider"


def model(folder: Path) -> Artifact:
    save(bert_layer(), folder)
    return artifact_at(folder)


class TestPlacement(MetricContract):
    metric = Placement

    def artifact(self, folder: Path) -> Artifact:
        return model(folder)

    def context(self, folder: Path) -> MemoryContext:
        return MemoryContext(folder)


def test_on_the_cpu_every_node_is_where_it_should_be_in_one_piece(tmp_path: Path) -> None:
    save(mlp(), tmp_path)
    artifact = artifact_at(tmp_path)
    found = Placement().measure(artifact, artifact, PlacementConfig(), MemoryContext(tmp_path))
    assert [value.value for value in found.values() if isinstance(value, Measurement)] == [0, 1, 3]
    assert "because" not in found["nodes_off_target"].details  # type: ignore[union-attr]


def test_a_session_that_falls_back_to_the_cpu_is_found_out(tmp_path: Path) -> None:
    """The runtime offers this provider everywhere; it takes no ordinary node, and the session says nothing of it."""
    artifact = model(tmp_path)
    found = Placement().measure(artifact, artifact, PlacementConfig(), MemoryContext(tmp_path, target=AZURE))
    off, nodes, partitions = (found[name] for name in ("nodes_off_target", "nodes", "partitions"))
    assert isinstance(off, Measurement)
    assert isinstance(nodes, Measurement)
    assert off.value == nodes.value > 10
    assert isinstance(partitions, Measurement)
    assert partitions.value == 0
    named = off.details["off_target"]
    assert isinstance(named, list)
    assert {"name": "MatMul_d", "op_type": "MatMul", "provider": CPU} in named
    assert len(named) == off.value


def test_the_verdict_of_a_broken_constraint_names_the_nodes() -> None:
    pieces = [Piece(CPU, ((f"n{i}", "NonZero"),)) for i in range(6)] + [Piece("QNNExecutionProvider", (("c", "Conv"),))]
    found = placed(pieces, "QNNExecutionProvider")["nodes_off_target"]
    assert isinstance(found, Measurement)
    key = "placement.nodes_off_target"
    constraint = Constraint(key, Rule.AT_MOST, 0, False, "lower", f"{key} at_most 0")
    [judgement] = judge([constraint], {key: found}, {})
    assert judgement.holds is Holds.NO
    assert judgement.text == (
        "placement.nodes_off_target at_most 0: got 6 (6 of 7 nodes run on CPUExecutionProvider: "
        "NonZero 'n0', NonZero 'n1', NonZero 'n2', NonZero 'n3' and 2 more)"
    )
    [held] = judge([Constraint(key, Rule.AT_MOST, 6, False, "lower", "it")], {key: found}, {})
    assert held.text == "it: got 6", "nothing is explained where the constraint holds"


def test_a_compiling_provider_counts_its_pieces() -> None:
    wanted = "QNNExecutionProvider"
    pieces = [
        Piece(wanted, (("a", "Conv"), ("b", "Relu"))),
        Piece(CPU, (("c", "NonZero"),)),
        Piece(wanted, (("d", "Conv"),)),
    ]
    found = placed(pieces, wanted)
    assert isinstance(found["partitions"], Measurement)
    assert found["partitions"].value == 2
    assert isinstance(found["nodes"], Measurement)
    assert found["nodes"].value == 4


def test_pieces_of_a_provider_that_runs_node_by_node_cannot_be_told_where_nodes_lie_elsewhere() -> None:
    wanted = "CUDAExecutionProvider"
    found = placed([Piece(wanted, (("a", "Conv"),)), Piece(CPU, (("b", "NonZero"),))], wanted)
    assert isinstance(found["partitions"], Undefined)
    assert isinstance(found["nodes_off_target"], Measurement)


def test_a_provider_that_is_not_offered_and_a_model_that_cannot_be_loaded_are_refused(tmp_path: Path) -> None:
    artifact = model(tmp_path / "model")
    target = Target(providers=(Provider("QNNExecutionProvider"),))
    with pytest.raises(InputError, match="OL210"):
        Placement().measure(artifact, artifact, PlacementConfig(), MemoryContext(tmp_path, target=target))
    (tmp_path / "model.onnx").write_bytes(b"no model")
    broken = artifact_at(tmp_path, Manifest("onnx", {"model": "model.onnx"}))
    with pytest.raises(MeasureError, match="OL504"):
        Placement().measure(broken, broken, PlacementConfig(), MemoryContext(tmp_path))

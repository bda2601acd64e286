from __future__ import annotations

import json
from pathlib import Path

import pytest

from olivelike.errors import MeasureError
from olivelike.evaluate.timing.node_times import Kernel, read_profile
from olivelike.evaluate.timing.profile import where_time_goes

CPU = "CPUExecutionProvider"


def event(cat: str, name: str, ts: int, dur: int, op: str = "", tid: int = 1) -> dict[str, object]:
    return {"cat": cat, "name": name, "ts": ts, "dur": dur, "tid": tid, "args": {"op_name": op, "provider": CPU}}


def written(folder: Path, *events: dict[str, object]) -> Path:
    path = folder / "profile.json"
    path.write_text(json.dumps(events))
    return path


def test_nodes_belong_to_the_run_they_lie_in_and_warming_up_is_left_out(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        event("Session", "session_initialization", 0, 50),
        event("Node", "a_kernel_time", 110, 90, "MatMul"),
        event("Session", "model_run", 100, 200),
        event("Node", "a_kernel_time", 310, 30, "MatMul"),
        event("Node", "b_kernel_time", 350, 10, "Relu"),
        event("Node", "b_fence_before", 350, 1, "Relu"),
        event("Session", "model_run", 300, 100),
    )
    [run] = read_profile(path, 1)
    assert run.ms == pytest.approx(0.1)
    assert run.kernels == {
        Kernel("a", "MatMul", CPU): pytest.approx(0.03),
        Kernel("b", "Relu", CPU): pytest.approx(0.01),
    }
    assert len(read_profile(path, 2)) == 2


def test_what_runs_inside_another_node_is_counted_once(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        event("Session", "model_run", 0, 100),
        event("Node", "if_kernel_time", 10, 80, "If"),
        event("Node", "inner_kernel_time", 20, 30, "MatMul"),
        event("Node", "inner2_kernel_time", 60, 20, "MatMul"),
        event("Node", "other_kernel_time", 20, 30, "Relu", tid=2),
    )
    [run] = read_profile(path, 1)
    assert {kernel.name: round(ms, 6) for kernel, ms in run.kernels.items()} == {
        "if": 0.03,
        "inner": 0.03,
        "inner2": 0.02,
        "other": 0.03,
    }


def test_a_profile_that_ends_too_early_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MeasureError, match="OL504: the runtime's profile holds 1 of 2 runs"):
        read_profile(written(tmp_path, event("Session", "model_run", 0, 100)), 2)


def test_operators_are_added_up_in_each_run_before_the_median_is_taken(tmp_path: Path) -> None:
    """Two nodes that take turns in being slow: each has the median 2, both together always take 5."""
    events = []
    for number, (first, second) in enumerate([(1, 4), (4, 1), (2, 3)]):
        start = number * 100
        events += [
            event("Session", "model_run", start, 10),
            event("Node", "a_kernel_time", start + 1, first, "MatMul"),
            event("Node", "b_kernel_time", start + 5, second, "MatMul"),
        ]
    table = where_time_goes(read_profile(written(tmp_path, *events), 3))
    assert table["operators"] == [{"op_type": "MatMul", "nodes": 2, "ms": 0.005, "share": 1.0}]
    nodes = table["nodes"]
    assert isinstance(nodes, list)
    assert [(node["name"], node["ms"]) for node in nodes if isinstance(node, dict)] == [("b", 0.003), ("a", 0.002)]
    assert table["outside_kernels_ms"] == 0.005

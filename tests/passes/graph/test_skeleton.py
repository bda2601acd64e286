"""Large weights become inputs and weights again; what may be computed of them stays where it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from olivelike.errors import RefusedError
from olivelike.onnxfile.external import external_files, is_external
from olivelike.onnxfile.read import read_structure
from olivelike.testing import models, odd_models
from olivelike.testing.building import float_value, model_of, node_of, weight_of
from olivelike.testing.context import run_model
from olivelike.testing.feeds import feeds_for
from olivelike.testing.odd_models import RUNNABLE, Build
from olivelike.testing.pass_contract import gap_between
from olivelike_passes.graph import simplify, skeleton
from olivelike_passes.graph.simplify import Simplify
from olivelike_passes.graph.skeleton import lend, take_back, write_linked
from tests.passes.running import applied


@pytest.fixture
def nothing_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every weight counts as large."""
    monkeypatch.setattr(skeleton, "HELD", 0)
    monkeypatch.setattr(simplify, "HELD", 0)


@pytest.mark.usefixtures("nothing_held")
@pytest.mark.parametrize("build", RUNNABLE.values(), ids=RUNNABLE)
def test_odd_models_come_out_right_when_every_weight_is_lent(build: Build, tmp_path: Path) -> None:
    try:
        result = applied(Simplify, build(), tmp_path)
    except RefusedError:
        return
    source = tmp_path / "source" / "model.onnx"
    feeds = feeds_for(source)
    before, after = run_model(source, feeds), run_model(result.model, feeds)
    assert before.keys() == after.keys()
    assert all(gap_between(before[name], after[name]) <= 1e-5 for name in before)


@pytest.mark.usefixtures("nothing_held")
def test_lent_weights_are_inputs_and_come_back_under_their_names(tmp_path: Path) -> None:
    path = models.save_external(models.mlp(hidden=64), tmp_path / "source")
    model = read_structure(path)
    lent = lend(model)
    assert set(lent) == {"w1", "b1", "w2", "b2"}
    assert [entry.name for entry in model.graph.input] == ["x", "w1", "w2", "b1", "b2"], "the largest first"
    (tmp_path / "made").mkdir()
    take_back(model, lent, path, tmp_path / "made" / "model.onnx")
    (tmp_path / "made" / "model.onnx").write_bytes(model.SerializeToString())
    feeds = feeds_for(path)
    assert (run_model(tmp_path / "made" / "model.onnx", feeds)["logits"] == run_model(path, feeds)["logits"]).all()
    assert any(is_external(tensor) for tensor in model.graph.initializer)


@pytest.mark.usefixtures("nothing_held")
def test_weights_of_a_convolution_and_those_that_meet_only_weights_are_not_lent() -> None:
    nodes = [
        node_of("Transpose", ["only"], ["t"], perm=[1, 0]),
        node_of("MatMul", ["x", "t"], ["m"]),
        node_of("Transpose", ["twice"], ["u"], perm=[1, 0]),
        node_of("MatMul", ["m", "u"], ["n"]),
        node_of("MatMul", ["n", "twice"], ["o"]),
        node_of("MatMul", ["o", "plain"], ["y"]),
    ]
    weights = [weight_of(name, 16, 16) for name in ("only", "twice", "plain")]
    model = model_of(nodes, [float_value("x", "batch", 16)], [float_value("y", "batch", 16)], weights)
    assert set(lend(model)) == {"twice", "plain"}
    assert not set(lend(models.conv_net())) & {"c1", "c2"}


@pytest.mark.usefixtures("nothing_held")
def test_weights_that_may_be_replaced_are_not_lent() -> None:
    assert not lend(models.weights_as_inputs())


def test_a_large_constant_is_not_computed_at_build_time(tmp_path: Path) -> None:
    result = applied(Simplify, odd_models.large_constant(), tmp_path)
    assert [node.op_type for node in read_structure(result.model).graph.node] == ["ConstantOfShape", "Slice", "Add"]
    assert result.model.stat().st_size <= (tmp_path / "source" / "model.onnx").stat().st_size


@pytest.mark.usefixtures("nothing_held")
def test_large_external_data_are_linked_for_a_tool_and_not_copied(tmp_path: Path) -> None:
    path = models.save_external(models.mlp(hidden=64), tmp_path / "source")
    (tmp_path / "made").mkdir()
    made = write_linked(read_structure(path), tmp_path / "made", path)
    (data,) = (path.parent / name for name in external_files(path))
    assert (made.parent / "held0.data").samefile(data)
    feeds = feeds_for(path)
    assert (run_model(made, feeds)["logits"] == run_model(path, feeds)["logits"]).all()

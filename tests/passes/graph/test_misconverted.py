"""Tests of what `convert_opset` does about operators that ONNX's converter gets wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from olivelike.errors import RefusedError
from olivelike.onnxfile.check import validate_graph
from olivelike.onnxfile.read import read_structure
from olivelike.onnxfile.walk import nodes
from olivelike.testing.context import run_model
from olivelike.testing.feeds import feeds_for
from olivelike_passes.graph.convert_opset import ConvertOpset
from tests.passes.running import applied, artifact

ROUNDING = 1e-6
"""Sums of a few float32 values in another order."""


def parsed(opset: int, text: str) -> onnx.ModelProto:
    return onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> {text}')


def both(model: onnx.ModelProto, target: int, folder: Path) -> tuple[dict[str, NDArray], dict[str, NDArray]]:  # type: ignore[type-arg]
    """Returns what a model computes, and what it computes when it is converted."""
    source, result = artifact(model, folder / "again"), applied(ConvertOpset, model, folder, target=target)
    validate_graph(result.model)
    feeds = feeds_for(source.model)
    return run_model(source.model, feeds), run_model(result.model, feeds)


def agree(model: onnx.ModelProto, target: int, folder: Path) -> None:
    before, after = both(model, target, folder)
    assert set(before) == set(after)
    for name, values in before.items():
        np.testing.assert_allclose(after[name], values, rtol=ROUNDING, atol=ROUNDING)


def softmax(kind: str, opset: int, axis: str, *, shape: str = "2,3,4") -> onnx.ModelProto:
    return parsed(opset, f"g (float[{shape}] x) => (float[{shape}] y) {{ y = {kind}{axis}(x) }}")


def softmax_in_branches(opset: int, axis: int) -> onnx.ModelProto:
    branch = f"() => (float[2,3,4] NAME) {{ rNAME = Relu(x) NAME = Softmax<axis={axis}>(rNAME) }}"
    branches = f"then_branch = a {branch.replace('NAME', 'q')}, else_branch = b {branch.replace('NAME', 'w')}"
    return parsed(opset, f"g (float[2,3,4] x, bool flag) => (float[2,3,4] y) {{ y = If (flag) <{branches}> }}")


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax", "Hardmax"])
@pytest.mark.parametrize("axis", ["", "<axis=-1>", "<axis=2>"])
@pytest.mark.parametrize("target", [12, 11, 9])
def test_a_softmax_along_the_last_axis_goes_down(kind: str, axis: str, target: int, tmp_path: Path) -> None:
    agree(softmax(kind, 13, axis), target, tmp_path)


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax", "Hardmax"])
@pytest.mark.parametrize("axis", [0, 1, -2])
def test_a_softmax_along_another_axis_does_not_go_down(kind: str, axis: int, tmp_path: Path) -> None:
    """Below 13 it would go along all axes from there on."""
    with pytest.raises(
        RefusedError, match=rf"OL301.*no way from opset 13 to 12: the {kind} that makes 'y' along axis {axis}"
    ):
        applied(ConvertOpset, softmax(kind, 13, f"<axis={axis}>"), tmp_path, target=12)


def test_a_softmax_in_a_branch_goes_down_where_its_axis_is_the_last(tmp_path: Path) -> None:
    agree(softmax_in_branches(13, 2), 12, tmp_path / "last")
    with pytest.raises(RefusedError, match=r"the Softmax that makes 'q' along axis 1 of rank 3.*makes 'w'"):
        applied(ConvertOpset, softmax_in_branches(13, 1), tmp_path / "other", target=12)


def test_a_softmax_of_an_unknown_rank_goes_down_where_its_axis_is_counted_from_behind(tmp_path: Path) -> None:
    def unknown(axis: str) -> onnx.ModelProto:
        text = f"g (float[n,m] x, int64[k] shape) => (float[] y) {{ r = Reshape(x, shape) y = Softmax{axis}(r) }}"
        model = parsed(13, text)
        model.graph.output[0].type.tensor_type.ClearField("shape")
        return model

    result = applied(ConvertOpset, unknown(""), tmp_path / "last", target=12)
    assert [a.i for n in nodes(read_structure(result.model)) for a in n.attribute if a.name == "axis"] == [-1]
    with pytest.raises(RefusedError, match="along axis 1 of an unknown rank"):
        applied(ConvertOpset, unknown("<axis=1>"), tmp_path / "one", target=12)
    with pytest.raises(RefusedError, match="unknown rank, and axes are not counted from behind there"):
        applied(ConvertOpset, unknown(""), tmp_path / "low", target=10)


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("axis", ["", "<axis=0>", "<axis=1>", "<axis=2>", "<axis=-1>", "<axis=-2>"])
def test_a_softmax_goes_up_along_any_axis(kind: str, axis: str, tmp_path: Path) -> None:
    agree(softmax(kind, 12, axis), 13, tmp_path)


def test_a_hardmax_goes_up_along_the_last_axis_only(tmp_path: Path) -> None:
    agree(softmax("Hardmax", 12, "<axis=2>"), 13, tmp_path / "stated")
    agree(softmax("Hardmax", 12, "", shape="3,4"), 17, tmp_path / "usual")
    with pytest.raises(RefusedError, match="the Hardmax that makes 'y' along axis 1 of rank 3"):
        applied(ConvertOpset, softmax("Hardmax", 12, ""), tmp_path / "flattened", target=13)


def resize(opset: int, mode: str, scales: str, *, size: str) -> onnx.ModelProto:
    kind = "Upsample" if opset < 10 else "Resize"
    held = f"<float[4] s = {{1, 1, {scales}}}>"
    return parsed(opset, f'g (float[1,2,4,4] x) => (float[1,2,{size}] y) {held} {{ y = {kind}<mode="{mode}">(x, s) }}')


@pytest.mark.parametrize("mode", ["linear", "nearest"])
@pytest.mark.parametrize(("scales", "size"), [("1.5, 1.5", "6,6"), ("2, 3", "8,12"), ("2.5, 1.25", "10,5")])
@pytest.mark.parametrize(("here", "target"), [(9, 11), (9, 19), (10, 11), (10, 18)])
def test_an_old_resize_takes_the_same_pixels(
    mode: str, scales: str, size: str, here: int, target: int, tmp_path: Path
) -> None:
    agree(resize(here, mode, scales, size=size), target, tmp_path)


@pytest.mark.parametrize("mode", ["linear", "nearest"])
@pytest.mark.parametrize(("scales", "size"), [("0.6, 0.6", "2,2"), ("0.8, 1", "3,4")])
def test_an_old_resize_that_makes_smaller_takes_the_same_pixels(
    mode: str, scales: str, size: str, tmp_path: Path
) -> None:
    agree(resize(10, mode, scales, size=size), 13, tmp_path)


def test_an_old_resize_by_scales_that_are_computed_is_refused_where_its_rounding_depends_on_them(
    tmp_path: Path,
) -> None:
    text = 'g (float[1,1,2,2] x, float[4] s) => (float[1,1,a,b] y) { y = Resize<mode="MODE">(x, s) }'
    with pytest.raises(RefusedError, match="the Resize that makes 'y' takes its pixels from"):
        applied(ConvertOpset, parsed(10, text.replace("MODE", "nearest")), tmp_path / "nearest", target=11)
    linear = applied(ConvertOpset, parsed(10, text.replace("MODE", "linear")), tmp_path / "linear", target=11)
    assert [a.s for a in read_structure(linear.model).graph.node[-1].attribute] == [b"linear", b"asymmetric"]


def test_an_old_resize_in_a_branch_takes_the_same_pixels(tmp_path: Path) -> None:
    branch = '() => (float[1,1,6,6] NAME) { NAME = Upsample<mode="linear">(x, s) }'
    branches = f"then_branch = a {branch.replace('NAME', 'q')}, else_branch = b {branch.replace('NAME', 'w')}"
    held = "<float[4] s = {1, 1, 1.5, 1.5}>"
    text = f"g (float[1,1,4,4] x, bool flag) => (float[1,1,6,6] y) {held} {{ y = If (flag) <{branches}> }}"
    agree(parsed(9, text), 13, tmp_path)


@pytest.mark.parametrize(
    ("node", "here", "target"),
    [
        ("Squeeze(x, axes)", 13, 12),
        ("Unsqueeze(x, axes)", 17, 11),
        ("ReduceSum(x, axes)", 13, 12),
        ("ReduceMax(x, axes)", 18, 17),
        ("Split(x, axes)", 13, 12),
    ],
)
def test_what_may_be_replaced_does_not_become_an_attribute(node: str, here: int, target: int, tmp_path: Path) -> None:
    model = parsed(here, f"g (float[1,3] x) => (float[a] y) <int64[1] axes = {{0}}> {{ y = {node} }}")
    model.graph.output[0].type.tensor_type.ClearField("shape")
    model.graph.input.append(onnx.helper.make_tensor_value_info("axes", onnx.TensorProto.INT64, [1]))
    with pytest.raises(
        RefusedError, match=r"OL301.*an attribute there for its input 'axes'.*may be replaced.*fix_weights"
    ):
        applied(ConvertOpset, model, tmp_path, target=target)


def group_norm(opset: int, groups: int, scales: int) -> onnx.ModelProto:
    held = f"<float[{scales}] s = {{{', '.join(map(str, range(1, scales + 1)))}}}>"
    node = f"GroupNormalization<num_groups={groups}>(x, s, s)"
    return parsed(opset, f"g (float[1,4,2,2] x) => (float[1,4,2,2] y) {held} {{ y = {node} }}")


def test_a_group_normalization_goes_up_where_each_channel_is_a_group(tmp_path: Path) -> None:
    agree(group_norm(18, 4, 4), 21, tmp_path / "equal")
    with pytest.raises(RefusedError, match="'y' has a scale per channel there, and one per group here"):
        applied(ConvertOpset, group_norm(18, 2, 2), tmp_path / "other", target=21)


def test_a_group_normalization_does_not_go_down_to_where_it_is_deprecated(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="'y' is deprecated there"):
        applied(ConvertOpset, group_norm(21, 4, 4), tmp_path, target=20)


def test_a_dropout_crosses_12_where_nobody_reads_its_mask(tmp_path: Path) -> None:
    """Below 12 the mask of a network that is not trained says that nothing is kept, and from 12 on that all is."""
    text = "g (float[2,3] x) => (float[2,3] y) { y, mask = Dropout<ratio=0.25>(x) }"
    agree(parsed(10, text), 13, tmp_path / "unread")
    read = parsed(10, text.replace("y)", "y, bool[2,3] mask)", 1))
    with pytest.raises(RefusedError, match=r"the mask of the Dropout that makes 'y'.*'mask' is read"):
        applied(ConvertOpset, read, tmp_path / "read", target=13)

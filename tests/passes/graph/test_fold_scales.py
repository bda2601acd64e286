"""Tests of the pass `fold_scales`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from olivelike.onnxfile.read import read_model
from olivelike.testing import models
from olivelike.testing.context import run_model
from olivelike.testing.pass_contract import PassContract
from olivelike_passes.graph import fold_scales
from olivelike_passes.graph.fold_scales import FoldScales
from olivelike_passes.graph.wiring import Wiring
from tests.passes.running import applied, artifact, kinds

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

CHANNELS = 4
NUMBERS = {"two": 2.0, "half": 0.5, "minus": -1.5, "three": 3.0, "six": 6.0, "zero": 0.0, "sixth": 1 / 6, "tiny": 1e-40}
FLOAT32 = 1e-5
"""Folding changes the order of float32 operations, on values of a few units."""


def node(kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(kind, inputs, [output], **attributes)


def conv(x: str, y: str, *, pad: int = 1, weight: str = "w", bias: str = "b", **attributes: Any) -> NodeProto:
    inputs = [x, weight, bias] if bias else [x, weight]
    return node("Conv", inputs, y, **({"pads": [pad] * 4} if "auto_pad" not in attributes else {}), **attributes)


def model(nodes: Sequence[NodeProto], outputs: Sequence[str] = ("y",), *, opset: int = 17, rank: int = 4) -> ModelProto:
    draw = np.random.default_rng(0)
    weights = {
        "w": draw.standard_normal((CHANNELS, CHANNELS, 3, 3)),
        "b": draw.standard_normal(CHANNELS),
        "scales": draw.standard_normal((CHANNELS, 1, 1)),
        "axes": np.full((1, 1, 1, 1, 1), 2.0),
        **{name: np.array([value]) for name, value in NUMBERS.items()},
    }
    used = {name for each in nodes for name in each.input}
    graph = helper.make_graph(
        list(nodes),
        "scaled",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", CHANNELS, "h", "w_"])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [f"{name}{axis}" for axis in range(rank)])
            for name in outputs
        ],
        [numpy_helper.from_array(v.astype(np.float32), name) for name, v in weights.items() if name in used],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def fold(built: ModelProto, folder: Path) -> dict[str, int]:
    """Applies the pass, checks that the values are the same, and returns how many nodes of each type are left."""
    source = artifact(built, folder)
    result = applied(FoldScales, built, folder)
    feeds = {"x": np.random.default_rng(1).standard_normal((2, CHANNELS, 6, 7)).astype(np.float32)}
    before, after = run_model(source.model, feeds), run_model(result.model, feeds)
    assert set(before) == set(after)
    for name, values in before.items():
        np.testing.assert_allclose(after[name], values, rtol=FLOAT32, atol=FLOAT32)
    return dict(kinds(read_model(result.model)))


HARD_SWISH = [
    node("Add", ["c", "three"], "shifted"),
    node("Clip", ["shifted", "zero", "six"], "gate"),
    node("Mul", ["c", "gate"], "product"),
    node("Div", ["product", "six"], "y"),
]


def block() -> ModelProto:
    """A convolution, a learned scale and shift, hard-swish, another scale and shift, and a convolution that pads."""
    return model(
        [
            conv("x", "a"),
            node("Mul", ["two", "a"], "b1"),
            node("Add", ["b1", "half"], "c"),
            *HARD_SWISH[:3],
            node("Div", ["product", "six"], "d"),
            node("Mul", ["minus", "d"], "e"),
            node("Add", ["e", "half"], "f"),
            conv("f", "y"),
        ]
    )


class TestFoldScales(PassContract):
    pass_type = FoldScales
    accepted: ClassVar = {
        "scaled": block,
        "conv": models.conv_net,
        "constants": lambda: models.conv_net(opset=12, constants=True),
        "mlp": models.mlp,
        "if": models.if_model,
        "strings": models.string_input,
        "quantized": models.quantized,
        "half": models.half,
    }


def test_a_block_with_learned_scales_keeps_one_shift(tmp_path: Path) -> None:
    assert fold(block(), tmp_path) == {"Conv": 2, "HardSigmoid": 1, "Mul": 1, "Add": 1}


def test_weights_that_nothing_takes_any_more_are_gone(tmp_path: Path) -> None:
    result = read_model(applied(FoldScales, block(), tmp_path).model)
    used = {name for each in result.graph.node for name in each.input}
    assert {tensor.name for tensor in result.graph.initializer} <= used


@pytest.mark.parametrize("bias", ["b", ""])
def test_scale_and_shift_behind_a_convolution_go_into_it(bias: str, tmp_path: Path) -> None:
    nodes = [conv("x", "a", bias=bias), node("Mul", ["a", "two"], "m"), node("Add", ["half", "m"], "y")]
    assert fold(model(nodes), tmp_path) == {"Conv": 1}


@pytest.mark.parametrize("bias", ["b", ""])
def test_scale_and_shift_in_front_go_into_a_convolution_that_pads_nothing(bias: str, tmp_path: Path) -> None:
    before = [node("Mul", ["x", "minus"], "m"), node("Add", ["m", "half"], "a")]
    assert fold(model([*before, conv("a", "y", pad=0, bias=bias)]), tmp_path / "none") == {"Conv": 1}
    valid = conv("a", "y", bias=bias, auto_pad="VALID")
    assert fold(model([*before, valid]), tmp_path / "valid") == {"Conv": 1}


@pytest.mark.parametrize("pads", [{"pad": 1}, {"auto_pad": "SAME_UPPER"}])
def test_a_shift_in_front_of_padding_stays_and_its_scale_goes(pads: dict[str, Any], tmp_path: Path) -> None:
    nodes = [node("Mul", ["x", "minus"], "m"), node("Add", ["m", "half"], "a"), conv("a", "y", **pads)]
    assert fold(model(nodes), tmp_path) == {"Add": 1, "Conv": 1}


@pytest.mark.parametrize("scale", ["zero", "tiny"])
def test_a_scale_that_no_shift_can_be_divided_by_stays(scale: str, tmp_path: Path) -> None:
    nodes = [node("Mul", ["x", scale], "m"), node("Add", ["m", "half"], "a"), conv("a", "y")]
    assert fold(model(nodes), tmp_path) == {"Mul": 1, "Add": 1, "Conv": 1}


def test_one_look_at_the_graph_is_enough_for_all_that_is_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look per fold made the time grow with the square of the number of convolutions."""
    looks: list[int] = []

    class Counted(Wiring):
        def __init__(self, built: ModelProto) -> None:
            super().__init__(built)
            looks.append(len(self.nodes))

    monkeypatch.setattr(fold_scales, "Wiring", Counted)
    nodes = []
    for place in range(20):
        nodes += [conv(f"c{place}" if place else "x", f"a{place}"), node("Mul", [f"a{place}", "two"], f"m{place}")]
        nodes += [node("Relu", [f"m{place}"], f"c{place + 1}")]
    built = model(nodes, ("c20",))
    assert (fold_scales.folded(built), looks) == (20, [60])
    assert [each.op_type for each in built.graph.node] == ["Conv", "Relu"] * 20
    assert [each.input[1] for each in built.graph.node[::2]] == [f"w_{place}" for place in range(20)]


def test_a_value_that_something_else_takes_too_stays(tmp_path: Path) -> None:
    nodes = [conv("x", "a"), node("Mul", ["a", "two"], "m"), node("Add", ["a", "m"], "y")]
    assert fold(model(nodes), tmp_path / "twice") == {"Conv": 1, "Mul": 1, "Add": 1}
    shown = [conv("x", "a"), node("Mul", ["a", "two"], "y")]
    assert fold(model(shown, ("a", "y")), tmp_path / "output") == {"Conv": 1, "Mul": 1}


def test_a_weight_that_two_convolutions_share_is_changed_for_one(tmp_path: Path) -> None:
    nodes = [conv("x", "a"), node("Mul", ["a", "two"], "m"), conv("m", "y")]
    assert fold(model(nodes), tmp_path) == {"Conv": 2}


def test_what_is_not_one_number_stays(tmp_path: Path) -> None:
    for name, rank in (("scales", 4), ("axes", 5)):
        built = model([conv("x", "a"), node("Mul", ["a", name], "y")], rank=rank)
        assert fold(built, tmp_path / name) == {"Conv": 1, "Mul": 1}


@pytest.mark.parametrize("last", [node("Div", ["product", "six"], "y"), node("Mul", ["sixth", "product"], "y")])
def test_hard_swish_takes_two_operators(last: NodeProto, tmp_path: Path) -> None:
    assert fold(model([conv("x", "c"), *HARD_SWISH[:3], last]), tmp_path) == {"Conv": 1, "HardSigmoid": 1, "Mul": 1}


def test_hard_swish_with_the_ends_as_attributes_is_found(tmp_path: Path) -> None:
    clip = node("Clip", ["shifted"], "gate", min=0.0, max=6.0)
    nodes = [conv("x", "c"), HARD_SWISH[0], clip, *HARD_SWISH[2:]]
    assert fold(model(nodes, opset=10), tmp_path) == {"Conv": 1, "HardSigmoid": 1, "Mul": 1}


@pytest.mark.parametrize(
    ("place", "other"),
    [
        (0, node("Add", ["c", "two"], "shifted")),
        (1, node("Clip", ["shifted", "zero", "three"], "gate")),
        (2, node("Mul", ["x", "gate"], "product")),
        (3, node("Div", ["six", "product"], "y")),
        (3, node("Div", ["product", "three"], "y")),
    ],
)
def test_what_only_looks_like_hard_swish_stays(place: int, other: NodeProto, tmp_path: Path) -> None:
    nodes = [conv("x", "c"), *HARD_SWISH]
    nodes[place + 1] = other
    assert "HardSigmoid" not in fold(model(nodes), tmp_path)


def test_a_value_that_a_branch_takes_stays(tmp_path: Path) -> None:
    branch = helper.make_graph(
        [node("Identity", ["a"], "seen")], "inner", [], [helper.make_tensor_value_info("seen", TensorProto.FLOAT, None)]
    )
    nodes = [
        conv("x", "a"),
        node("Mul", ["a", "two"], "m"),
        node("If", ["yes"], "inner", then_branch=branch, else_branch=branch),
        node("Add", ["m", "inner"], "y"),
    ]
    built = model(nodes)
    built.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    assert fold(built, tmp_path)["Mul"] == 1


def test_a_model_without_anything_to_fold_stays_byte_by_byte(tmp_path: Path) -> None:
    source = artifact(models.mlp(), tmp_path)
    assert applied(FoldScales, models.mlp(), tmp_path).model.read_bytes() == source.model.read_bytes()


def test_weights_that_may_be_replaced_are_left_alone(tmp_path: Path) -> None:
    built = model([conv("x", "a"), node("Mul", ["a", "two"], "y")])
    built.graph.input.append(helper.make_tensor_value_info("two", TensorProto.FLOAT, [1]))
    onnx.checker.check_model(built)
    assert kinds(read_model(applied(FoldScales, built, tmp_path).model)) == {"Conv": 1, "Mul": 1}

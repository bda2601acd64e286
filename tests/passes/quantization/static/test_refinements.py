"""Tests that each refinement of static quantization helps where it should, and changes nothing that it should not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto
from onnx.numpy_helper import from_array, to_array

from olivelike.contracts.artifact import Artifact
from olivelike.digest import Json
from olivelike.testing import models
from olivelike.testing.building import float_value, model_of, node_of, random_values, weight_of
from olivelike.testing.context import run_model
from olivelike.testing.feeds import feeds_for
from olivelike_passes.quantization.integers import Grid, Integers, codes_of
from olivelike_passes.quantization.static.adaptive import adaptive_codes
from olivelike_passes.quantization.static.sources import Sources
from olivelike_passes.quantization.static_quant import StaticQuant
from tests.passes.running import applied, artifact


def shifted() -> ModelProto:
    """A layer whose inputs have a mean far from zero: `x` float32 [batch, 32] to `y` [batch, 16]."""
    nodes = [node_of("Add", ["x", "three"], ["s"]), node_of("Gemm", ["s", "w"], ["y"])]
    weights = [from_array(np.full(32, 3, np.float32), "three"), weight_of("w", 32, 16)]
    return model_of(nodes, [float_value("x", "batch", 32)], [float_value("y", "batch", 16)], weights)


def shifted_convolution() -> ModelProto:
    """The same as a convolution, depthwise and plain: `x` float32 [batch, 8, 6, 6] to `y` [batch, 4, 4, 4]."""
    nodes = [
        node_of("Add", ["x", "three"], ["s"]),
        node_of("Conv", ["s", "d"], ["m"], group=8, kernel_shape=[3, 3]),
        node_of("Conv", ["m", "w", "b"], ["y"]),
    ]
    weights = [
        from_array(np.float32(3), "three"),
        weight_of("d", 8, 1, 3, 3),
        weight_of("w", 4, 8, 1, 1),
        weight_of("b", 4),
    ]
    return model_of(nodes, [float_value("x", "batch", 8, 6, 6)], [float_value("y", "batch", 4, 4, 4)], weights)


def uneven(kind: str) -> ModelProto:
    """Two layers of which a few channels between them are large in the first and small in the second."""
    spread = np.logspace(-2, 2, 16, dtype=np.float32)
    one, two, bias = random_values("w1", 16, 8), random_values("w2", 4, 16), random_values("b1", 16)
    first, second = one * spread[:, None], two / spread
    nodes = [
        node_of(kind, ["x", "w1", "b1"], ["m"], **({"transB": 1} if kind == "Gemm" else {})),
        node_of("Relu", ["m"], ["r"]),
        node_of(kind, ["r", "w2"], ["y"], **({"transB": 1} if kind == "Gemm" else {})),
    ]
    more = (5, 5) if kind == "Conv" else ()
    ones = (1,) * len(more)
    weights = [
        from_array(first.reshape(16, 8, *ones), "w1"),
        from_array(bias * spread, "b1"),
        from_array(second.reshape(4, 16, *ones), "w2"),
    ]
    return model_of(nodes, [float_value("x", "batch", 8, *more)], [float_value("y", "batch", 4, *more)], weights)


def outliers(form: str) -> ModelProto:
    """A norm two channels of which are a hundred times larger, and products behind it: `x` [batch, 32] to `y`, `z`."""
    gamma = np.ones(32, np.float32)
    gamma[[5, 20]] = 100
    norm = {
        "norm": [node_of("LayerNormalization", ["x", "gamma", "beta"], ["n"])],
        "mul": [node_of("Tanh", ["x"], ["t"]), node_of("Mul", ["t", "gamma"], ["n"])],
        "mul and add": [
            node_of("Tanh", ["x"], ["t"]), node_of("Mul", ["t", "gamma"], ["m"]), node_of("Add", ["m", "beta"], ["n"]),
        ],
    }[form]  # fmt: skip
    weights = [from_array(gamma, "gamma"), *([] if form == "mul" else [weight_of("beta", 32)])]
    weights += [from_array(random_values(name, 32, 8) / gamma[:, None], name) for name in ("w", "v")]
    nodes = [*norm, node_of("MatMul", ["n", "w"], ["y"]), node_of("MatMul", ["n", "v"], ["z"])]
    ends = [float_value(name, "batch", 8) for name in "yz"]
    return model_of(nodes, [float_value("x", "batch", 32)], ends, weights)


def correlated(kind: str) -> ModelProto:
    """A layer whose 64 inputs are made of four numbers: `x` float32 [batch, 4] to `y` [batch, 16]."""
    weight = random_values("w", 64, 16)
    turned = kind == "Gemm"
    nodes = [
        node_of("MatMul", ["x", "spread"], ["s"]),
        node_of(kind, ["s", "w"], ["y"], **({"transB": 1} if turned else {})),
    ]
    weights = [weight_of("spread", 4, 64), from_array(np.ascontiguousarray(weight.T if turned else weight), "w")]
    return model_of(nodes, [float_value("x", "batch", 4)], [float_value("y", "batch", 16)], weights)


def quantized(model: ModelProto, folder: Path, **settings: Json) -> Artifact:
    return applied(StaticQuant, model, folder, data="data", **settings)


def errors(model: ModelProto, folder: Path, option: Mapping[str, Json], **settings: Json) -> tuple[float, float]:
    """Returns the relative error on the calibration data, without an option and with it."""
    found = []
    for name, extra in (("without", {}), ("with", dict(option))):
        result = quantized(model, folder / name, **settings, **extra)
        source = folder / name / "source/model.onnx"
        feeds = feeds_for(source, seed=1, batch=16)
        expected, got = (
            np.concatenate([v.ravel() for v in run_model(p, feeds).values()]) for p in (source, result.model)
        )
        found.append(float(np.linalg.norm(expected - got) / np.linalg.norm(expected)))
    return found[0], found[1]


def held(of: Artifact, name: str) -> list[float]:
    """Returns the values of a weight."""
    found: list[float] = next(
        to_array(tensor).tolist() for tensor in onnx.load(of.model).graph.initializer if tensor.name == name
    )
    return found


WEIGHTS_ALONE: Mapping[str, Json] = {"activation_type": "uint16", "op_types": ["Gemm", "MatMul", "Conv"]}
"""Activations so fine that what is lost is lost by the weights."""


@pytest.mark.parametrize("build", [shifted, shifted_convolution])
@pytest.mark.parametrize("per_channel", [False, True])
def test_bias_correction_takes_the_mean_error_off(
    tmp_path: Path, build: Callable[[], ModelProto], per_channel: bool
) -> None:
    option = {"bias_correction": True}
    before, after = errors(build(), tmp_path, option, weight_type="int4", per_channel=per_channel, **WEIGHTS_ALONE)
    assert after < 0.7 * before  # the inputs' mean is three times their deviation, and its share of the error goes


@pytest.mark.parametrize("kind", ["Gemm", "Conv"])
def test_equalization_helps_uneven_channels(tmp_path: Path, kind: str) -> None:
    before, after = errors(uneven(kind), tmp_path, {"equalization": True})
    assert before > 0.2  # ranges of 10^4 in 8 bits
    assert after < 0.05


@pytest.mark.parametrize("form", ["norm", "mul", "mul and add"])
def test_smoothing_helps_outliers_in_activations(tmp_path: Path, form: str) -> None:
    result = quantized(outliers(form), tmp_path / "noted", smooth=0.5)
    assert result.manifest.notes["static_quant"] == {"smoothed": 1}
    before, after = errors(outliers(form), tmp_path, {"smooth": 0.5}, per_channel=True)
    assert after < 0.4 * before  # an activation's step is a hundredth of the outlier's; smoothed, a tenth of that


@pytest.mark.parametrize("kind", ["Gemm", "MatMul"])
@pytest.mark.parametrize("per_channel", [False, True])
def test_adaptive_rounding_helps_correlated_inputs(tmp_path: Path, kind: str, per_channel: bool) -> None:
    option = {"rounding": "adaptive"}
    settings = {**WEIGHTS_ALONE, "exclude_nodes": ["MatMul_s"]}
    before, after = errors(correlated(kind), tmp_path, option, weight_type="int4", per_channel=per_channel, **settings)
    assert after < 0.5 * before  # four directions count, and 64 roundings can cancel in them


def test_adaptive_rounding_is_never_worse_in_its_own_measure_and_stays_next_to_the_value() -> None:
    values = random_values("w", 24, 300)
    inputs = random_values("x", 500, 24) @ random_values("mix", 24, 24)
    gram = (inputs.T @ inputs / 500).astype(np.float32)
    grid = Grid(np.full(1, 0.1, np.float32), np.zeros(1, np.int8))
    integers = Integers("int4", symmetric=False)
    nearest = codes_of(values, grid, "none", integers).astype(np.float64)
    made = adaptive_codes(values, grid, "none", integers, gram=gram, inputs_first=True).astype(np.float64)
    losses = [np.einsum("kn,kl,ln->n", e, gram, e) for e in (values - nearest * 0.1, values - made * 0.1)]
    assert (losses[1] <= losses[0] * (1 + 1e-6)).all()  # float64 sums
    assert losses[1].sum() < 0.8 * losses[0].sum()
    inside = abs(values) < 0.7
    assert abs(values - made * 0.1)[inside].max() <= 0.1 + 1e-6  # float32


def test_biases_of_layers_that_are_not_quantized_stay(tmp_path: Path) -> None:
    nodes = [
        node_of("Gemm", ["x", "w1", "b1"], ["m"]),
        node_of("MatMul", ["m", "w2"], ["p"]),
        node_of("Add", ["p", "b2"], ["y"]),
    ]
    weights = [weight_of("w1", 32, 16), weight_of("b1", 16), weight_of("w2", 16, 8), weight_of("b2", 8)]
    model = model_of(nodes, [float_value("x", "batch", 32)], [float_value("y", "batch", 8)], weights)
    result = quantized(model, tmp_path, op_types=["MatMul"], bias_correction=True)
    assert result.manifest.notes["static_quant"] == {"corrected": 1}
    assert held(result, "b1") == held(artifact(model, tmp_path / "before"), "b1")


@pytest.mark.parametrize("between", [True, False])
@pytest.mark.parametrize("kinds", [("Conv", "MatMul"), ("MatMul", "Conv")])
def test_equalization_leaves_layers_whose_channels_lie_on_other_axes(
    tmp_path: Path, kinds: tuple[str, str], between: bool
) -> None:
    shapes = {"Conv": (8, 8, 1), "MatMul": (8, 8)}  # an image of 8 channels that is 8 wide
    first, second = kinds
    nodes = [node_of(first, ["x", "w1"], ["m"]), node_of("Relu", ["m"], ["r"])]
    nodes = [*nodes[: 1 + between], node_of(second, ["r" if between else "m", "w2"], ["y"])]
    spread = np.logspace(-1, 1, 8, dtype=np.float32)
    weights = [
        from_array(random_values(name, *shapes[kind]) * spread.reshape((8,) + (1,) * (len(shapes[kind]) - 1)), name)
        for name, kind in (("w1", first), ("w2", second))
    ]
    model = model_of(nodes, [float_value("x", "batch", 8, 8)], [float_value("y", "batch", 8, 8)], weights)
    before, after = errors(model, tmp_path, {"equalization": True})
    assert after == before
    assert quantized(model, tmp_path / "noted", equalization=True).manifest.notes["static_quant"] == {"equalized": 0}


@pytest.mark.parametrize("reader", ["branch", "output"])
def test_bias_that_is_read_elsewhere_too_stays(tmp_path: Path, reader: str) -> None:
    nodes = [
        node_of("Add", ["x", "three"], ["s"]),
        node_of("MatMul", ["s", "w"], ["m"]),
        node_of("Add", ["m", "b"], ["y"]),
    ]
    weights = [from_array(np.full(32, 3, np.float32), "three"), weight_of("w", 32, 16), weight_of("b", 16)]
    model = model_of(nodes, [float_value("x", "batch", 32)], [float_value("y", "batch", 16)], weights)
    if reader == "branch":
        branches = [
            onnx.helper.make_graph([node_of(kind, ["b"], [f"{kind}_b"])], kind, [], [float_value(f"{kind}_b", 16)])
            for kind in ("Neg", "Abs")
        ]
        weights = [from_array(np.array(True), "yes")]
        model.graph.initializer.extend(weights)
        model.graph.node.append(node_of("If", ["yes"], ["z"], then_branch=branches[0], else_branch=branches[1]))
        model.graph.output.append(float_value("z", 16))
    else:
        model.graph.output.append(float_value("b", 16))
    result = quantized(model, tmp_path, op_types=["MatMul"], bias_correction=True)
    assert result.manifest.notes["static_quant"] == {"corrected": 0}
    assert held(result, "b") == held(artifact(model, tmp_path / "before"), "b")


@pytest.mark.parametrize(("weight_type", "least", "most"), [("int8", -64, 64), ("uint8", 0, 127)])
def test_adaptive_rounding_keeps_to_seven_bits(tmp_path: Path, weight_type: str, least: int, most: int) -> None:
    model = correlated("MatMul")
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == "w")
    # Near the ends of the range, where a flip away from zero may leave it, and the zero point is not in the middle.
    ends = np.where(to_array(weight) > 0, np.float32(1), np.float32(-0.805)) * np.linspace(
        0.99, 1, 16, dtype=np.float32
    )
    weight.CopyFrom(from_array(ends, "w"))
    settings: dict[str, Json] = {"weight_type": weight_type, "symmetric_weights": False, "reduce_range": True}
    codes = np.array(held(quantized(model, tmp_path, rounding="adaptive", **settings), "w_quantized"))
    assert least <= codes.min() and codes.max() <= most


def test_refinements_together_give_a_model_that_runs(tmp_path: Path) -> None:
    settings: dict[str, Json] = {
        "bias_correction": True, "equalization": True, "smooth": 0.5, "rounding": "adaptive", "per_channel": True,
    }  # fmt: skip
    for name, build in {"conv": models.conv_net, "bert": models.bert_layer, "mlp": models.mlp}.items():
        before, after = errors(build(), tmp_path / name, settings)
        assert after < max(2 * before, 0.05), name  # 8 bits are near enough that there is little to gain
    qoperator = quantized(models.conv_net(), tmp_path / "q", format="qoperator", **settings)
    assert qoperator.manifest.notes["static_quant"]["corrected"] == 3


def test_variants_share_their_auxiliary_steps() -> None:
    config = StaticQuant.config.model_validate({"data": "data", "equalization": True, "bias_correction": True})
    assert set(StaticQuant().needs(config)) == {"ranges", "statistics"}
    assert set(StaticQuant().needs(StaticQuant.config.model_validate({"data": "data"}))) == {"ranges"}


def test_sources_scale_and_shift_in_the_order_given(tmp_path: Path) -> None:
    tensor = from_array(np.array([1, 2, 3], np.float32), "b")
    sources = Sources(onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], [tensor])), tmp_path)
    sources.shift("b", np.ones(3, np.float32))
    sources.scale("b", 0, np.array([2, 1, 0.5], np.float32))
    assert sources.values("b").tolist() == [4, 3, 2]

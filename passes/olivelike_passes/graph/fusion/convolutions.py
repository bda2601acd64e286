"""A convolution, and the activation of what it makes, become one operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from olivelike_passes.graph.fusion.build import fused_node
from olivelike_passes.graph.fusion.floats import is_float
from olivelike_passes.graph.fusion.net import Net
from olivelike_passes.graph.fusion.nodes import real

if TYPE_CHECKING:
    from onnx import NodeProto

FARTHEST = 3.4028234663852886e38
"""The largest float32, and with a minus the least: what a `Clip` without a bound cuts off at."""
CLIP_INPUTS_OPSET = 11
PLAIN = ("Relu", "Tanh", "Sigmoid")
ACTIVATIONS = (*PLAIN, "LeakyRelu", "HardSigmoid", "Clip")
"""What the runtime's kernel for CPUs can apply to each output (its contrib_ops/cpu/fused_activation.cc)."""


def fuse_convolutions(net: Net) -> None:
    """Puts `FusedConv` in for convolutions whose output only an activation takes."""
    for conv in net.nodes("Conv"):
        made = conv.output[0]
        activation = net.taker(made, *ACTIVATIONS)
        if activation is not None and activation.input[0] == made and net.is_inner(made):
            _fuse(net, conv, activation)
        elif net.taker(made, "BatchNormalization") is not None:
            net.near["a convolution with a BatchNormalization after it: simplify before"] += 1


def _fuse(net: Net, conv: NodeProto, activation: NodeProto) -> None:
    if not is_float(net, conv.output[0]):
        net.near["a convolution with an activation that is not known to be of float32"] += 1
        return
    numbers = _numbers(net, activation)
    if numbers is None:
        net.near["a convolution with a Clip whose bounds are not constant, or the wrong way round"] += 1
        return
    node = fused_node("FusedConv", conv.input, activation.output, activation.name, activation=activation.op_type)
    node.attribute.extend(conv.attribute)
    if numbers:
        _add_floats(node, "activation_params", numbers)
    net.replace([node], "FusedConv")


def _numbers(net: Net, activation: NodeProto) -> Sequence[float] | None:
    """Returns an activation's parameters in the operator's order, None where they are not the same at every run."""
    match activation.op_type:
        case "LeakyRelu":
            return [real(activation, "alpha", 0.01)]
        case "HardSigmoid":
            return [real(activation, "alpha", 0.2), real(activation, "beta", 0.5)]
        case "Clip":
            return _bounds(net, activation)
        case _:
            return []


def _bounds(net: Net, clip: NodeProto) -> Sequence[float] | None:
    if net.opset < CLIP_INPUTS_OPSET:
        bounds = [real(clip, "min", -FARTHEST), real(clip, "max", FARTHEST)]
    else:
        names = [*clip.input[1:], "", ""][:2]
        given = [net.number(name) if name else far for name, far in zip(names, (-FARTHEST, FARTHEST), strict=True)]
        bounds = [number for number in given if number is not None]
    return bounds if len(bounds) == 2 and bounds[0] <= bounds[1] else None


def _add_floats(node: NodeProto, name: str, numbers: Sequence[float]) -> None:
    import onnx

    node.attribute.append(onnx.helper.make_attribute(name, [float(number) for number in numbers]))

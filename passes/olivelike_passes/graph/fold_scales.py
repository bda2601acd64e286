"""The pass `fold_scales`: numbers that a convolution's values are scaled and shifted by go into its weights."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.carry import deliver, keep
from olivelike.contracts.passes import Pass, PassConfig, PassContext
from olivelike.onnxfile.read import read_model
from olivelike_passes.graph.wiring import Wiring, drop_unused_weights
from olivelike_passes.weights import free_weights, lift_constants

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

HARD_SWISH_EDGE = 3.0
CLOSE = 1e-6
LARGEST_SHIFT = 1e4
"""A shift that a division by the scale makes larger than this would drown the values it is added to in float32."""


class FoldScalesConfig(PassConfig):
    """It has no options."""


class FoldScales(Pass[FoldScalesConfig]):
    """Puts scales and shifts by constant numbers into the weights of the convolutions beside them.

    What it does:
        `Mul` and `Add` of a number behind a convolution go into its weights and bias; in front of it, too: a shift only where
        nothing is padded, because padding is not shifted; where it is, the scale alone, by which the shift is divided. And
        hard-swish written out as `x * clip(x + 3, 0, 6) / 6` becomes `x * HardSigmoid(x)`, two operators for four.

    When to use it:
        Before quantizing a convolutional network that was exported with learned scales around its activations (PaddlePaddle's
        PP-LCNetV3, RepVGG-like blocks). What is computed element by element in float32 costs an integer network more than
        its convolutions do.

    Limits:
        Single numbers in float32, around `Conv` of the main graph; scales of channels are the runtime's own business.
        Values change by rounding.

    Example:
        ```yaml
        passes:
          - simplify: {}
          - fold_scales: {}
          - static_quant: {per_channel: true, data: calibration}
        ```
    """

    name = "fold_scales"
    config = FoldScalesConfig
    tools = ("numpy", "onnx")
    lossless = True

    def run(self, source: Artifact, out: Path, config: FoldScalesConfig, context: PassContext) -> Manifest:
        """Delivers the model with fewer nodes; the source itself where there is nothing to fold."""
        del config, context
        model = read_model(source.model)
        lift_constants(model)
        free_weights(model)
        if not folded(model):
            return keep(source, out)
        drop_unused_weights(model)
        return deliver(source, out, model)


def folded(model: ModelProto) -> int:
    """Folds what can be folded, from the first node on, and returns how often.

    A fold makes none possible but at the same node: what is around it finds the same names, as often taken as before.
    """
    wiring = Wiring(model)
    count = 0
    for node in wiring.nodes:
        while not wiring.is_out(node) and _folds_at(node, wiring):
            count += 1
    wiring.finish()
    return count


def _folds_at(node: NodeProto, wiring: Wiring) -> bool:
    match node.op_type:
        case "Conv" if wiring.weight(node.input[1]) is not None and _has_known_bias(node, wiring):
            return _fold_behind(node, wiring) or _fold_in_front(node, wiring)
        case "Div" | "Mul":
            return _shorten_hard_swish(node, wiring)
        case _:
            return False


def _has_known_bias(conv: NodeProto, wiring: Wiring) -> bool:
    return len(conv.input) < 3 or not conv.input[2] or wiring.weight(conv.input[2]) is not None


def _fold_behind(conv: NodeProto, wiring: Wiring) -> bool:
    taker = wiring.taker(conv.output[0], "Mul", "Add")
    found = wiring.with_number(taker) if taker is not None else None
    if taker is None or found is None:
        return False
    _, number = found
    if taker.op_type == "Mul":
        _change(conv, wiring, weight=number, bias=number)
    else:
        _change(conv, wiring, shift=number)
    wiring.make(conv, taker.output[0])
    wiring.take_out(taker)
    return True


def _fold_in_front(conv: NodeProto, wiring: Wiring) -> bool:
    maker = wiring.maker(conv.input[0], "Mul", "Add")
    found = wiring.with_number(maker) if maker is not None else None
    if maker is None or found is None:
        return False
    value, number = found
    if maker.op_type == "Add" and not _pads_nothing(conv):
        return _scale_through(maker, value, number, conv, wiring)
    if maker.op_type == "Add":
        _change(conv, wiring, seen=number)
    else:
        _change(conv, wiring, weight=number)
    wiring.read(conv, [value, *conv.input[1:]])
    wiring.take_out(maker)
    return True


def _scale_through(add: NodeProto, value: str, shift: float, conv: NodeProto, wiring: Wiring) -> bool:
    """Turns `conv(scale * x + shift)` into `(scale * conv)(x + shift / scale)`: padding, which is 0, is scaled to itself."""
    import numpy as np

    scaling = wiring.maker(value, "Mul")
    found = wiring.with_number(scaling) if scaling is not None else None
    if scaling is None or found is None or not abs(shift) <= abs(found[1]) * LARGEST_SHIFT or not found[1]:
        return False
    unscaled, scale = found
    _change(conv, wiring, weight=scale)
    wiring.read(add, [unscaled, wiring.new_weight(f"{add.output[0]}_shift", np.array(shift / scale))])
    wiring.take_out(scaling)
    return True


def _change(
    conv: NodeProto, wiring: Wiring, *, weight: float = 1.0, bias: float = 1.0, shift: float = 0.0, seen: float = 0.0
) -> None:
    """Gives a convolution new weights.

    Args:
        conv: the convolution.
        wiring: of its graph.
        weight: what its weights are multiplied by.
        bias: what its bias is multiplied by.
        shift: what is added to its bias.
        seen: what was added to each of its inputs; goes into the bias through the weights.
    """
    import numpy as np

    kernel = wiring.weight(conv.input[1])
    assert kernel is not None, "looked at before"
    known = wiring.weight(conv.input[2]) if len(conv.input) > 2 and conv.input[2] else None
    before = np.zeros(len(kernel)) if known is None else known
    after = before * bias + shift + seen * kernel.reshape(len(kernel), -1).sum(axis=1)
    if weight != 1.0:
        wiring.read(conv, [conv.input[0], wiring.new_weight(conv.input[1], kernel * weight), *conv.input[2:]])
    if known is not None or after.any():
        name = wiring.new_weight(conv.input[2] if known is not None else f"{conv.output[0]}_bias", after)
        wiring.read(conv, [*conv.input[:2], name])


def _pads_nothing(conv: NodeProto) -> bool:
    attributes = {attribute.name: attribute for attribute in conv.attribute}
    automatic = attributes["auto_pad"].s.decode() if "auto_pad" in attributes else "NOTSET"
    pads = list(attributes["pads"].ints) if "pads" in attributes else []
    return automatic == "VALID" or (automatic == "NOTSET" and not any(pads))


def _shorten_hard_swish(last: NodeProto, wiring: Wiring) -> bool:
    """Turns `x * clip(x + 3, 0, 6) / 6` into `x * HardSigmoid(x)` (Howard et al. 2019, Searching for MobileNetV3)."""
    found = wiring.with_number(last)
    if found is None or (last.op_type == "Div" and found[0] != last.input[0]):
        return False
    product, number = found
    factor = 1 / number if last.op_type == "Div" and number else number
    times = wiring.maker(product, "Mul") if math.isclose(factor, 1 / 6, rel_tol=CLOSE) else None
    if times is None:
        return False
    for x, gate in ((times.input[0], times.input[1]), (times.input[1], times.input[0])):
        clip = wiring.maker(gate, "Clip")
        if clip is None or _clips_to(clip, wiring) != (0.0, 6.0):
            continue
        add = wiring.maker(clip.input[0], "Add")
        if add is not None and wiring.with_number(add) == (x, HARD_SWISH_EDGE):
            _write_hard_sigmoid(clip, x, wiring)
            wiring.make(times, last.output[0])
            wiring.take_out(add, last)
            return True
    return False


def _clips_to(clip: NodeProto, wiring: Wiring) -> tuple[float, float]:
    """Returns the ends; they are inputs from opset 11 on, attributes before."""
    ends = {attribute.name: attribute.f for attribute in clip.attribute}
    for name, value in zip(("min", "max"), clip.input[1:], strict=False):
        number = wiring.weight(value)
        ends[name] = float(number.reshape(-1)[0]) if number is not None and number.size == 1 else math.nan
    return ends.get("min", -math.inf), ends.get("max", math.inf)


def _write_hard_sigmoid(clip: NodeProto, x: str, wiring: Wiring) -> None:
    from onnx import helper

    clip.op_type = "HardSigmoid"
    wiring.read(clip, [x])
    del clip.attribute[:]
    clip.attribute.extend([helper.make_attribute("alpha", 1 / 6), helper.make_attribute("beta", 0.5)])

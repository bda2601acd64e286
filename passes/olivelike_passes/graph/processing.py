"""The usual ends of models of images and classes, as nodes: what brings pixels into shape, what makes classes of scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from olivelike.onnxfile.names import Names, all_names
from olivelike.onnxfile.read import opset
from olivelike.onnxfile.walk import nodes as every_node
from olivelike_passes.weights import add_weight

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

Attribute: TypeAlias = int | float | str | Sequence[int]
CUBIC_OF_TORCH = -0.75
CUBIC_OF_PILLOW = -0.5
BATCH, CHANNELS, HEIGHT, WIDTH = range(4)


class Steps:
    """Nodes that are made one after the other, each reading what the one before made.

    Attributes:
        nodes: the nodes so far.
        value: the name of what the last one made.
        opset: the version of ONNX's operator set in the model.
    """

    def __init__(self, model: ModelProto, value: str, prefix: str) -> None:
        """Begins behind a value; names of what is made begin with the prefix."""
        self.nodes: list[NodeProto] = []
        self.value = value
        self._model = model
        self._prefix = prefix
        self._names = Names(all_names(model) | {node.name for node in every_node(model)})
        self.opset = opset(model)

    def add(self, kind: str, *inputs: str, domain: str = "", **attributes: Attribute) -> str:
        """Adds a node that reads `value`, then these inputs, and returns what it makes, which `value` is now."""
        self.value = self.aside(kind, self.value, *inputs, domain=domain, **attributes)
        return self.value

    def aside(self, kind: str, *inputs: str, domain: str = "", **attributes: Attribute) -> str:
        """Adds a node that reads these inputs alone and returns what it makes; `value` stays."""
        import onnx

        name = self.fresh(kind)
        node = onnx.helper.make_node(kind, inputs, [name], name=name, domain=domain)
        node.attribute.extend(onnx.helper.make_attribute(key, value) for key, value in attributes.items())
        self.nodes.append(node)
        return name

    def constant(self, what: str, values: object, dtype: str) -> str:
        """Adds an initializer and returns its name."""
        import numpy as np
        from onnx import numpy_helper

        name = self.fresh(what)
        add_weight(self._model, numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def unsqueeze(self) -> str:
        """Adds an axis in front."""
        if self.opset < 13:
            return self.add("Unsqueeze", axes=[0])
        return self.add("Unsqueeze", self.constant("axes", [0], "int64"))

    def fresh(self, what: str) -> str:
        """Returns a name that nothing has yet."""
        return self._names.fresh(f"{self._prefix}/{what}")


def stretch(steps: Steps, size: tuple[int, int], mode: str, *, antialias: bool) -> None:
    """Resizes float images [batch, channels, height, width] to a height and width."""
    shape = steps.aside("Shape", steps.value)
    _resize(steps, shape, steps.constant("size", size, "int64"), mode, antialias=antialias)


def shrink_and_crop(steps: Steps, shorter: int, size: tuple[int, int], mode: str, *, antialias: bool) -> None:
    """Resizes float images so that the shorter side has so many pixels, and cuts a height and width out of their middle.

    The longer side is rounded down, and so is the crop's place, as Hugging Face's image processors do.
    """
    shape = steps.aside("Shape", steps.value)
    sides = _slice(steps, shape, HEIGHT, WIDTH + 1)
    least = steps.aside("ReduceMin", sides, keepdims=1)
    wanted = steps.aside("Mul", sides, steps.constant("shorter", [shorter], "int64"))
    sides = steps.aside("Div", wanted, least)
    _resize(steps, shape, sides, mode, antialias=antialias)
    target = steps.constant("crop", size, "int64")
    two = steps.constant("two", [2], "int64")
    start = steps.aside("Div", steps.aside("Sub", sides, target), two)
    end = steps.aside("Add", start, target)
    steps.add("Slice", start, end, steps.constant("axes", [HEIGHT, WIDTH], "int64"))


def normalize(steps: Steps, scale: float, mean: Sequence[float], std: Sequence[float]) -> None:
    """Makes `(pixel * scale - mean) / std` of float images [batch, channels, height, width], by channel."""
    import numpy as np

    divisor = np.asarray(std or [1.0])
    factor = scale / divisor
    if (factor != 1).any():
        steps.add("Mul", steps.constant("factor", factor.reshape(-1, 1, 1), "float32"))
    if any(mean):
        steps.add("Sub", steps.constant("shift", (np.asarray(mean) / divisor).reshape(-1, 1, 1), "float32"))


def _resize(steps: Steps, shape: str, sides: str, mode: str, *, antialias: bool) -> None:
    outer = _slice(steps, shape, BATCH, HEIGHT)
    sizes = steps.aside("Concat", outer, sides, axis=0)
    attributes: dict[str, Attribute] = {"mode": mode, "coordinate_transformation_mode": "half_pixel"}
    if antialias and mode != "nearest":
        attributes |= {"antialias": 1, "exclude_outside": 1}  # as Pillow: what lies outside the image has no weight
    if mode == "cubic":
        attributes["cubic_coeff_a"] = CUBIC_OF_PILLOW if antialias else CUBIC_OF_TORCH
    if mode == "nearest":
        attributes["nearest_mode"] = "round_prefer_ceil"
    unset = (
        ("", "")
        if steps.opset >= 13
        else (steps.constant("roi", [], "float32"), steps.constant("scales", [], "float32"))
    )
    steps.add("Resize", *unset, sizes, domain="", **attributes)
    # Image libraries hold whole numbers between their steps: what overshoots is cut off, the rest rounded.
    steps.add("Round")
    if mode == "cubic":
        steps.add("Clip", steps.constant("black", 0.0, "float32"), steps.constant("white", 255.0, "float32"))


def _slice(steps: Steps, value: str, start: int, end: int) -> str:
    first, last = steps.constant("start", [start], "int64"), steps.constant("end", [end], "int64")
    return steps.aside("Slice", value, first, last)

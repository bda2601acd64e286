"""The end of a model that takes images: which input it is, whether it can take pixels, the nodes in front of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from olivelike.contracts.extensions import PACKAGE, is_installed
from olivelike.errors import nearest
from olivelike.onnxfile.read import Value, opset, signature_of
from olivelike.onnxfile.wiring import rename_reads
from olivelike_passes.graph.processing import Steps, normalize, shrink_and_crop, stretch

if TYPE_CHECKING:
    from onnx import ModelProto

    from olivelike_passes.graph.processing_config import InsertPrePostProcessingConfig

DOMAIN = "com.microsoft.extensions"
"""The domain of onnxruntime-extensions' operators on images."""
FLOATS = ("float32", "float16", "float64")
COLOURS = (3, 1, 4)
CHANNELS, LAST = 1, 3
RESIZE_OPSET = 11
ANTIALIAS_OPSET = 18
TO_FIRST, TO_LAST = [0, 3, 1, 2], [0, 2, 3, 1]


@dataclass(frozen=True, slots=True)
class ImageInput:
    """Where an image goes in: the input, its channels and whether they are last, the size that the model gets."""

    value: Value
    channels: int
    last: bool
    size: tuple[int | str, int | str]


def image_input(model: ModelProto, config: InsertPrePostProcessingConfig) -> ImageInput | str:
    """Returns where the image goes in, or why it cannot."""
    inputs = {value.name: value for value in signature_of(model).inputs}
    of_images = [value for value in inputs.values() if len(value.shape) == len(TO_FIRST)]
    if config.input and config.input not in inputs:
        return f"the model has no input {config.input!r}: {nearest(config.input, inputs)}"
    if not config.input and len(of_images) != 1:
        return f"the model has {len(of_images)} inputs of rank 4: name one with `input`"
    value = inputs[config.input] if config.input else of_images[0]
    if len(value.shape) != len(TO_FIRST) or value.dtype not in FLOATS:
        return f"the input {value.name!r} is {value.dtype} {list(value.shape)}, no batch of float images"
    _, second, third, fourth = value.shape
    # Three channels are likelier than four, and the layout of ONNX's own operators is the likelier one.
    found = [(count, axis) for count in COLOURS for axis in (CHANNELS, LAST) if value.shape[axis] == count]
    if not found:
        return f"the input {value.name!r} has the shape {list(value.shape)}: no axis is known to be that of 1, 3 or 4 channels"
    count, axis = found[0]
    height, width = (second, third) if axis == LAST else (third, fourth)
    return ImageInput(value, count, axis == LAST, (config.height or height, config.width or width))


def unfit_image(image: ImageInput, model: ModelProto, config: InsertPrePostProcessingConfig) -> list[str]:
    """Returns why an input cannot take images as the configuration has them."""
    name = image.value.name
    found = [
        f"`{what}` has {len(values)} numbers, and {name!r} has {image.channels} channels"
        for what, values in (("mean", config.mean), ("std", config.std))
        if len(values) not in (0, 1, image.channels)
    ]
    declared = image.value.shape[1:3] if image.last else image.value.shape[2:]
    clash = [f"{got}, declared {had}" for got, had in zip(image.size, declared, strict=True) if _differ(got, had)]
    found += [f"the model does not take images of that size: {each}" for each in clash]
    if name in {entry.name for entry in model.graph.output}:
        found.append(f"the input {name!r} is an output as well")
    if config.take != "images" and image.value.shape[0] not in (1,) and isinstance(image.value.shape[0], int):
        found.append(f"the model takes {image.value.shape[0]} images at once: `take: images`")
    if config.take == "file" and not is_installed():
        found.append(f"decoding files needs the package {PACKAGE}, which is not installed")
    if config.take == "file" and image.channels != 3:
        found.append(f"files are decoded to 3 channels, and {name!r} has {image.channels}")
    return found if config.resize == "none" else found + _unfit_size(image, opset(model), config)


def _unfit_size(image: ImageInput, version: int, config: InsertPrePostProcessingConfig) -> list[str]:
    found = []
    sides = [side for side in image.size if isinstance(side, int)]
    if len(sides) < 2:
        found.append(f"the model declares no size for {image.value.name!r}: set `height` and `width`")
    if config.resize == "crop" and config.shorter_side < max(sides, default=0):
        found.append(f"a side of {max(sides)} cannot be cut out of {config.shorter_side}: raise `shorter_side`")
    smooth = config.antialias and config.interpolation != "nearest"
    needed = ANTIALIAS_OPSET if smooth else RESIZE_OPSET
    if version < needed:
        other = " or set `antialias: false`" if smooth else ""
        found.append(f"resizing takes opset {needed}, the model has {version}: put convert_opset before it{other}")
    return found


def insert_in_front(model: ModelProto, image: ImageInput, config: InsertPrePostProcessingConfig) -> None:
    """Puts what brings pixels into the model's shape in front of an input, which keeps its name."""
    import onnx

    name, kind = image.value.name, onnx.TensorProto.UINT8
    steps = Steps(model, name, name)
    shape: list[int | str | None] = [*(image.size if config.resize == "none" else ("height", "width")), image.channels]
    match config.take:
        case "file":
            steps.add("DecodeImage", domain=DOMAIN, color_space="rgb")
            if not opset(model, DOMAIN):
                model.opset_import.add(domain=DOMAIN, version=1)
            shape = ["bytes"]
        case "images":
            shape = [image.value.shape[0], *shape]
    if config.take != "images":
        steps.unsqueeze()
    if config.reverse_channels:
        steps.add("Gather", steps.constant("order", list(range(image.channels))[::-1], "int64"), axis=3)
    steps.add("Transpose", perm=TO_FIRST)
    steps.add("Cast", to=onnx.TensorProto.FLOAT)
    _fit_size(steps, image, config)
    normalize(steps, config.scale, config.mean, config.std)
    if image.value.dtype != "float32":
        steps.add("Cast", to=onnx.helper.np_dtype_to_tensor_dtype(_dtype(image.value.dtype)))
    if image.last:
        steps.add("Transpose", perm=TO_LAST)
    for node in model.graph.node:
        rename_reads(node, {name: steps.value})
    for annotation in model.graph.quantization_annotation:
        annotation.tensor_name = steps.value if annotation.tensor_name == name else annotation.tensor_name
    for place, node in enumerate(steps.nodes):
        model.graph.node.insert(place, node)
    entry = next(entry for entry in model.graph.input if entry.name == name)
    dims = [None if dim == "?" else dim for dim in shape]
    entry.CopyFrom(onnx.helper.make_tensor_value_info(name, kind, dims, doc_string=entry.doc_string))


def _fit_size(steps: Steps, image: ImageInput, config: InsertPrePostProcessingConfig) -> None:
    height, width = image.size
    if not isinstance(height, int) or not isinstance(width, int):
        return
    match config.resize:
        case "stretch":
            stretch(steps, (height, width), config.interpolation, antialias=config.antialias)
        case "crop":
            size, shorter = (height, width), config.shorter_side
            shrink_and_crop(steps, shorter, size, config.interpolation, antialias=config.antialias)
        case _:
            pass


def _differ(got: int | str, declared: int | str) -> bool:
    return isinstance(got, int) and isinstance(declared, int) and got != declared


def _dtype(name: str) -> object:
    import numpy as np

    return np.dtype(name)

"""What is done to a model before its weights are rounded, so that rounding costs less: the order of the refinements."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from olivelike.digest import Json
from olivelike.onnxfile.light import SMALL
from olivelike_passes.quantization.integers import Axis, Grid, Integers
from olivelike_passes.quantization.static.adaptive import adaptive_codes
from olivelike_passes.quantization.static.bias import correct_biases
from olivelike_passes.quantization.static.equalize import equalize
from olivelike_passes.quantization.static.linear import linear_layers
from olivelike_passes.quantization.static.smooth import smooth
from olivelike_passes.quantization.static.sources import Seen, Sources
from olivelike_passes.quantization.static.weights import Weight, weights_of
from olivelike_passes.quantization.tool import Scheme

if TYPE_CHECKING:
    from onnx import ModelProto

    from olivelike_passes.quantization.integers import Codes, Values


@dataclass(frozen=True, slots=True)
class Refinements:
    """Which of them are wanted; the configuration of `static_quant` says what they are."""

    smooth: float = 0.0
    equalization: bool = False
    bias_correction: bool = False
    rounding: Literal["nearest", "adaptive"] = "nearest"

    @property
    def wanted(self) -> bool:
        """Whether any is, so that activations have to be looked at channel by channel."""
        return bool(self.smooth) or self.equalization or self.bias_correction or self.rounding != "nearest"


def refined(
    model: ModelProto, sources: Sources, seen: Seen | None, wanted: Refinements, scheme: Scheme
) -> tuple[dict[str, Weight], dict[str, Json]]:
    """Refines a model and returns its weights whose codes are made later, and how often each refinement was done.

    Args:
        model: a structure whose constants are initializers; biases may be added to it.
        sources: its weights, which are scaled and shifted.
        seen: what flows through it; nothing if no refinement is wanted.
        wanted: the refinements.
        scheme: how weights are rounded.
    """
    if seen is None:
        return {weight.tensor.name: weight for weight in weights_of(model, sources)}, {}
    done: dict[str, Json] = {}
    if wanted.smooth:
        done["smoothed"] = smooth(model, sources, seen, wanted.smooth)
    if wanted.equalization:
        done["equalized"] = equalize(model, sources, seen)
    above = 0 if wanted.bias_correction or wanted.rounding == "adaptive" else SMALL
    weights = {weight.tensor.name: weight for weight in weights_of(model, sources, above)}
    if wanted.rounding == "adaptive":
        done["rounded"] = _round_by_products(model, weights, seen, scheme)
    if wanted.bias_correction:
        done["corrected"] = correct_biases(model, weights, sources, seen, scheme)
    return weights, done


def _round_by_products(model: ModelProto, weights: dict[str, Weight], seen: Seen, scheme: Scheme) -> int:
    count = 0
    for layer in linear_layers(model):
        name, value = layer.weight.name, layer.node.input[0]
        if name in weights and len(layer.weight.dims) == 2 and seen.has_gram(value):
            rounded = partial(_by_products, seen, value, layer.inputs == 0, scheme.reduce_range)
            weights[name] = replace(weights[name], rounded=rounded)
            count += 1
    return count


def _by_products(
    seen: Seen,
    value: str,
    inputs_first: bool,
    reduced: bool,
    values: Values,
    grid: Grid,
    axis: Axis,
    integers: Integers,
) -> Codes:
    # The scale keeps the nearest codes inside a smaller range, but not those that are next to them.
    integers = replace(integers, reduced=reduced)
    # The products are read when they are needed, so that those of one layer at a time are held.
    return adaptive_codes(values, grid, axis, integers, gram=seen.gram(value), inputs_first=inputs_first)

"""Repairs: what has to change in the quantized model, and what it costs; scales that do not fit their weights cost nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from olivelike.engine.blame.hybrid import hybrid
from olivelike.engine.blame.pairing import Pairing, Unit
from olivelike.engine.blame.search import culprits
from olivelike.engine.blame.trials import Trials, size_of
from olivelike.engine.blame.weights import integer_weights

if TYPE_CHECKING:
    from onnx import ModelProto


@dataclass(frozen=True, slots=True)
class Repair:
    """A change that brings the drop down.

    Attributes:
        scales: scales of weights that are set to those which fit BASE's weights, by name.
        in_float: units that are kept in float.
        drop: what is left, measured.
        bytes: by how much the file grows.
        model: the repaired model.
    """

    scales: tuple[str, ...]
    in_float: tuple[Unit, ...]
    drop: float
    bytes: int
    model: ModelProto

    @property
    def exclude_nodes(self) -> tuple[str, ...]:
        """The nodes to name in the quantizing pass's `exclude_nodes`."""
        return tuple(name for unit in self.in_float for name in unit.excluded)


def repairs(trials: Trials, found: Sequence[Unit], suspects: Sequence[Unit], target: float) -> tuple[Repair, ...]:
    """Returns what repairs the culprits, the cheapest first: kept in float, or with their scales set right where that helps.

    Every drop in the answer is measured; the trials count it.

    Args:
        trials: of the two models.
        found: the culprits.
        suspects: other units whose scales are set right on the way.
        target: the drop that may be left.
    """
    pairing = trials.pairing
    before = size_of(pairing.quantized)
    kept = hybrid(pairing, found)
    answers = [Repair((), tuple(found), trials.drop(found), size_of(kept) - before, kept)]
    rescaled, scales = with_fitting_scales(pairing, [*found, *suspects])
    if scales:
        again = Trials(replace(pairing, quantized=rescaled), trials.compare)
        if again.drop(found) <= target:
            left = culprits(found, lambda chosen: again.drop(chosen) <= target).found
            model = hybrid(again.pairing, left)
            mended = tuple(name for name in scales if any(t.name == name for t in model.graph.initializer))
            answers.append(Repair(mended, left, again.drop(left), size_of(model) - before, model))
        trials.evaluations += again.evaluations
    return tuple(sorted(answers, key=lambda repair: repair.bytes))


def with_fitting_scales(pairing: Pairing, units: Sequence[Unit]) -> tuple[ModelProto, tuple[str, ...]]:
    """Returns the quantized model with the scales of some units' weights set right, and the names of those that were wrong."""
    import onnx

    model = onnx.ModelProto()
    model.CopyFrom(pairing.quantized)
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    wrong = set()
    for weight in (weight for unit in units for weight in integer_weights(pairing, unit)):
        if weight.is_mendable:
            fitted = weight.fitted.reshape(weight.scale.shape).astype(weight.scale.dtype)
            held[weight.scale_name].CopyFrom(onnx.numpy_helper.from_array(fitted, weight.scale_name))
            wrong.add(weight.scale_name)
    return model, tuple(sorted(wrong))

"""What data say of each matrix's inputs, in the terms of the methods that ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.onnxfile.tensors import mapped
from olivelike_passes.quantization.activation_statistics import Statistics
from olivelike_passes.quantization.blocks.awq import best_factors
from olivelike_passes.quantization.blocks.choice import Choice
from olivelike_passes.quantization.blocks.gptq import Ahead, ahead, gptq
from olivelike_passes.quantization.blocks.grid import Method
from olivelike_passes.quantization.blocks.hqq import hqq
from olivelike_passes.quantization.blocks.k_quant import k_quant
from olivelike_passes.quantization.blocks.mse import mse
from olivelike_passes.quantization.blocks.rtn import rtn
from olivelike_passes.quantization.blocks.weight import Weight

if TYPE_CHECKING:
    from olivelike_passes.quantization.blocks.grid import Floats

METHODS: Mapping[str, Method] = {"rtn": rtn, "mse": mse, "k_quant": k_quant, "hqq": hqq, "awq": mse, "gptq": mse}
"""How weights are rounded where nothing more is known of their inputs than how large each is."""


class Learned:
    """The statistics of a model's activations, or nothing; and the factors that weights are multiplied with."""

    def __init__(self, model: Path, statistics: Statistics | None, damping: float, *, act_order: bool) -> None:
        """Takes statistics, and how GPTQ is to use them."""
        self._model = model
        self._statistics = statistics
        self._damping, self._act_order = damping, act_order
        self._factors: dict[
            int, Floats
        ] = {}  # by the identity of nodes: others that share their input read it undivided
        self._ahead: tuple[str, Ahead] | None = None

    def weight(self, choice: Choice) -> Weight:
        """Returns a matrix's weights as they are to be rounded."""
        import numpy as np

        one = np.ones(1, np.float32)
        values = mapped(choice.matrix.tensor, self._model)
        factors = self._factors.get(id(choice.matrix.node), one)
        squares = self._statistics.mean_square(choice.input) if self._statistics and self.knows(choice) else one
        if squares.size > 1 and not squares.any():  # the data never reach it
            squares = one
        importance = (squares / np.square(factors)).astype(np.float32)
        return Weight(values, choice.matrix.rows_are_outputs, factors, importance)

    def method(self, choice: Choice) -> tuple[Method, bool]:
        """Returns how a matrix is rounded, and whether the method must see whole lanes."""
        if choice.method != "gptq" or self._statistics is None or not self._statistics.has_gram(choice.input):
            return METHODS[choice.method], False
        if self._ahead is None or self._ahead[0] != choice.input:  # neighbours mostly share their input
            gram = self._statistics.gram(choice.input)
            self._ahead = choice.input, ahead(gram, self._damping, largest_first=self._act_order)
        return gptq(self._ahead[1], fixed_blocks=self._act_order), True

    def knows(self, choice: Choice) -> bool:
        """Whether there are statistics of what a matrix is multiplied with."""
        return bool(choice.input) and self._statistics is not None and choice.input in self._statistics

    def scale(self, group: list[Choice]) -> Floats:
        """Finds the factors for matrices that share an input, keeps them for `weight`, and returns them."""
        name = group[0].input
        assert self._statistics is not None, "asked for inputs that are known only"
        magnitude, squares = self._statistics.mean_magnitude(name), self._statistics.mean_square(name)
        weights = [self.weight(choice) for choice in group]
        factors = best_factors(weights, [choice.grid for choice in group], magnitude, squares)
        self._factors |= {id(choice.matrix.node): factors for choice in group}
        return factors

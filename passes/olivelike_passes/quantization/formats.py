"""Formats that weights are rounded to, by name: what each makes of a weight, and how many bits it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float32]

FormatName: TypeAlias = Literal[
    "int8", "int8_per_channel", "int8_b32", "int8_b128", "int4_b16", "int4_b32", "int4_b64", "int4_b128", "int2_b16",
    "int2_b32", "float16",
]  # fmt: skip
"""`int4_b32` has 4 bits in blocks of 32 inputs with a scale each; plain `int8` one scale for all, `int8_per_channel` one for
each output."""
NAMES: tuple[FormatName, ...] = get_args(FormatName)
SCALE_BITS = 32
HALF_MAX = 65504.0


@dataclass(frozen=True, slots=True)
class Format:
    """How weights are rounded to the nearest.

    Attributes:
        bits: of a weight.
        block: inputs that share a scale; 0 where all of an output's do.
        per_output: whether each output has scales of its own.
        is_float: whether weights stay floats.
    """

    bits: int
    block: int = 0
    per_output: bool = True
    is_float: bool = False

    @classmethod
    def named(cls, name: FormatName) -> Format:
        """Returns the format of a name.

        >>> Format.named("int4_b32")
        Format(bits=4, block=32, per_output=True, is_float=False)
        """
        if name == "float16":
            return cls(16, is_float=True)
        kind, _, rest = name.partition("_")
        bits = int(kind.removeprefix("int"))
        return cls(bits, int(rest[1:]) if rest.startswith("b") else 0, per_output=bool(rest))

    @property
    def bits_per_weight(self) -> float:
        """What a weight takes with its share of a block's float32 scale; scales of outputs do not count.

        >>> Format.named("int4_b32").bits_per_weight, Format.named("int8").bits_per_weight
        (5.0, 8.0)
        """
        return self.bits + (SCALE_BITS / self.block if self.block else 0)

    def rounded(self, weights: Floats, largest: float) -> Floats:
        """Returns weights as the format represents them; symmetric, rounded to the nearest.

        Args:
            weights: float32 `[outputs, inputs]`.
            largest: the largest magnitude in the whole matrix.
        """
        import numpy as np

        if self.is_float:
            return np.clip(weights, -HALF_MAX, HALF_MAX).astype(np.float16).astype(np.float32)
        if self.block:
            return _in_blocks(weights, self.block, self.bits)
        top = np.float32((1 << (self.bits - 1)) - 1)
        most = np.abs(weights).max(axis=1, keepdims=True, initial=0) if self.per_output else np.float32(largest)
        return _on_grid(weights, most / top, -top, top)


def _in_blocks(weights: Floats, block: int, bits: int) -> Floats:
    """Rounds blocks of inputs to all 2^bits levels: the largest weight of a block takes the lowest, as the runtime does it."""
    import numpy as np

    outputs, inputs = weights.shape
    count = -(-inputs // block)
    blocks = np.zeros((outputs, count * block), np.float32)
    blocks[:, :inputs] = weights
    blocks = blocks.reshape(outputs, count, block)
    low, high = blocks.min(axis=2, keepdims=True), blocks.max(axis=2, keepdims=True)
    lowest = np.float32(-(1 << (bits - 1)))
    scales = np.where(high > -low, high, low) / lowest
    rounded = _on_grid(blocks, scales, lowest, -lowest - 1)
    return rounded.reshape(outputs, -1)[:, :inputs]


def _on_grid(values: Floats, scales: Floats | np.float32, lowest: np.float32, highest: np.float32) -> Floats:
    import numpy as np

    inverse = np.divide(1, scales, out=np.zeros_like(np.asarray(scales)), where=np.asarray(scales) != 0)
    codes = values * inverse
    np.rint(codes, out=codes)
    np.clip(codes, lowest, highest, out=codes)
    codes *= scales
    return codes

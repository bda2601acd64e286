"""Rounded weights as operators read them: packed lane by lane, or in the layout of the matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from olivelike_passes.quantization.blocks.grid import Blocks, Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from olivelike_passes.quantization.blocks.grid import Codes


class Packed:
    """The layout of `MatMulNBits` and `GatherBlockQuantized` (ONNX Runtime, ContribOperators.md).

    Attributes:
        codes: uint8 [outputs, blocks, bytes of a block]; the first code lies in a byte's lowest bits.
        scales: float32 or float16 [outputs, blocks].
    """

    def __init__(self, outputs: int, blocks: int, grid: Grid) -> None:
        import numpy as np

        self._grid = grid
        self.codes = np.empty((outputs, blocks, grid.block * grid.stored_bits // 8), np.uint8)
        self.scales = np.empty((outputs, blocks), _kind(grid))
        self._zeros = np.empty((outputs, blocks), _kind(grid) if grid.float_zeros else np.uint8)

    def put(self, blocks: slice, outputs: slice, found: Blocks) -> None:
        """Stores a tile."""
        self.codes[outputs, blocks] = _bytes(found.codes, self._grid.stored_bits, self._grid.shift).transpose(2, 0, 1)
        self.scales[outputs, blocks] = found.spacing.scales.T
        self._zeros[outputs, blocks] = found.spacing.zeros.T

    def tensors(self) -> list[NDArray[Any]]:
        """Returns codes, scales and, if the model holds any, zeros: packed into uint8 [outputs, bytes], or floats."""
        if self._grid.symmetric:
            return [self.codes, self.scales]
        if self._grid.float_zeros:
            return [self.codes, self.scales, self._zeros]
        return [self.codes, self.scales, packed_rows(self._zeros, self._grid.stored_bits)]


class Matrixlike:
    """The layout of a blocked `DequantizeLinear` along axis 0: codes `[inputs, outputs]`, scales and zeros `[blocks, outputs]`.

    Symmetric codes are signed; all come packed, as uint8 that runs on from row to row.
    """

    def __init__(self, inputs: int, outputs: int, grid: Grid) -> None:
        import numpy as np

        blocks = -(-inputs // grid.block)
        self._grid = grid
        self._codes = np.empty((inputs, outputs), np.uint8)
        self._scales = np.empty((blocks, outputs), _kind(grid))
        self._zeros = np.empty((blocks, outputs), np.uint8)

    def put(self, blocks: slice, outputs: slice, found: Blocks) -> None:
        """Stores a tile."""
        rows = self._codes[blocks.start * self._grid.block : blocks.stop * self._grid.block, outputs]
        rows[:] = found.codes.reshape(-1, rows.shape[1])[: len(rows)]
        self._scales[blocks, outputs] = found.spacing.scales
        self._zeros[blocks, outputs] = found.spacing.zeros

    def tensors(self) -> list[NDArray[Any]]:
        """Returns codes, scales and, if the model holds any, zeros."""
        import numpy as np

        bits = self._grid.stored_bits
        if not self._grid.symmetric:
            codes, zeros = (packed_rows(each.reshape(1, -1), bits)[0] for each in (self._codes, self._zeros))
            return [codes, self._scales, zeros]
        self._codes += np.uint8(self._grid.shift)
        self._codes ^= np.uint8(2 ** (bits - 1))  # the same number less the middle, in two's complement
        return [packed_rows(self._codes.reshape(1, -1) & np.uint8(2**bits - 1), bits)[0], self._scales]


def packed_rows(codes: Codes, bits: int) -> Codes:
    """Packs codes row by row, uint8 [rows, count] to [rows, bytes]; what is left of a last byte is 0."""
    import numpy as np

    missing = -codes.shape[1] % (8 // bits)
    whole = np.pad(codes, ((0, 0), (0, missing))) if missing else codes
    return np.ascontiguousarray(_bytes(whole.T[None], bits, 0)[0].T)


def unpacked(stored: Codes, bits: int) -> Codes:
    """Returns the codes in the bytes of each row, uint8 [rows, bytes] to [rows, codes]."""
    import numpy as np

    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    codes: Codes = (stored[:, :, None] >> shifts) & np.uint8(2**bits - 1)
    return codes.reshape(len(stored), -1)


def _bytes(codes: Codes, bits: int, shift: int) -> Codes:
    """Packs codes along the second of three axes."""
    import numpy as np

    shifted: Codes = codes + np.uint8(shift) if shift else codes
    per_byte = 8 // bits
    if per_byte == 1:
        return shifted
    joined: Codes = shifted[:, per_byte - 1 :: per_byte] << np.uint8(8 - bits)
    for place in range(per_byte - 1):
        joined |= shifted[:, place::per_byte] << np.uint8(place * bits) if place else shifted[:, ::per_byte]
    return joined


def _kind(grid: Grid) -> type[Any]:
    import numpy as np

    return np.float16 if grid.half else np.float32

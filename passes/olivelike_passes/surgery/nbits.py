"""Some rows of what `MatMulNBits` multiplies by, as floats (layout: ONNX Runtime, ContribOperators.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

PACKED = (2, 4, 8)
"""The numbers of bits that fill bytes."""


def float_rows(
    data: NDArray[Any], scales: NDArray[Any], zero_points: NDArray[Any] | None, rows: NDArray[Any], bits: int
) -> Floats:
    """Returns rows of a quantized weight [rows asked for, columns].

    Args:
        data: uint8 [N, blocks, block * bits / 8], the lowest bits first.
        scales: [N, blocks], or as many in one axis.
        zero_points: uint8 [N, bytes of the blocks' points], packed as the data are; or floats, one for each block; or nothing
            for the middle of the range.
        rows: which rows.
        bits: one of `PACKED`.
    """
    import numpy as np

    count, blocks = len(data), data.shape[1]
    whole = _unpacked(data[rows], bits).astype(np.float32)
    scale = np.asarray(scales.reshape(count, blocks)[rows], np.float32)
    middle = np.full((len(rows), blocks), 2 ** (bits - 1), np.float32)
    if zero_points is not None and zero_points.dtype == np.uint8:
        middle = _unpacked(zero_points.reshape(count, -1)[rows], bits)[:, :blocks].astype(np.float32)
    elif zero_points is not None:
        middle = np.asarray(zero_points.reshape(count, blocks)[rows], np.float32)
    floats: Floats = ((whole - middle[:, :, None]) * scale[:, :, None]).reshape(len(rows), -1)
    return floats


def _unpacked(data: NDArray[Any], bits: int) -> NDArray[Any]:
    import numpy as np

    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    values = (np.asarray(data)[..., None] >> shifts) & (2**bits - 1)
    unpacked: NDArray[Any] = values.reshape(*data.shape[:-1], -1)
    return unpacked

"""The pass `fp8`: weights stored as 8-bit floats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from olivelike_passes.precision.stored import StoredConfig, StoredPass

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

LARGEST = 448.0
"""Of `float8e4m3fn` (Micikevicius et al. 2022, "FP8 formats for deep learning", arXiv 2209.05433)."""


class Fp8Config(StoredConfig):
    """Which weights `fp8` stores."""


class Fp8(StoredPass[Fp8Config]):
    """Stores the weights of products as 8-bit floats (`float8e4m3fn`).

    What it does:
        Replaces each float32 weight that only `Conv`, `Gemm` and `MatMul` read by its codes, scaled so that the largest
        magnitude of a channel (or of the weight) becomes 448, with a scale and a `DequantizeLinear`. Values have 3 bits behind
        the point and exponents of their own: small weights beside large ones keep their precision. One weight is in memory at
        a time.

    When to use it:
        For a quarter of the file without data, where weights have outliers that 8-bit integers per channel would not bear.

    Limits:
        Only weights: computing is in float32, and the floats are made again in every run, so that a CPU is slower than with
        the model as it was. Needs opset 19, and kernels: the CPU's are looked up in the installed runtime, those of CUDA,
        TensorRT, TensorRT-RTX and MIGraphX are taken as there; other targets are refused. Weights inside branches and loops,
        and tables that are looked up as well (a tied embedding), stay as they are.

    Example:
        ```yaml
        passes:
          - convert_opset: {target: 21}
          - fp8: {}
        ```
    """

    name = "fp8"
    config = Fp8Config
    stored = "float8e4m3fn"
    needed = 19
    elsewhere = (
        "CUDAExecutionProvider",
        "MIGraphXExecutionProvider",
        "NvTensorRTRTXExecutionProvider",
        "TensorrtExecutionProvider",
    )

    def codes(self, steps: NDArray[Any]) -> NDArray[Any]:
        """Returns the nearest 8-bit floats; what rounding in float32 has put above the largest becomes the largest."""
        import ml_dtypes
        import numpy as np

        codes: NDArray[Any] = np.clip(steps, -LARGEST, LARGEST).astype(ml_dtypes.float8_e4m3fn)
        return codes

    def reach(self) -> float:
        """Returns the largest 8-bit float."""
        return LARGEST

"""The pass `int16`: weights stored as 16-bit integers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from olivelike_passes.precision.stored import StoredConfig, StoredPass

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

LARGEST = 32767.0


class Int16Config(StoredConfig):
    """Which weights `int16` stores."""


class Int16(StoredPass[Int16Config]):
    """Stores the weights of products as 16-bit integers.

    What it does:
        Replaces each float32 weight that only `Conv`, `Gemm` and `MatMul` read by integers from -32767 to 32767, symmetric
        around zero, with a scale for each output (or one for the weight) and a `DequantizeLinear`. One weight is in memory at
        a time.

    When to use it:
        For half the file with 15 bits in each channel, more than float16's 11; before `static_quant` with 16-bit activations
        there is no need of it.

    Limits:
        Only weights: computing is in float32, and the floats are made again in every run. 16-bit activations are
        `static_quant: {activation_type: int16}`. Needs opset 21, and kernels: the CPU's are looked up in the installed
        runtime, QNN's are taken as there; other targets are refused. Weights inside branches and loops, and tables that are
        looked up as well (a tied embedding), stay as they are.

    Example:
        ```yaml
        passes:
          - convert_opset: {target: 21}
          - int16: {per_channel: [true, false]}
        ```
    """

    name = "int16"
    config = Int16Config
    stored = "int16"
    needed = 21
    elsewhere = ("QNNExecutionProvider",)

    def codes(self, steps: NDArray[Any]) -> NDArray[Any]:
        """Returns the nearest integers, halves to even."""
        import numpy as np

        codes: NDArray[Any] = np.clip(np.rint(steps), -LARGEST, LARGEST).astype(np.int16)
        return codes

    def reach(self) -> float:
        """Returns the largest integer that is used."""
        return LARGEST

"""The pass `float16`: weights and activations in half precision."""

from __future__ import annotations

from olivelike_passes.precision.half_pass import HalfConfig, HalfPass


class Float16Config(HalfConfig):
    """What `float16` leaves in float32."""


class Float16(HalfPass[Float16Config]):
    """Converts a float32 model to half precision.

    What it does:
        Turns float32 weights and activations into float16, in branches and loops too, with casts around what stays in
        float32. Weights are converted one at a time as they are written. Finite weights beyond 65504 become 65504, and
        weights that are not zero and smaller than 2**-24 become 2**-24, so that nothing divides by zero; notes say in which
        weights and how often (`clipped`, `lifted`), and how many nodes of which type stay in float32.

    When to use it:
        For GPUs and NPUs that compute in half precision, or to halve a file.

    Limits:
        A CPU computes most operators in float32 all the same and casts on the way: smaller, but seldom faster there.
        Activations beyond 65504 overflow: name such nodes in `node_block_list`, or let `mixed_float` find them. In float32
        stay: operators whose definition at the model's opset knows no float16; `Range`, `CumSum`, `TopK`, `RoiAlign` and
        `NonMaxSuppression`; sines and cosines with the angles that lead to them; operators of the model's own
        (`inline_functions` before it writes them out); and whatever handles sequences or optional values.

    Example:
        ```yaml
        passes:
          - float16: {op_block_list: [Softmax]}
        ```
    """

    name = "float16"
    version = 2
    config = Float16Config
    to = "float16"

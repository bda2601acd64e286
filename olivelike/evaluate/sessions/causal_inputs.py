"""What a causal language model takes: tokens, and the mask, positions and past that follow from them, as Optimum names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from olivelike.contracts.metric import TensorInfo
from olivelike.errors import InputError, OlivelikeError, fail

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

TOKENS, MASK, POSITIONS = "input_ids", "attention_mask", "position_ids"
CACHE_BRANCH = "use_cache_branch"
"""The input by which a decoder that was exported merged is told whether it has a past (Optimum)."""
PAST = ("past_key_values", "past")
"""How the inputs that take the cache begin; older exports use the second."""
INTEGERS = ("int64", "int32")
FILLED = ("float16", "float32", "float64", "int8")
"""The types of a cache that can be made here: bfloat16 is none of numpy's."""


def token_input(inputs: Sequence[TensorInfo]) -> TensorInfo:
    """Returns the input that takes the tokens.

    Raises:
        InputError: OL206, there is none, so that this is no causal language model.
    """
    found = next((info for info in inputs if info.name == TOKENS and info.dtype in INTEGERS), None)
    if found is None:
        listed = ", ".join(f"{info.name} ({info.dtype})" for info in inputs)
        raise no_causal_model(f"the model has no input {TOKENS!r} of whole numbers; it takes {listed}")
    return found


def past_inputs(inputs: Sequence[TensorInfo]) -> tuple[TensorInfo, ...]:
    """Returns the inputs that take the cache.

    Raises:
        InputError: OL206, the model takes something else as well.
    """
    rest = tuple(info for info in inputs if info.name not in {TOKENS, MASK, POSITIONS, CACHE_BRANCH})
    for info in rest:
        if not info.name.startswith(PAST):
            raise no_causal_model(f"the model takes {info.name!r}, which is neither tokens, mask, positions nor a past")
    return rest


def completed(
    inputs: Sequence[TensorInfo], tokens: Array, mask: Array, past: Mapping[str, Array] | None = None
) -> dict[str, Array]:
    """Returns what a model is fed: the tokens, and what of the rest it takes.

    Positions count the tokens that are not masked, from 0, as transformers counts them.

    Args:
        inputs: of the model, as `token_input` and `past_inputs` accept them.
        tokens: that are read now, `[samples, length]`.
        mask: of those that were read before and those, 0 where there is padding, `[samples, past + length]`.
        past: input name to the cache of what was read before; those that are not there are left empty.

    Raises:
        InputError: OL206, one cannot be left empty.
    """
    import numpy as np

    counted = np.asarray(mask).astype(np.int64)
    length, held = tokens.shape[1], past or {}
    known: dict[str, Array] = {
        TOKENS: tokens,
        MASK: counted,
        POSITIONS: np.maximum(counted.cumsum(axis=1) - 1, 0)[:, -length:],
        CACHE_BRANCH: np.array([counted.shape[1] > length]),
        **held,
    }
    return {
        info.name: known[info.name].astype(info.dtype, copy=False)
        if info.name in known
        else empty_past(info, len(tokens))
        for info in inputs
    }


def empty_past(info: TensorInfo, batch: int = 1) -> Array:
    """Returns a cache without tokens, in the type that the model takes it.

    Its length is 0 in the dynamic dimension that is named after the past or the sequence, else in the third
    (`past_key_values.0.key` of shape [batch, heads, past length, width]); a dynamic first dimension is the batch.

    Raises:
        InputError: OL206, more than that is open in its shape, its length is fixed, or numpy has no such type.
    """
    import numpy as np

    dynamic = [place for place, size in enumerate(info.shape) if isinstance(size, str)]
    named = [place for place in dynamic if "past" in str(info.shape[place]) or "seq" in str(info.shape[place])]
    length = next(iter([*named, *(place for place in dynamic if place == 2)]), -1)
    sizes = [
        0 if place == length else size if isinstance(size, int) else batch for place, size in enumerate(info.shape)
    ]
    if length < 0 or not set(dynamic) <= {0, length} or info.dtype not in FILLED:
        claim = f"the cache {info.name!r} of type {info.dtype} and shape {list(info.shape)} cannot be left empty"
        raise no_causal_model(claim)
    return np.zeros(sizes, info.dtype)


def no_causal_model(claim: str) -> OlivelikeError:
    """Returns the error for a model that tokens alone do not feed."""
    hint = "export the model as a causal language model, with dynamic lengths of the sequence and the past"
    return fail(InputError, "OL206", claim, hint=hint)

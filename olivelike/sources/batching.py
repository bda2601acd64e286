"""How samples are cut into batches, where a model may fix the size of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from olivelike.contracts.metric import TensorInfo
from olivelike.errors import InputError, fail


def is_fixed(dimension: int | str) -> bool:
    """Whether a dimension of a model's input is a number and not a name."""
    return isinstance(dimension, int) and dimension >= 0


def fixed_batch(inputs: Sequence[TensorInfo], place: str) -> int:
    """Returns how many samples a model takes at once where its shapes fix that, else 0.

    Raises:
        InputError: OL206, two inputs fix different numbers.
    """
    fixed = {info.name: info.shape[0] for info in inputs if info.shape and is_fixed(info.shape[0])}
    if len(set(fixed.values())) > 1:
        shown = ", ".join(f"{name} {size}" for name, size in fixed.items())
        claim = f"the model's inputs take different numbers of samples at once: {shown}"
        raise fail(InputError, "OL206", claim, path=place, hint="give the inputs one batch dimension")
    return int(next(iter(fixed.values()), 0))


def batches_of(count: int, size: int, most: int, fixed: int) -> Iterator[range]:
    """Yields the positions of each batch's samples, in order.

    Args:
        count: how many samples there are; a multiple of `fixed`.
        size: samples per batch; 0 counts as 1.
        most: at most so many samples in all; 0 means all.
        fixed: the batch size that the model fixes, which then replaces `size` and lets only whole batches through (at least
            one, even past `most`); 0 where it is free.

    >>> list(batches_of(count=5, size=2, most=0, fixed=0))
    [range(0, 2), range(2, 4), range(4, 5)]
    >>> list(batches_of(count=6, size=1, most=5, fixed=3))
    [range(0, 3)]
    """
    step = fixed or size or 1
    total = min(count, most or count)
    if fixed:
        total = max(fixed, total - total % fixed)
    for start in range(0, total, step):
        yield range(start, min(start + step, total))

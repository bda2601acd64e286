"""What two models are fed for a comparison: the same samples, or the same random values, each in its model's types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from olivelike.contracts.metric import Session, TensorInfo
from olivelike.engine.data_option import DataOption
from olivelike.errors import InputError, MeasureError, fail
from olivelike.evaluate.sessions.batches import batch_size
from olivelike.evaluate.sessions.random_feeds import check_dims, random_feeds

if TYPE_CHECKING:
    from olivelike.contracts.data import Array


@dataclass(frozen=True, slots=True)
class Asked:
    """What to feed, and how much of it.

    Attributes:
        data: samples; nothing means random values.
        batch: samples in one run.
        dims: sizes of dynamic dimensions by name, for random values.
        samples: at most so many.
        seed: of random values.
    """

    data: DataOption = field(default_factory=DataOption)
    batch: int = 1
    dims: Mapping[str, int] = field(default_factory=dict)
    samples: int = 64
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Pair:
    """One batch for both models: how many samples, and the feeds of each."""

    size: int
    first: Mapping[str, Array]
    second: Mapping[str, Array]


def pairs(first: Session, second: Session, asked: Asked) -> Iterator[Pair]:
    """Yields the batches that both models are fed; of random values there is one.

    Raises:
        InputError: OL115 or OL205 to OL208, the data cannot be read or do not fit; OL206, an unknown dimension in `dims`.
        MeasureError: OL504, the models have other inputs, or no random values can be made for one.
    """
    check_same_inputs(first.inputs, second.inputs)
    size = min(batch_size(first, asked.batch), batch_size(second, asked.batch))
    if asked.data.path or asked.data.inputs:
        yield from _from_data(first, second, asked, size)
        return
    try:
        check_dims(first.inputs, asked.dims)
    except InputError as error:
        raise InputError(*(replace(problem, path="--dim") for problem in error.problems)) from error
    try:
        feeds = random_feeds(first.inputs, size, asked.dims, asked.seed)
    except InputError as error:
        raise MeasureError(*error.problems) from error
    yield Pair(size, feeds, {info.name: _cast(feeds[info.name], info) for info in second.inputs})


def check_same_inputs(first: Sequence[TensorInfo], second: Sequence[TensorInfo]) -> None:
    """Checks that both models have the same inputs by name.

    Raises:
        MeasureError: OL504, with the names that only one has.
    """
    ours, theirs = ({info.name for info in inputs} for inputs in (first, second))
    if ours != theirs:
        parts = [(ours - theirs, "only A has"), (theirs - ours, "only B has")]
        told = "; ".join(f"{who} {', '.join(sorted(names))}" for names, who in parts if names)
        raise fail(MeasureError, "OL504", f"the models have other inputs: {told}")


def _from_data(first: Session, second: Session, asked: Asked, size: int) -> Iterator[Pair]:
    ours = asked.data.open(first.inputs).batches(size, asked.samples)
    theirs = asked.data.open(second.inputs).batches(size, asked.samples)
    empty = True
    for own, other in zip(ours, theirs, strict=True):
        empty = False
        yield Pair(own.size, own.feeds, other.feeds)
    if empty:
        raise fail(InputError, "OL206", "the data hold no samples", path="--data", hint="give at least one sample")


def _cast(array: Array, info: TensorInfo) -> Array:
    return array if array.dtype.name == info.dtype else array.astype(info.dtype)

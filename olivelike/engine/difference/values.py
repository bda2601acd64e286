"""What two models compute, compared: every output, and every inner value that has the same name in both."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.target import Target
from olivelike.digest import JsonObject
from olivelike.engine.difference.apart import Apart, Comparison, NotCompared
from olivelike.engine.difference.feeding import Asked, Pair, pairs
from olivelike.errors import MeasureError, OlivelikeError
from olivelike.evaluate.resources.tensor_shapes import shaped
from olivelike.evaluate.sessions.inner_values import made_values, open_with_inner
from olivelike.evaluate.sessions.session import RuntimeSession, open_session
from olivelike.onnxfile.read import read_structure, signature_of

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

LOG = logging.getLogger("olivelike.difference")
BUDGET = 256 << 20
"""Bytes of values that are held of one model at a time."""
UNKNOWN_SIZE = 4 << 20
"""What a value is taken to need of which no shape is known."""


@dataclass(frozen=True, slots=True)
class Layer:
    """An inner value of both models.

    Attributes:
        value: how far it is apart.
        first: the type of the node that makes it in the first model.
        second: in the second; where it is another type, the name may stand for another value.
    """

    value: Apart | NotCompared
    first: str
    second: str

    def to_json(self) -> JsonObject:
        """Returns it as the answer holds it."""
        return {**self.value.to_json(), "made_by": {"a": self.first, "b": self.second}}


@dataclass(frozen=True, slots=True)
class Values:
    """How far two models' values are apart.

    Attributes:
        outputs: in the first model's order.
        layers: inner values, in the order in which the first model makes them.
        samples: how many both were fed.
        reason: why nothing, or no inner value, could be compared; else empty.
    """

    outputs: tuple[Apart | NotCompared, ...] = ()
    layers: tuple[Layer, ...] = ()
    samples: int = 0
    reason: str = ""

    @property
    def differ(self) -> bool:
        """Whether some output is not the same."""
        return any(not (isinstance(each, Apart) and each.equal) for each in self.outputs)

    def to_json(self) -> JsonObject:
        """Returns it as the answer holds it."""
        return {
            "samples": self.samples,
            "reason": self.reason,
            "outputs": [each.to_json() for each in self.outputs],
            "layers": [each.to_json() for each in self.layers],
        }


def compared_values(
    first: Artifact, second: Artifact, asked: Asked, *, layers: bool, beside: Sequence[Artifact] = ()
) -> Values:
    """Runs both models on the CPU and compares what they give.

    Outputs are compared over all samples, with the runtime's optimizations as always. Inner values are compared on the
    first batch, without them, some at a time: in both models no more than about 256 MiB of values are held at once.

    Args:
        first: the model that the other is compared with.
        second: the other.
        asked: what to feed.
        layers: whether to compare inner values.
        beside: artifacts whose custom operators the models need.

    Raises:
        InputError: the data cannot be read or do not fit.
    """
    try:
        ours, theirs = (open_session(model, Target(), beside=beside) for model in (first, second))
        outputs, fed, samples = _outputs(ours, theirs, asked)
    except MeasureError as error:
        return Values(reason=error.problems[0].claim)
    del ours, theirs
    inner = tuple(_layers(first, second, fed, beside)) if layers else ()
    return Values(outputs, inner, samples)


def _outputs(
    first: RuntimeSession, second: RuntimeSession, asked: Asked
) -> tuple[tuple[Apart | NotCompared, ...], Pair, int]:
    """Returns the outputs compared, the first batch, and the number of samples."""
    having = {info.name for info in second.outputs}
    found = {info.name: Comparison(info.name) for info in first.outputs if info.name in having}
    kept: list[Pair] = []
    samples = 0
    for pair in pairs(first, second, asked):
        kept = kept or [pair]
        got, wanted = second.run(pair.second, list(found)), first.run(pair.first, list(found))
        for name, comparison in found.items():
            comparison.add(wanted[name], got[name], pair.size)
        samples += pair.size
    return tuple(comparison.result() for comparison in found.values()), kept[0], samples


def _layers(first: Artifact, second: Artifact, fed: Pair, beside: Sequence[Artifact]) -> Iterator[Layer]:
    models = read_structure(first.model), read_structure(second.model)
    ours, theirs = (made_values(model) for model in models)
    outputs = [{entry.name for entry in model.graph.output} for model in models]
    del models
    names = [name for name in ours if name in theirs and name not in outputs[0] & outputs[1]]
    LOG.info("%d inner values have the same name in both models", len(names))
    for some in _portions(names, _sizes(first, fed)):
        for value in _portion(first, second, some, fed, beside):
            yield Layer(value, ours[value.name], theirs[value.name])


def _portion(
    first: Artifact, second: Artifact, names: Sequence[str], fed: Pair, beside: Sequence[Artifact]
) -> Iterator[Apart | NotCompared]:
    """Yields some values compared; where a model with all of them as outputs does not run, halves are tried."""
    try:
        wanted = _given(first, names, fed.first, beside)
        got = _given(second, names, fed.second, beside)
    except MeasureError as error:
        if len(names) == 1:
            yield NotCompared(names[0], error.problems[0].claim)
            return
        half = len(names) // 2
        yield from _portion(first, second, names[:half], fed, beside)
        yield from _portion(first, second, names[half:], fed, beside)
        return
    for name in names:
        comparison = Comparison(name)
        comparison.add(wanted.pop(name), got.pop(name), fed.size)
        yield comparison.result()


def _given(
    model: Artifact, names: Sequence[str], feeds: Mapping[str, Array], beside: Sequence[Artifact]
) -> dict[str, Array]:
    return open_with_inner(model, names, Target(), beside=beside).run(feeds, names)


def _portions(names: Sequence[str], sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """Yields names in their order, so many at a time as fit into the budget."""
    some: list[str] = []
    held = 0
    for name in names:
        size = sizes.get(name, UNKNOWN_SIZE)
        if some and held + size > BUDGET:
            yield some
            some, held = [], 0
        some.append(name)
        held += size
    if some:
        yield some


def _sizes(model: Artifact, fed: Pair) -> dict[str, int]:
    """Returns the bytes of every value whose shape can be inferred for what the model is fed."""
    inputs = {value.name: value.shape for value in signature_of(read_structure(model.model)).inputs}
    dims = {
        name: size
        for key, array in fed.first.items()
        for name, size in zip(inputs.get(key, ()), array.shape, strict=False)
        if isinstance(name, str) and name not in ("?", "...")
    }
    try:
        return {name: tensor.bytes for name, tensor in shaped(model.model, fed.size, dims).tensors.items()}
    except OlivelikeError as error:
        LOG.debug("no shapes are known: %s", error)
        return {}

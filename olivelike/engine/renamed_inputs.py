"""Data for a model whose inputs a pass has renamed: read under the names that the workflow's model has, fed under the new ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from olivelike.contracts.data import Batch, Dataset
from olivelike.contracts.metric import TensorInfo
from olivelike.errors import InputError


def opened_as_named(
    read: Callable[[Sequence[TensorInfo]], Dataset], inputs: Sequence[TensorInfo], before: Mapping[str, str]
) -> Dataset:
    """Opens data for a model.

    The names that the model had first count: data that feed the workflow's own model feed what is made of it. Data that
    only fit the new names are taken, too.

    Args:
        read: opens the data for inputs.
        inputs: what the model takes.
        before: what its inputs were called, by what they are called now (`Manifest.renamed_inputs`).

    Raises:
        InputError: as `read`, in terms of the first names.
    """
    renamed = {info.name: before[info.name] for info in inputs if before.get(info.name, info.name) != info.name}
    if not renamed:
        return read(inputs)
    first = tuple(replace(info, name=renamed.get(info.name, info.name)) for info in inputs)
    try:
        return _Renamed(read(first), {old: new for new, old in renamed.items()})
    except InputError as error:
        try:
            return read(inputs)
        except InputError:
            raise error from None


@dataclass(frozen=True, slots=True)
class _Renamed(Dataset):
    """Data whose feeds get other names."""

    data: Dataset
    names: Mapping[str, str]

    @property
    def count(self) -> int:
        return self.data.count

    @property
    def has_labels(self) -> bool:
        return self.data.has_labels

    def batches(self, size: int, most: int = 0) -> Iterator[Batch]:
        for batch in self.data.batches(size, most):
            yield replace(batch, feeds={self.names.get(name, name): array for name, array in batch.feeds.items()})

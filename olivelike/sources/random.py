"""The data reader `random`: values drawn to fit a model's inputs, for timing where there are no data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, cast

from pydantic import BaseModel, ConfigDict, Field

from olivelike.contracts.data import Batch, Columns, DataReader, Dataset, ReaderConfig
from olivelike.contracts.metric import TensorInfo
from olivelike.sources.batching import batches_of, fixed_batch
from olivelike.sources.fit import numpy_type

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

Size = Annotated[int, Field(gt=0)]


class RandomShape(BaseModel):
    """How much to draw."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    samples: Size = 64
    """The number of samples."""
    dims: dict[str, Size] = {}
    """Sizes of the model's named dimensions other than the batch; a name that is not here counts 1."""


class RandomConfig(ReaderConfig):
    """Configuration of `random`."""

    random: RandomShape = RandomShape()
    """How much to draw."""


class Random(DataReader):
    """Draws `{random: {samples: 64}}`: floats of mean 0 and deviation 1, zeros elsewhere. No labels: good for timing alone."""

    config: ClassVar[type[BaseModel]] = RandomConfig
    reads_files: ClassVar[bool] = False

    def files(self, config: BaseModel) -> tuple[str, ...]:
        """Returns nothing."""
        return ()

    def count(self, config: BaseModel, files: Mapping[str, Path]) -> int:
        """Returns how many are drawn."""
        return cast("RandomConfig", config).random.samples

    def read(self, config: BaseModel, files: Mapping[str, Path], call: Callable[..., object]) -> Columns:
        """Returns no column: what is drawn depends on the model, see `RandomDataset`."""
        return Columns({})


@dataclass(frozen=True, slots=True)
class RandomDataset(Dataset):
    """Random batches for a model's inputs; a sample's values depend on the seed and its number, not on the batch size.

    Attributes:
        place: the data entry, for messages.
        inputs: what the model takes.
        samples: how many there are.
        dims: sizes of named dimensions; others count 1.
        seed: of the generator.
        batch: the entry's own batch size, or 0.
    """

    place: str
    inputs: tuple[TensorInfo, ...]
    samples: int
    dims: Mapping[str, int]
    seed: int
    batch: int = 0

    @property
    def count(self) -> int:
        """The number of samples, a whole number of the model's batches where its shapes fix one."""
        fixed = self._fixed
        return -(-self.samples // fixed) * fixed if fixed else self.samples

    @property
    def has_labels(self) -> bool:
        """Never."""
        return False

    def batches(self, size: int, most: int = 0) -> Iterator[Batch]:
        """Yields batches; where the model's shapes fix a batch size, of that size."""
        import numpy as np

        for rows in batches_of(self.count, size or self.batch, most, self._fixed):
            drawn = {info.name: self._drawn(info, number, rows) for number, info in enumerate(self.inputs)}
            yield Batch(drawn, np.empty(0), len(rows))

    @property
    def _fixed(self) -> int:
        return fixed_batch(self.inputs, self.place)

    def _drawn(self, info: TensorInfo, number: int, rows: range) -> Array:
        import numpy as np

        dtype = numpy_type(info, self.place)
        shape = tuple(size if isinstance(size, int) else self.dims.get(size, 1) for size in info.shape[1:])
        whole = (len(rows), *shape) if info.shape else ()
        if dtype.kind != "f":
            return np.full(whole, "", dtype=dtype) if dtype.kind == "O" else np.zeros(whole, dtype=dtype)
        samples = [np.random.default_rng([self.seed, number, row]).standard_normal(shape) for row in rows]
        return np.stack(samples).reshape(whole).astype(dtype) if info.shape else samples[0].astype(dtype)

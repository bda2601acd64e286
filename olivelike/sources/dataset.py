"""Opening a data entry for a model: columns become the model's inputs, checked before the first batch and cast in each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from olivelike.contracts.data import EVERY_COLUMN, Batch, Column, Columns, DataReader, Dataset, DataSpec, Pad
from olivelike.contracts.metric import TensorInfo
from olivelike.contracts.transform import BatchMap, Surroundings, Transformed
from olivelike.errors import InputError, fail, nearest
from olivelike.sources.batching import batches_of, fixed_batch
from olivelike.sources.calling import load_call
from olivelike.sources.fit import check_finite, check_fit, fitted
from olivelike.sources.mapping import Feed, feeds, label_column
from olivelike.sources.preparation import Named, Prepare, as_read, transformed
from olivelike.sources.ragged import MASK, is_ragged_column, merged, rectangular
from olivelike.sources.random import Random, RandomConfig, RandomDataset
from olivelike.sources.script import Script, ScriptConfig

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from olivelike.contracts.data import Array


def no_call() -> object:
    """Stands for the user's function of a reader that calls none."""
    return {}


def open_dataset(
    spec: DataSpec,
    reader: DataReader,
    files: Path,
    inputs: Sequence[TensorInfo],
    *,
    call: Callable[..., object] = no_call,
    prepare: Prepare = as_read,
) -> Dataset:
    """Opens a data entry for a model.

    Samples are shuffled first where the entry says so (seeded), then the first `samples` are taken.

    Args:
        spec: the entry; the paths in its config are names in `files` (see `data_files.stored_config`).
        reader: what `spec.reader` names.
        files: the folder of the artifact that holds the entry's files; not looked at for a reader without files.
        inputs: what the model takes.
        call: the user's function with its arguments bound; for the reader `script` it is loaded from `files` by default.
        prepare: the user's function that maps one batch's columns to columns, or a named transform.

    Raises:
        InputError: OL205 (files), OL206 (names, types, shapes), OL207 (labels), OL209 (user's Python), OL211 (extras).
            Values are checked while batches are drawn: OL206, OL208.
    """
    config = reader.config.model_validate(spec.config)
    place = f"data.{spec.name}"
    if isinstance(reader, Random):
        return _random(spec, cast("RandomConfig", config), inputs, place)
    if isinstance(reader, Script) and call is no_call:
        script = cast("ScriptConfig", config)
        call = load_call(files, script.script, script.call, script.args)
    columns = reader.read(config, {name: files / name for name in reader.files(config)}, call)
    return _opened(spec, columns, inputs, prepare, place)


def _random(spec: DataSpec, config: RandomConfig, inputs: Sequence[TensorInfo], place: str) -> RandomDataset:
    drawn = config.random
    samples = min(drawn.samples, spec.samples or drawn.samples)
    return RandomDataset(place, tuple(inputs), samples, drawn.dims, spec.seed, spec.batch)


def _opened(
    spec: DataSpec, columns: Columns, inputs: Sequence[TensorInfo], prepare: Prepare, place: str
) -> ColumnDataset:
    _check_filled(columns, place)
    label = label_column(spec.labels, list(columns.arrays), inputs, place)
    most = 0 if spec.shuffle else spec.samples
    files = prepare.files if isinstance(prepare, Named) else {}
    around = Surroundings(place, files, tuple(inputs), label, spec.inputs, most)
    made = transformed(prepare, columns, around)
    pads = merged(made.pad, spec.pad)
    filling = Filling(pads, _wants_mask(spec, inputs), place)
    _check_pads(spec, made, place)
    seen = _first_sample(made, filling)
    chosen = feeds(spec.inputs, list(seen), made.label, inputs, place)
    for feed in chosen:
        check_fit(feed, seen[feed.column], f"{place}.inputs.{feed.input.name}")
    arrays = made.columns.arrays
    used = list(arrays) if made.each is not as_read else [f.column for f in chosen if f.column in arrays]
    used += [name for name in _padded(made.columns, pads) if name not in used and MASK in seen and MASK not in arrays]
    label_read = made.label if made.label in arrays else ""
    count = _count(made.columns, [name for name in used if name != made.label], label_read, place)
    fixed = fixed_batch(inputs, place)
    order = _order(spec, count, fixed, place)
    read = {name: arrays[name] for name in dict.fromkeys([*used, *([label_read] if label_read else [])])}
    return ColumnDataset(place, read, chosen, made.label, order, fixed, spec.batch, made.each, filling)


def _wants_mask(spec: DataSpec, inputs: Sequence[TensorInfo]) -> bool:
    return any(info.name == MASK for info in inputs) and spec.inputs.get(MASK, MASK) == MASK


def _check_pads(spec: DataSpec, made: Transformed, place: str) -> None:
    if made.each is not as_read:
        return  # what the columns will be is not known yet
    if EVERY_COLUMN in spec.pad and not any(map(is_ragged_column, made.columns.arrays.values())):
        claim = "`pad` is for lists of different length, and no column has any"
        raise fail(InputError, "OL206", claim, path=f"{place}.pad", hint="name the columns to pad, or leave `pad` out")
    for name in spec.pad:
        if name not in made.columns.arrays and name != EVERY_COLUMN:
            hint = nearest(name, made.columns.arrays)
            raise fail(InputError, "OL206", f"there is no column {name!r} to pad", path=f"{place}.pad", hint=hint)


def _first_sample(made: Transformed, filling: Filling) -> Mapping[str, Column]:
    """Returns what shows the types and shapes that a model is fed: the columns, or of what is made on the way one sample."""
    import numpy as np

    first, plain = np.zeros(1, dtype=np.intp), made.each is as_read
    names = _padded(made.columns, filling.pads) if plain else list(made.columns.arrays)
    taken = {name: made.columns.arrays[name][first] for name in names}
    mapped = rectangular(made.each(taken), filling.pads, first, mask=filling.mask, place=filling.place)
    return {**made.columns.arrays, **mapped} if plain else mapped


def _padded(columns: Columns, pads: Mapping[str, Pad]) -> list[str]:
    """Returns the columns that are ragged, or named to be filled up."""
    return [name for name, column in columns.arrays.items() if is_ragged_column(column) or name in pads]


@dataclass(frozen=True, slots=True)
class Filling:
    """How the ragged columns of an entry are filled up, see `ragged.rectangular`."""

    pads: Mapping[str, Pad]
    mask: bool
    place: str


@dataclass(frozen=True, slots=True)
class ColumnDataset(Dataset):
    """Columns drawn in a fixed order, cast to a model's inputs batch by batch.

    Attributes:
        place: the data entry, for messages.
        columns: what is read for every batch.
        feeds: which column feeds which input.
        label: the column of the labels, or empty.
        order: the number of each sample, in the order drawn.
        fixed: the batch size that the model fixes, or 0.
        batch: the entry's own batch size, or 0.
        each: maps the columns of a batch.
        filling: how ragged columns are filled up.
    """

    place: str
    columns: Mapping[str, Column]
    feeds: tuple[Feed, ...]
    label: str
    order: NDArray[np.intp]
    fixed: int
    batch: int
    each: BatchMap
    filling: Filling

    @property
    def count(self) -> int:
        """The number of samples."""
        return len(self.order)

    @property
    def has_labels(self) -> bool:
        """Whether batches carry labels."""
        return bool(self.label)

    def batches(self, size: int, most: int = 0) -> Iterator[Batch]:
        """Yields batches of `size` samples (0: the entry's `batch`, or 1); of the model's own size where it fixes one.

        Raises:
            InputError: OL206, values that an input's type cannot hold; OL208, values that are not finite; OL209, from
                `prepare`.
        """
        for positions in batches_of(self.count, size or self.batch, most, self.fixed):
            yield self._batch(self.order[positions.start : positions.stop])

    def _batch(self, rows: NDArray[np.intp]) -> Batch:
        taken = {name: column[rows] for name, column in self.columns.items()}
        filling = self.filling
        made = rectangular(self.each(taken), filling.pads, rows, mask=filling.mask, place=self.place)
        given: dict[str, Array] = {}
        for feed in self.feeds:
            place = f"{self.place}.inputs.{feed.input.name}"
            if feed.column not in made:
                claim = f"`prepare` returned no column {feed.column!r}, as it did for the first sample"
                raise fail(InputError, "OL209", claim, path=place, hint="return the same columns for every batch")
            check_fit(feed, made[feed.column], place)
            given[feed.input.name] = fitted(feed, made[feed.column], rows, place)
        return Batch(given, self._labels(made, rows), len(rows))

    def _labels(self, made: Mapping[str, Array], rows: NDArray[np.intp]) -> Array:
        import numpy as np

        if not self.label:
            return np.empty(0)
        labels = made[self.label]
        check_finite(self.label, labels, rows, f"{self.place}.labels")
        return labels


def _check_filled(columns: Columns, place: str) -> None:
    if not columns.arrays:
        raise fail(InputError, "OL205", "holds no columns", path=place, hint="check the files of this entry")
    empty = [name for name, column in columns.arrays.items() if not len(column)]
    if empty:
        claim = f"the column {empty[0]!r} holds no samples"
        raise fail(InputError, "OL205", claim, path=place, hint="check the files of this entry")


def _count(columns: Columns, used: Sequence[str], label: str, place: str) -> int:
    counts = {name: len(columns.arrays[name]) for name in used}
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{name} {count}" for name, count in counts.items())
        claim = f"columns of different length: {shown}"
        raise fail(InputError, "OL206", claim, path=place, hint="each column has one row for each sample")
    count = next(iter(counts.values()))
    if label and len(columns.arrays[label]) != count:
        claim = f"{count} samples, but {len(columns.arrays[label])} labels in the column {label!r}"
        raise fail(InputError, "OL207", claim, path=f"{place}.labels", hint="give every sample one label")
    return count


def drawn(spec: DataSpec, count: int) -> NDArray[np.intp]:
    """Returns the numbers of the samples that an entry draws of so many, in order."""
    import numpy as np

    order = np.random.default_rng(spec.seed).permutation(count) if spec.shuffle else np.arange(count)
    return order[: spec.samples or count].astype(np.intp, copy=False)


def _order(spec: DataSpec, count: int, fixed: int, place: str) -> NDArray[np.intp]:
    taken = drawn(spec, count)
    if fixed and (over := len(taken) % fixed):
        claim = f"the model takes {fixed} samples at once, and {len(taken)} leave {over} over"
        whole = len(taken) - over
        hint = f"add `samples: {whole}`" if whole else "give the model a dynamic batch dimension"
        raise fail(InputError, "OL206", claim, path=place, hint=hint)
    return taken

"""Opening a data entry for a model: columns become the model's inputs, checked before the first batch and cast in each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from olivelike.contracts.data import Batch, Column, Columns, DataReader, Dataset, DataSpec
from olivelike.contracts.metric import TensorInfo
from olivelike.errors import InputError, fail
from olivelike.sources.batching import batches_of, fixed_batch
from olivelike.sources.calling import load_call
from olivelike.sources.fit import check_finite, check_fit, fitted
from olivelike.sources.mapping import Feed, feeds, label_column
from olivelike.sources.preparation import as_read, prepared
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
    prepare: Callable[..., object] = as_read,
) -> Dataset:
    """Opens a data entry for a model.

    Samples are shuffled first where the entry says so (seeded), then the first `samples` are taken.

    Args:
        spec: the entry; the paths in its config are names in `files` (see `data_files.stored_config`).
        reader: what `spec.reader` names.
        files: the folder of the artifact that holds the entry's files; not looked at for a reader without files.
        inputs: what the model takes.
        call: the user's function with its arguments bound; for the reader `script` it is loaded from `files` by default.
        prepare: the user's function that maps one batch's columns to columns.

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
    spec: DataSpec, columns: Columns, inputs: Sequence[TensorInfo], prepare: Callable[..., object], place: str
) -> ColumnDataset:
    import numpy as np

    _check_filled(columns, place)
    label = label_column(spec.labels, list(columns.arrays), inputs, place)
    seen: Mapping[str, Column] = columns.arrays
    if prepare is not as_read:
        first = {name: column[np.zeros(1, dtype=np.intp)] for name, column in columns.arrays.items()}
        seen = prepared(prepare, first, label, place)
    chosen = feeds(spec.inputs, list(seen), label, inputs, place)
    for feed in chosen:
        check_fit(feed, seen[feed.column], f"{place}.inputs.{feed.input.name}")
    used = list(columns.arrays) if prepare is not as_read else [feed.column for feed in chosen]
    count = _count(columns, [name for name in used if name != label], label, place)
    fixed = fixed_batch(inputs, place)
    order = _order(spec, count, fixed, place)
    read = {name: columns.arrays[name] for name in dict.fromkeys([*used, *([label] if label else [])])}
    return ColumnDataset(place, read, chosen, label, order, fixed, spec.batch, prepare)


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
        prepare: the user's function, or `as_read`.
    """

    place: str
    columns: Mapping[str, Column]
    feeds: tuple[Feed, ...]
    label: str
    order: NDArray[np.intp]
    fixed: int
    batch: int
    prepare: Callable[..., object]

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
        made = prepared(self.prepare, taken, self.label, self.place)
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


def _order(spec: DataSpec, count: int, fixed: int, place: str) -> NDArray[np.intp]:
    import numpy as np

    order = np.random.default_rng(spec.seed).permutation(count) if spec.shuffle else np.arange(count)
    taken = order[: spec.samples or count].astype(np.intp, copy=False)
    if fixed and (over := len(taken) % fixed):
        claim = f"the model takes {fixed} samples at once, and {len(taken)} leave {over} over"
        whole = len(taken) - over
        hint = f"add `samples: {whole}`" if whole else "give the model a dynamic batch dimension"
        raise fail(InputError, "OL206", claim, path=place, hint=hint)
    return taken

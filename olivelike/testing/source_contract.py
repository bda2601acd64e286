"""The conformance suites of a model source and of a data reader: subclass one in a test module and give an example."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pydantic import BaseModel

from olivelike.contracts.data import Columns, DataReader
from olivelike.contracts.ports import Fetched, Source
from olivelike.digest import Json, canonical_json, digest_file
from olivelike.errors import InputError
from olivelike.sources.data_files import data_files, stored_config

if TYPE_CHECKING:
    from olivelike.contracts.data import Array


class SourceContract(ABC):
    """What the engine relies on in any model source."""

    @abstractmethod
    def source(self) -> Source:
        """Returns the source."""

    @abstractmethod
    def example(self, folder: Path) -> Json:
        """Writes a model below an empty folder (the workflow's) and returns what a user writes to get it."""

    def absent(self) -> Json:
        """Returns a value that names nothing."""
        return "there_is_nothing_of_this_name"

    def test_every_part_and_companion_is_a_file(self, tmp_path: Path) -> None:
        """What a fetched model says about itself, it also hands out."""
        fetched = self._fetched(tmp_path)
        assert fetched.kind
        assert fetched.parts
        assert {*fetched.parts.values(), *fetched.companions} <= set(fetched.files)
        assert all(path.is_file() for path in fetched.files.values())

    def test_names_are_relative_and_stay_inside(self, tmp_path: Path) -> None:
        """Names become paths in the store."""
        for name in self._fetched(tmp_path).files:
            assert not PurePosixPath(name).is_absolute()
            assert not {"..", "."} & set(PurePosixPath(name).parts)
            assert ":" not in name
            assert "\\" not in name

    def test_fetching_twice_gives_the_same_bytes(self, tmp_path: Path) -> None:
        """A source has no state and no clock."""
        example = self.example(tmp_path)
        first, second = self._fetch(example, tmp_path), self._fetch(example, tmp_path)
        assert _digests(first) == _digests(second)
        assert canonical_json(first.revision) == canonical_json(second.revision)

    def test_what_is_absent_is_an_input_error(self, tmp_path: Path) -> None:
        """A mistake in the workflow never looks like a fault of the engine."""
        codes = _codes(lambda: self._fetch(self.absent(), tmp_path))
        assert codes & {"OL201", "OL204", "OL211"}

    def test_a_value_that_is_no_text_is_an_input_error(self, tmp_path: Path) -> None:
        """Every JSON value may stand behind the key."""
        values: tuple[Json, ...] = (7, [], {}, "")
        for value in values:
            assert _codes(partial(self._fetch, value, tmp_path))

    def _fetched(self, folder: Path) -> Fetched:
        return self._fetch(self.example(folder), folder)

    def _fetch(self, value: Json, folder: Path) -> Fetched:
        return self.source().fetch(value, file="", revision="", folder=folder, offline=False)


class ReaderContract(ABC):
    """What the engine relies on in any data reader with files."""

    @abstractmethod
    def reader(self) -> DataReader:
        """Returns the reader."""

    @abstractmethod
    def example(self, folder: Path) -> dict[str, Json]:
        """Writes data below an empty folder (the workflow's) and returns the configuration that reads them."""

    def call(self) -> object:
        """Stands for the user's function, for a reader that calls one."""
        return {}

    def test_names_its_files_in_the_first_field_of_its_config(self, tmp_path: Path) -> None:
        """The engine replaces paths in that field when the files go into the store."""
        config = self._config(tmp_path)
        stored = self.reader().config.model_validate(stored_config(self.reader(), config))
        below = set(data_files(self.reader(), config, tmp_path))
        for name in self.reader().files(stored):
            assert any(other == name or other.startswith(f"{name}/") for other in below)

    def test_refuses_unknown_keys(self, tmp_path: Path) -> None:
        """A typing error is never dropped."""
        example = self.example(tmp_path)
        try:
            self.reader().config.model_validate({**example, "no_such_key": 1})
        except ValueError:
            return
        raise AssertionError("the configuration took an unknown key")

    def test_columns_count_samples_in_their_first_axis(self, tmp_path: Path) -> None:
        """A column is an array, or behaves like one."""
        columns = self._read(tmp_path)
        assert columns.arrays
        assert columns.count > 0
        assert all(column.shape[0] == len(column) for column in columns.arrays.values())

    def test_rows_come_in_the_order_asked_for(self, tmp_path: Path) -> None:
        """Shuffling and sampling rest on this."""
        import numpy as np

        for column in self._read(tmp_path).arrays.values():
            rows = np.arange(len(column))[::-1]
            assert _same(column[rows], column[np.sort(rows)][::-1])

    def test_reading_twice_gives_the_same(self, tmp_path: Path) -> None:
        """A reader has no state, no clock and no randomness."""
        import numpy as np

        config = self._config(tmp_path)
        first, second = (self._columns(config, tmp_path) for _ in range(2))
        assert list(first.arrays) == list(second.arrays)
        for name, column in first.arrays.items():
            rows = np.arange(len(column))
            assert _same(column[rows], second.arrays[name][rows])

    def test_missing_files_are_an_input_error(self, tmp_path: Path) -> None:
        """Said before any work, with the code of a data file."""
        empty = tmp_path / "elsewhere"
        empty.mkdir()
        config = self._config(tmp_path)
        assert _codes(lambda: data_files(self.reader(), config, empty)) <= {"OL205", "OL209"}

    def _read(self, folder: Path) -> Columns:
        return self._columns(self._config(folder), folder)

    def _columns(self, config: BaseModel, folder: Path) -> Columns:
        reader = self.reader()
        return reader.read(config, {name: folder / name for name in reader.files(config)}, self.call)

    def _config(self, folder: Path) -> BaseModel:
        return self.reader().config.model_validate(self.example(folder))


def _codes(action: Callable[[], object]) -> set[str]:
    try:
        action()
    except InputError as error:
        return {problem.code for problem in error.problems}
    raise AssertionError("nothing was refused")


def _digests(fetched: Fetched) -> dict[str, str]:
    return {name: digest_file(path) for name, path in fetched.files.items()}


def _same(one: Array, other: Array) -> bool:
    import numpy as np

    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    # the rows of a ragged column are arrays
    return all(np.array_equal(row, same) for row, same in zip(one, other, strict=True))

"""Where files in the store came from, so that a message names the user's own file and not the cache's copy of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

from olivelike.errors import Problem
from olivelike.plan.model import DataPlan
from olivelike.sources.data_files import stored_names


class Origins:
    """Folders of the store's artifacts, each with the user's folder that its files were taken from."""

    def __init__(self) -> None:
        self._own: dict[str, str] = {}

    def note(self, copy: Path, own: Path) -> None:
        """Notes that the files in one folder were taken from another."""
        for folder in (copy, copy.resolve()):
            self._own[f"{folder}/"] = f"{own}/"

    def note_data(self, artifact: Path, entry: DataPlan, folder: Path) -> None:
        """Notes where a data entry's files were taken from; relative paths start in `folder`."""
        for written, stored in stored_names(entry.reader().files(entry.config)).items():
            inner = artifact / PurePosixPath(stored).parent
            self.note(inner, (folder / Path(written).expanduser()).parent)

    def told(self, text: str) -> str:
        """Returns a text with every path into the store replaced by the user's own."""
        for copy in sorted(self._own, key=len, reverse=True):
            text = text.replace(copy, self._own[copy])
        return text

    def told_problem(self, problem: Problem) -> Problem:
        """Returns a problem whose claim and place name the user's own files."""
        return replace(problem, claim=self.told(problem.claim), place=self.told(problem.place))

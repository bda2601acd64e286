"""Findings: everything that is wrong with a workflow, gathered so that all of it can be said at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeAlias

from olivelike.errors import InputError, Problem

KeyPath: TypeAlias = tuple[str | int, ...]


class Places(Protocol):
    """Tells where in the user's file a path stands."""

    def at(self, path: KeyPath) -> str:
        """Returns `file:line` of a path or of its closest known ancestor; empty where there is no file."""


class Findings:
    """Collects problems; those under a path that was already found wrong are follow-ons and left out."""

    def __init__(self, places: Places, known: Iterable[Problem] = ()) -> None:
        self._places = places
        self.problems: list[Problem] = list(known)

    def add(self, code: str, claim: str, path: KeyPath, hint: str = "") -> None:
        """Notes one problem at a path of the workflow."""
        dotted = ".".join(map(str, path))
        if not self._follows_on(dotted):
            self.problems.append(Problem(code, claim, self._places.at(path), dotted, hint))

    def adopt(self, error: InputError, path: KeyPath) -> None:
        """Notes the problems of an error that knows no place, at a path of the workflow."""
        for problem in error.problems:
            self.add(problem.code, problem.claim, path, problem.hint)

    def raise_any(self) -> None:
        """Raises all problems as one error, if there is any."""
        if self.problems:
            raise InputError(*self.problems)

    def _follows_on(self, dotted: str) -> bool:
        return any(
            known.path and (f"{dotted}.".startswith(f"{known.path}.") or known.path.startswith(f"{dotted}."))
            for known in self.problems
        )

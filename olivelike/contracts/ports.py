"""The ports of the engine: what a source, a strategy and an executor must be able to do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol, TypeAlias

from olivelike.contracts.outcome import Failed, Outcome
from olivelike.contracts.recipe import Recipe
from olivelike.contracts.space import Domain, ForkSpace, Limits, Space
from olivelike.digest import Json, JsonObject


@dataclass(frozen=True, slots=True)
class Fetched:
    """A source's files, where they lie now.

    Attributes:
        kind: the artifact kind: `onnx`, `hf`, ...
        files: relative POSIX name in the artifact to the file on this machine.
        parts: part name to the relative name of its main file.
        companions: relative names of files that belong to the model.
        revision: what pins it (`{"hub": ..., "commit": ...}`), for the lock.
        notes: of the artifact, where the files bring some along.
    """

    kind: str
    files: Mapping[str, Path]
    parts: Mapping[str, str]
    companions: tuple[str, ...] = ()
    revision: Mapping[str, Json] = field(default_factory=dict)
    notes: Mapping[str, Json] = field(default_factory=dict)


class Source(ABC):
    """Finds a model. `key` is the key of the workflow's `model:` section that selects it (`path`, `hub`, ...)."""

    key: ClassVar[str]

    @abstractmethod
    def fetch(self, value: Json, *, file: str, revision: str, folder: Path, offline: bool) -> Fetched:
        """Returns the model's files, checked to be there and to be what they claim.

        Args:
            value: what the user wrote behind the key.
            file: the file inside a folder or repository, or empty.
            revision: the revision asked for, or empty.
            folder: the workflow file's folder; relative paths start there.
            offline: use only what is on this machine.

        Raises:
            InputError: OL201 to OL204, OL211.
        """


class Chooser(Protocol):
    """Answers the questions of a space, one after the other, so that a recipe comes out."""

    def parameter(self, path: str, domain: Domain) -> Json:
        """Returns a value of a parameter's domain; `path` is `step.parameter`."""

    def alternative(self, path: str, fork: ForkSpace) -> int:
        """Returns the index of the alternative taken at a fork; `path` is its name."""


class RecipeSpace(Protocol):
    """The space of a plan: every recipe in it can be reached by answering its questions."""

    @property
    def tree(self) -> Space:
        """The tree of steps and forks."""

    def draw(self, chooser: Chooser) -> Recipe:
        """Returns the recipe that the chooser's answers lead to."""

    def recipes(self) -> Iterator[Recipe]:
        """Yields every distinct recipe in canonical order; raises InputError (OL114) where a range is continuous."""

    def count(self) -> int:
        """Returns how many ways of answering there are (an upper bound on distinct recipes); -1 where it is infinite."""


@dataclass(frozen=True, slots=True)
class Score:
    """A finished trial as a strategy sees it.

    Attributes:
        objectives: one number for each objective, lower is better; empty where the trial has none.
        violations: constraint to by how much it is broken (0 or less holds).
        outcome: the outcome itself.
    """

    objectives: tuple[float, ...]
    violations: Mapping[str, float]
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Exhausted:
    """The strategy has no recipe left to propose."""


class Strategy(ABC):
    """Proposes recipes. Created as `cls(space, seed, objectives)`; equal seeds and equal answers give equal proposals.

    It is told what came of its recipes in the order in which it proposed them, however many are tried at once.
    """

    learns: bool = True
    """Whether what it is told changes what it proposes; if not, it may be asked as far ahead as there are workers."""

    @abstractmethod
    def __init__(self, space: RecipeSpace, seed: int, objectives: int, budget: int) -> None:
        """Prepares for `objectives` numbers per trial and at most `budget` trials."""

    @abstractmethod
    def ask(self) -> Recipe | Exhausted:
        """Returns a recipe that it has not proposed before, or that there is none."""

    @abstractmethod
    def tell(self, recipe: Recipe, score: Score) -> None:
        """Learns what came of a recipe that `ask` returned."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker returned: one JSON object, shaped by `engine.worker`."""

    value: JsonObject


Reply: TypeAlias = Answer | Failed


class Executor(ABC):
    """Carries tasks to a worker and answers back; it knows nothing of what they mean. Safe to call from several threads.

    Created as `cls(entry, workers)`: `entry` is the dotted name of the worker module
    (`olivelike.engine.worker`), whose function `answer(task: JsonObject) -> JsonObject` does a task.
    """

    @abstractmethod
    def __init__(self, entry: str, workers: int) -> None:
        """Prepares for at most so many workers; starts none."""

    @abstractmethod
    def run(self, task: JsonObject, limits: Limits) -> Reply:
        """Runs one task to its end and returns the answer.

        A crash, a hang past the time limit, or memory past its limit is a `Failed` with the reason (OL501 to OL503) and the
        tail of the log; the worker is replaced. KeyboardInterrupt passes through after the worker has been killed.
        """

    @property
    @abstractmethod
    def started(self) -> int:
        """How many workers were started so far."""

    @abstractmethod
    def close(self) -> None:
        """Ends all workers; calling it twice is harmless."""

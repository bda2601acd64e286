"""Drawing recipes from a tree of steps and forks: by answers, all of them in order, or only how many there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import prod
from typing import TypeAlias, assert_never

from olivelike.contracts.ports import Chooser
from olivelike.contracts.recipe import Recipe, RecipeStep
from olivelike.contracts.space import Choice, Domain, ForkSpace, Range, Space, StepSpace
from olivelike.digest import Json
from olivelike.errors import InputError, fail

Complete: TypeAlias = Callable[[StepSpace, Mapping[str, Json]], RecipeStep]
"""Turns a step and its chosen parameters into a step with its full configuration."""

Taken: TypeAlias = tuple[str, int]
"""A fork's name and the index of the alternative taken there."""

Ways: TypeAlias = dict[frozenset[Taken], int]
"""How many ways of answering lead to each set of taken alternatives that still matters."""

NONE = "none"


class TreeSpace:
    """The space of recipes that a tree spans.

    The names of steps and forks are unique in the tree. A step or fork with `when: {FORK: NAMES}` is there only if the
    alternative taken at the earlier fork FORK holds a step of one of the names (at any depth, where every fork on the
    way took the alternative that leads to it), or is empty and `none` is among the names. A fork that was not there
    itself took nothing, so nothing holds of it.
    """

    def __init__(self, tree: Space, complete: Complete) -> None:
        self._tree = tree
        self._complete = complete
        self._conditions = dict(_conditions(tree))
        self._mattering: dict[str, frozenset[Taken]] = {}
        self._note_what_matters_after(tree, frozenset())

    @property
    def tree(self) -> Space:
        """The tree of steps and forks."""
        return self._tree

    def draw(self, chooser: Chooser) -> Recipe:
        """Returns the recipe that the chooser's answers lead to; questions come in the order of the tree."""
        return Recipe(tuple(self._walk(self._tree, chooser, set())))

    def recipes(self) -> Iterator[Recipe]:
        """Yields every distinct recipe, the answers in the order of the tree, the last question's varying fastest.

        Neighbours share the longest possible run of first steps. Memory grows with the recipes yielded, not with the
        space.

        Raises:
            InputError: OL114, a range is continuous.
        """
        odometer = _Odometer()
        seen: set[str] = set()
        while True:
            recipe = self.draw(odometer)
            if recipe.key not in seen:
                seen.add(recipe.key)
                yield recipe
            if not odometer.advance():
                return

    def count(self) -> int:
        """Returns the exact number of ways of answering, -1 where a range in the tree is continuous.

        Nothing is enumerated: the effort grows with the size of the tree and with how many forks one must remember at
        once to decide the conditions that follow, not with the number of recipes.
        """
        steps = [node for node in _nodes(self._tree) if isinstance(node, StepSpace)]
        if any(_size(domain) < 0 for step in steps for domain in step.free.values()):
            return -1
        return sum(self._ways_through(self._tree, {frozenset(): 1}).values())

    def _walk(self, chain: Space, chooser: Chooser, taken: set[Taken]) -> Iterator[RecipeStep]:
        for node in chain:
            if not self._is_there(node, taken):
                continue
            match node:
                case StepSpace(name=name, free=free):
                    chosen = {key: chooser.parameter(f"{name}.{key}", domain) for key, domain in free.items()}
                    yield self._complete(node, chosen)
                case ForkSpace(name=name, alternatives=alternatives):
                    index = chooser.alternative(name, node)
                    taken.add((name, index))
                    yield from self._walk(alternatives[index], chooser, taken)
                case _ as never:
                    assert_never(never)

    def _is_there(self, node: StepSpace | ForkSpace, taken: Iterable[Taken]) -> bool:
        return not any(condition.isdisjoint(taken) for condition in self._conditions[node.name])

    def _ways_through(self, chain: Space, ways: Ways) -> Ways:
        for node in chain:
            entered = {taken: count for taken, count in ways.items() if self._is_there(node, taken)}
            passed_by = {taken: count for taken, count in ways.items() if taken not in entered}
            matters = self._mattering[node.name]
            after: Ways = {}
            for taken, count in (*passed_by.items(), *self._ways_inside(node, entered)):
                kept = taken & matters
                after[kept] = after.get(kept, 0) + count
            ways = after
        return ways

    def _ways_inside(self, node: StepSpace | ForkSpace, ways: Ways) -> Iterator[tuple[frozenset[Taken], int]]:
        match node:
            case StepSpace(free=free):
                each = prod(map(_size, free.values()))
                yield from ((taken, count * each) for taken, count in ways.items())
            case ForkSpace(name=name, alternatives=alternatives):
                for index, alternative in enumerate(alternatives):
                    start = {taken | {(name, index)}: count for taken, count in ways.items()}
                    yield from self._ways_through(alternative, start).items()
            case _ as never:
                assert_never(never)

    def _note_what_matters_after(self, chain: Space, later: frozenset[Taken]) -> frozenset[Taken]:
        for node in reversed(chain):
            self._mattering[node.name] = later
            if isinstance(node, ForkSpace):
                for alternative in reversed(node.alternatives):
                    later = self._note_what_matters_after(alternative, later)
            later = later.union(*self._conditions[node.name])
        return later


class _Odometer:
    """A chooser that answers with the first values first, and counts up when it is advanced."""

    def __init__(self) -> None:
        self._digits: list[int] = []
        self._sizes: list[int] = []
        self._position = 0

    def parameter(self, path: str, domain: Domain) -> Json:
        match domain:
            case Choice(values=values):
                return values[self._digit(len(values))]
            case Range(size=0):
                claim = f"the range from {domain.low:g} to {domain.high:g} is continuous: its values cannot be listed"
                raise fail(InputError, "OL114", claim, path=path, hint="give the range a step, or search with tpe")
            case Range(size=size):
                return domain.value(self._digit(size))
            case _ as never:
                assert_never(never)

    def alternative(self, path: str, fork: ForkSpace) -> int:
        return self._digit(len(fork.alternatives))

    def advance(self) -> bool:
        """Goes on to the next answers; False when there are none."""
        self._position = 0
        while self._digits and self._digits[-1] + 1 == self._sizes[-1]:
            self._digits.pop()
            self._sizes.pop()
        if not self._digits:
            return False
        self._digits[-1] += 1
        return True

    def _digit(self, size: int) -> int:
        if self._position == len(self._digits):
            self._digits.append(0)
            self._sizes.append(size)
        self._position += 1
        return self._digits[self._position - 1]


def _size(domain: Domain) -> int:
    match domain:
        case Choice(values=values):
            return len(values)
        case Range(size=size):
            return size or -1
        case _ as never:
            assert_never(never)


def _nodes(chain: Space) -> Iterator[StepSpace | ForkSpace]:
    for node in chain:
        yield node
        if isinstance(node, ForkSpace):
            for alternative in node.alternatives:
                yield from _nodes(alternative)


def _conditions(tree: Space) -> Iterator[tuple[str, tuple[frozenset[Taken], ...]]]:
    """Yields each node's conditions: of every set, at least one alternative must have been taken."""
    nodes = list(_nodes(tree))
    leading = {node.name: dict(_leading(node)) for node in nodes if isinstance(node, ForkSpace)}
    for node in nodes:
        yield (
            node.name,
            tuple(
                frozenset(taken for name in names for taken in leading.get(fork, {}).get(name, ()))
                for fork, names in node.when.items()
            ),
        )


def _leading(fork: ForkSpace) -> Iterator[tuple[str, tuple[Taken, ...]]]:
    """Yields each name below a fork with the alternatives that lead to it; a nested name is led to by its own fork."""
    empty = tuple((fork.name, index) for index, alternative in enumerate(fork.alternatives) if not alternative)
    yield NONE, empty
    for index, alternative in enumerate(fork.alternatives):
        for node in alternative:
            yield node.name, ((fork.name, index),)
            if isinstance(node, ForkSpace):
                yield from ((name, taken) for name, taken in _leading(node) if name != NONE)

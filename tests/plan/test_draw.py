"""Counting, listing and drawing agree with going through every combination of answers by hand."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping
from math import prod

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from olivelike.contracts.ports import RecipeSpace
from olivelike.contracts.recipe import Recipe, RecipeStep
from olivelike.contracts.space import Choice, Domain, ForkSpace, Range, Space, StepSpace
from olivelike.digest import Json
from olivelike.errors import InputError
from olivelike.plan.draw import TreeSpace


def complete(step: StepSpace, chosen: Mapping[str, Json]) -> RecipeStep:
    return RecipeStep(step.name, step.pass_name, {**step.fixed, **chosen}, step.verify, step.limits)


def space_of(*tree: StepSpace | ForkSpace) -> TreeSpace:
    return TreeSpace(tree, complete)


def step(name: str, when: Mapping[str, tuple[str, ...]] | None = None, **free: Domain) -> StepSpace:
    return StepSpace(name, name, free=free, when=when or {})


def names(space: TreeSpace) -> list[str]:
    return [str(recipe) for recipe in space.recipes()]


class ByTable:
    """Answers from a table, and notes what it was asked."""

    def __init__(self, table: Mapping[str, int]) -> None:
        self.table = table
        self.asked: list[tuple[str, int]] = []

    def parameter(self, path: str, domain: Domain) -> Json:
        self.asked.append((path, self.table[path]))
        return values(domain)[self.table[path]]

    def alternative(self, path: str, fork: ForkSpace) -> int:
        self.asked.append((path, self.table[path]))
        return self.table[path]


def values(domain: Domain) -> tuple[Json, ...]:
    return domain.values if isinstance(domain, Choice) else domain.grid()


def questions(chain: Space) -> Iterator[tuple[str, int]]:
    for node in chain:
        if isinstance(node, StepSpace):
            yield from ((f"{node.name}.{name}", len(values(domain))) for name, domain in node.free.items())
        else:
            yield node.name, len(node.alternatives)
            for alternative in node.alternatives:
                yield from questions(alternative)


def holds(fork: str, name: str, taken: Mapping[str, Space]) -> bool:
    """Whether the alternative taken at a fork holds a name: itself, or in what was taken at a fork within it."""
    if name == "none":
        return taken.get(fork) == ()
    return any(
        node.name == name or (isinstance(node, ForkSpace) and holds(node.name, name, taken))
        for node in taken.get(fork, ())
    )


def by_hand(tree: Space, table: Mapping[str, int]) -> tuple[Recipe, tuple[tuple[str, int], ...]]:
    """Returns the recipe of a full table of answers, and the answers that mattered."""
    steps: list[RecipeStep] = []
    asked: list[tuple[str, int]] = []
    taken: dict[str, Space] = {}

    def go(chain: Space) -> None:
        for node in chain:
            if not all(any(holds(fork, name, taken) for name in wanted) for fork, wanted in node.when.items()):
                continue
            if isinstance(node, StepSpace):
                paths = {name: f"{node.name}.{name}" for name in node.free}
                asked.extend((path, table[path]) for path in paths.values())
                chosen = {name: values(node.free[name])[table[path]] for name, path in paths.items()}
                steps.append(complete(node, chosen))
            else:
                asked.append((node.name, table[node.name]))
                taken[node.name] = node.alternatives[table[node.name]]
                go(taken[node.name])

    go(tree)
    return Recipe(tuple(steps)), tuple(asked)


DOMAINS: st.SearchStrategy[Domain] = st.sampled_from(
    [Choice((True, False)), Choice(("a",)), Choice((1, 1.0, "1")), Range(1, 3, integer=True), Range(0, 1, step=0.5)]
)


@st.composite
def trees(draw: st.DrawFn) -> Space:
    """Draws trees with unique names; conditions name earlier forks and what lies below them, none, or anything."""
    numbers = itertools.count()
    earlier: list[ForkSpace] = []

    def condition() -> dict[str, tuple[str, ...]]:
        if not earlier or draw(st.booleans()):
            return {}
        fork = draw(st.sampled_from(earlier))
        known = ["none", "nobody", *below(fork)]
        return {fork.name: tuple(draw(st.lists(st.sampled_from(known), min_size=1, max_size=2, unique=True)))}

    def below(fork: ForkSpace) -> list[str]:
        inner = [node for alternative in fork.alternatives for node in alternative]
        return [node.name for node in inner] + [
            name for fork in inner if isinstance(fork, ForkSpace) for name in below(fork)
        ]

    def chain(depth: int, most: int) -> Space:
        return tuple(node(depth) for _ in range(draw(st.integers(0, most))))

    def node(depth: int) -> StepSpace | ForkSpace:
        when = condition()
        number = next(numbers)
        if depth == 0 or draw(st.booleans()):
            # Few passes: different steps may do the same, so that equal recipes come from different answers.
            free: dict[str, Domain] = draw(st.dictionaries(st.sampled_from(["x", "y"]), DOMAINS, max_size=2))
            return StepSpace(f"s{number}", draw(st.sampled_from(["p", "q"])), free=free, when=when)
        alternatives = tuple(chain(depth - 1, 2) for _ in range(draw(st.integers(1, 3))))
        fork = ForkSpace(f"f{number}", alternatives, when)
        earlier.append(fork)
        return fork

    return chain(2, 4)


@settings(deadline=None)  # some trees span hundreds of recipes
@given(trees())
def test_counting_and_listing_agree_with_every_combination_of_answers(tree: Space) -> None:
    asked = list(questions(tree))
    assume(prod(size for _, size in asked) <= 500)
    recipes: dict[str, Recipe] = {}
    ways = set()
    for answers in itertools.product(*(range(size) for _, size in asked)):
        recipe, mattered = by_hand(tree, dict(zip((path for path, _ in asked), answers, strict=True)))
        recipes.setdefault(recipe.key, recipe)
        ways.add(mattered)
    space = TreeSpace(tree, complete)
    assert space.count() == len(ways)
    assert [recipe.steps for recipe in space.recipes()] == [recipe.steps for recipe in recipes.values()]


@settings(deadline=None)
@given(trees(), st.integers(0, 2**32))
def test_drawing_asks_only_what_matters_in_the_order_of_the_tree(tree: Space, seed: int) -> None:
    generator = random.Random(seed)
    table = {path: generator.randrange(size) for path, size in questions(tree)}
    chooser = ByTable(table)
    recipe, mattered = by_hand(tree, table)
    assert TreeSpace(tree, complete).draw(chooser) == recipe
    assert tuple(chooser.asked) == mattered


def test_the_tree_without_steps_has_one_empty_recipe() -> None:
    assert space_of().count() == 1
    assert list(space_of().recipes()) == [Recipe()]


def test_the_last_question_varies_fastest() -> None:
    space = space_of(step("a", x=Choice((1, 2))), ForkSpace("f", ((step("b"),), ())))
    assert [(recipe.steps[0].config["x"], len(recipe.steps)) for recipe in space.recipes()] == [
        (1, 2),
        (1, 1),
        (2, 2),
        (2, 1),
    ]


def test_a_step_with_a_condition_is_there_only_where_it_holds() -> None:
    fork = ForkSpace("f", ((step("a"),), (step("b"), step("c")), ()))
    assert names(space_of(fork, step("d", {"f": ("c",)}))) == ["a", "b > c > d", "no step"]
    assert names(space_of(fork, step("d", {"f": ("none", "a")}))) == ["a > d", "b > c", "d"]


def test_all_conditions_of_a_step_must_hold() -> None:
    forks = (ForkSpace("f", ((step("a"),), ())), ForkSpace("g", ((step("b"),), ())))
    both = step("c", {"f": ("a",), "g": ("none",)})
    assert names(space_of(*forks, both)) == ["a > b", "a > c", "b", "no step"]


def test_nothing_holds_of_a_fork_that_is_absent_itself() -> None:
    first = ForkSpace("f", ((step("a"),), ()))
    second = ForkSpace("g", ((step("b"),), ()), {"f": ("a",)})
    assert names(space_of(first, second, step("c", {"g": ("none",)}))) == ["a > b", "a > c", "no step"]


def test_a_name_in_a_nested_fork_is_held_only_if_the_nested_fork_took_it() -> None:
    inner = ForkSpace("inner", ((step("a"),), (step("b"),)))
    outer = ForkSpace("outer", ((step("before"), inner), ()))
    assert names(space_of(outer, step("c", {"outer": ("a",)}))) == ["before > a > c", "before > b", "no step"]


def test_equal_recipes_are_listed_once_though_their_answers_differ() -> None:
    alternatives = tuple((StepSpace(name, "same", free={"x": Choice((1, 2))}),) for name in "ab")
    space = space_of(ForkSpace("f", alternatives))
    assert space.count() == 4
    assert len(list(space.recipes())) == 2


def test_a_space_of_a_trillion_recipes_is_counted_and_begun_at_once() -> None:
    space = space_of(*(step(f"s{number}", x=Choice(tuple(range(10)))) for number in range(12)))
    assert space.count() == 10**12
    assert len(list(itertools.islice(space.recipes(), 100))) == 100


def test_many_forks_each_followed_by_its_own_condition_are_counted_at_once() -> None:
    tree: list[StepSpace | ForkSpace] = []
    for number in range(60):
        tree.append(ForkSpace(f"f{number}", ((step(f"a{number}"),), ())))
        tree.append(step(f"b{number}", {f"f{number}": (f"a{number}",)}, x=Choice((1, 2))))
    assert space_of(*tree).count() == 3**60


def test_a_continuous_range_is_counted_as_infinite_and_refuses_to_be_listed() -> None:
    space: RecipeSpace = space_of(step("a", x=Range(0.0, 1.0)))
    assert space.count() == -1
    with pytest.raises(InputError, match=r"OL114 a\.x: the range from 0 to 1 is continuous"):
        next(space.recipes())


@given(st.integers(-50, 50), st.integers(0, 60), st.sampled_from([0.0, 1.0, 2.0, 7.0]))
def test_a_range_of_whole_numbers_holds_its_ends_and_what_lies_between(low: int, width: int, spacing: float) -> None:
    domain = Range(low, low + width, step=spacing, integer=True)
    assert list(domain.grid()) == list(range(low, low + width + 1, int(spacing) or 1))
    assert domain.size == len(domain.grid())

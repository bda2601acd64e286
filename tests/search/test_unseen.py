from collections.abc import Mapping

from olivelike.contracts.ports import Exhausted
from olivelike.contracts.recipe import RecipeStep
from olivelike.contracts.space import Choice, StepSpace
from olivelike.digest import Json
from olivelike.plan.draw import TreeSpace
from olivelike.search.unseen import Drawn, Unseen
from olivelike.testing.planted import as_chosen


def deaf(step: StepSpace, chosen: Mapping[str, Json]) -> RecipeStep:
    return RecipeStep(step.name, step.pass_name, {})


def test_a_space_too_large_to_list_ends_after_a_thousand_draws_without_a_new_recipe() -> None:
    step = StepSpace("step", "pass", free={"x": Choice(tuple(range(1000))), "y": Choice(tuple(range(1000)))})
    unseen = Unseen(TreeSpace((step,), deaf), 0)
    assert isinstance(unseen.draw(), Drawn)
    assert isinstance(unseen.draw(), Exhausted)


def test_a_recipe_claimed_before_is_not_drawn() -> None:
    space = TreeSpace((StepSpace("step", "pass", free={"x": Choice((1, 2))}),), as_chosen)
    first, second = space.recipes()
    unseen = Unseen(space, 0)
    assert unseen.claim(first)
    assert not unseen.claim(first)
    drawn = unseen.draw()
    assert isinstance(drawn, Drawn)
    assert drawn.recipe == second
    assert drawn.dials == {"step.x": 1}

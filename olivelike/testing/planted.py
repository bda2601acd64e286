"""A planted search problem: a space of 192 recipes in which the loss of each, and so the best one, is known."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from math import inf
from typing import cast

from olivelike.contracts.outcome import Measured, Outcome, Refused
from olivelike.contracts.ports import Exhausted, Score, Strategy
from olivelike.contracts.recipe import Recipe, RecipeStep
from olivelike.contracts.space import Choice, ForkSpace, Range, Space, StepSpace
from olivelike.digest import Json
from olivelike.plan.draw import TreeSpace

THREADS = 6
GAIN = {"static": 0.55, "dynamic": 0.8, "float16": 0.9}

TREE: Space = (
    StepSpace("simplify", "simplify"),
    ForkSpace(
        "quantize",
        (
            (
                StepSpace(
                    "dynamic",
                    "dynamic",
                    free={"per_channel": Choice((False, True)), "type": Choice(("u8", "s8", "s4"))},
                ),
            ),
            (
                StepSpace(
                    "static",
                    "static",
                    free={
                        "format": Choice(("qdq", "qoperator")),
                        "per_channel": Choice((False, True)),
                        "calibration": Choice(("minmax", "entropy", "percentile")),
                        "activation": Choice(("u8", "u16")),
                    },
                ),
            ),
            (StepSpace("float16", "float16"),),
            (),
        ),
    ),
    StepSpace("tune", "tune", free={"threads": Range(1, THREADS, integer=True)}),
)


def as_chosen(step: StepSpace, chosen: Mapping[str, Json]) -> RecipeStep:
    """Completes a step with nothing but what was fixed and chosen."""
    return RecipeStep(step.name, step.pass_name, {**step.fixed, **chosen}, step.verify, step.limits)


def planted_space() -> TreeSpace:
    """Returns the space of 192 recipes."""
    return TreeSpace(TREE, as_chosen)


def planted_loss(recipe: Recipe, seed: int) -> float:
    """Returns a recipe's loss: a product of what each step and parameter does, with 2 % that no model explains."""
    loss = 1 + _draw(seed, recipe.key, 0.02)
    best = 1 + int(_draw(seed, "threads", THREADS))
    for step in recipe.steps:
        loss *= GAIN.get(step.name, 1.0)
        for name, value in step.config.items():
            known = name == "threads"
            loss *= 1 + (
                0.12 * abs(cast("int", value) - best) if known else _draw(seed, f"{step.name}.{name}={value}", 0.4)
            )
    return loss


def regret(strategy: Strategy, seed: int, trials: int, works: Callable[[Recipe], bool] = lambda _: True) -> float:
    """Returns by how much the best recipe found misses the best there is: 0 for none, 1 for the worst recipe.

    Args:
        strategy: over `planted_space()`, for one objective.
        seed: of the losses.
        trials: asked for at most so many.
        works: whether a recipe works; one that does not is refused.
    """
    losses = [planted_loss(recipe, seed) for recipe in planted_space().recipes() if works(recipe)]
    found = inf
    for _ in range(trials):
        recipe = strategy.ask()
        if isinstance(recipe, Exhausted):
            break
        score = planted_score(recipe, seed) if works(recipe) else Score((), {}, Refused("OL301: it does not work"))
        found = min(found, *score.objectives, inf)
        strategy.tell(recipe, score)
    return (min(found, max(losses)) - min(losses)) / (max(losses) - min(losses))


def planted_score(recipe: Recipe, seed: int) -> Score:
    """Returns the score of a recipe that was measured."""
    outcome: Outcome = Measured(recipe.key, {})
    return Score((planted_loss(recipe, seed),), {}, outcome)


def _draw(seed: int, what: str, most: float) -> float:
    return random.Random(f"{seed} {what}").uniform(0, most)

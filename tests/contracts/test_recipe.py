"""Recipes are told apart by the parameters that differ between them, and only by these."""

from __future__ import annotations

from olivelike.contracts.recipe import Recipe, RecipeStep, varying
from olivelike.digest import Json


def quantized(**config: Json) -> Recipe:
    return Recipe((RecipeStep("simplify", "simplify", {"rounds": 1}), RecipeStep("q", "static_quant", config)))


def test_only_what_differs_is_told() -> None:
    first = quantized(per_channel=True, bits=8, percentile=99.41941825134552)
    recipes = [first, quantized(per_channel=False, bits=8, percentile=99.0)]
    told = varying([*recipes, Recipe()])
    assert [recipe.text(told) for recipe in recipes] == [
        "simplify > q(per_channel=true, percentile=99.4194)",
        "simplify > q(per_channel=false, percentile=99)",
    ]


def test_a_recipe_without_steps_says_so() -> None:
    assert Recipe().text(frozenset()) == str(Recipe()) == "no step"

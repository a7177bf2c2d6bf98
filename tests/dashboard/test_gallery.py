"""The recipes to start from."""

from __future__ import annotations

import pytest

from dashboard.gallery import FIRST_MODEL, RECIPES, Start
from dashboard.words import t
from engine import Recipe, available_methods
from sample_models import available_models

each_start = pytest.mark.parametrize("start", RECIPES, ids=[start.title for start in RECIPES])


@each_start
def test_a_recipe_parses_and_is_canonical_but_for_what_it_leaves_out(start: Start) -> None:
    recipe = Recipe.of(start.recipe)
    assert Recipe.parse(str(recipe)) == recipe
    for given, (name, values) in zip(start.recipe, recipe.to_list(), strict=True):
        assert given[0] == name
        assert given[1].items() <= values.items()
        assert "form" in given[1]  # a default may change; a lesson may not


@each_start
def test_what_varies_is_a_number_of_its_recipe(start: Start) -> None:
    assert start.vary is not None
    index, name = start.vary
    step = Recipe.of(start.recipe).step(index)
    assert step.coefficient(name).numeric
    assert name in step.values


@each_start
def test_its_text_is_plain_and_ends(start: Start) -> None:
    assert t(start.title) == start.title
    assert t(start.shows) == start.shows
    assert start.shows.endswith(".")
    assert len(start.shows) < 130


def test_no_two_are_the_same_and_every_method_is_shown() -> None:
    assert len({start.title for start in RECIPES}) == len({str(Recipe.of(s.recipe)) for s in RECIPES}) == len(RECIPES)
    assert {step.name for start in RECIPES for step in Recipe.of(start.recipe)} == set(available_methods())


def test_the_first_model_is_there() -> None:
    assert FIRST_MODEL in available_models()

"""What choosing is worth: the same step by lot, counted by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from engine import Context, Recipe
from engine.edit.surgery import Skip, weights
from tests.states import contents, shapes, zeros
from tests.tiny import tiny

CHOOSING = {
    "weight_pruning": ["magnitude_global", "magnitude_layer"],
    "node_pruning": ["formula", "group_norm"],
    "layer_pruning": ["formula", "block_influence", "angular_distance", "greedy"],
    "structure_optimization": ["low_rank"],
}
FORMS = [(name, form) for name, forms in CHOOSING.items() for form in forms]
every_form = pytest.mark.parametrize(("name", "form"), FORMS)


def recipe_of(name: str, form: str, amount: float = 0.4) -> Recipe:
    amounts = {"formula": "alpha", "low_rank": "rank"}
    return Recipe.of([[name, {"form": form, amounts.get(form, "amount"): amount}]])


def by_lot(recipe: Recipe) -> Recipe:
    """The last step by lot."""
    return Recipe((*recipe.steps[:-1], recipe.steps[-1].at_random()))  # type: ignore[arg-type]


def variant(recipe: Recipe, model: str = "residual", seed: int = 0) -> nn.Module:
    return recipe.apply_in(replace(Context.of(tiny(model), torch.device("cpu")), seed=seed))


def zeros_of(model: nn.Module) -> list[tuple[int, int]]:
    """Of each weight: how many are zero, of how many."""
    return [(int((p == 0).sum()), p.numel()) for _, p in weights(model)]


@every_form
def test_the_seed_decides_and_nothing_else(name: str, form: str) -> None:
    recipe = by_lot(recipe_of(name, form))
    made = [contents(variant(recipe, seed=seed)) for seed in range(6)]
    assert contents(variant(recipe, seed=0)) == made[0]
    assert len({str(one) for one in made}) > 1
    if name != "layer_pruning":  # of three blocks one goes, so two seeds may agree
        assert len({str(one) for one in made}) == len(made)


@every_form
def test_it_does_not_choose_as_the_form_does(name: str, form: str) -> None:
    recipe = recipe_of(name, form)
    assert by_lot(recipe).steps[0].form == "random"
    chosen = contents(variant(recipe))
    assert any(contents(variant(by_lot(recipe), seed=seed)) != chosen for seed in range(3))


@pytest.mark.parametrize("amount", [0.1, 0.35, 0.8])
@pytest.mark.parametrize("model", ["residual", "linear", "tied", "attention"])
def test_weights_of_each_layer_by_number(model: str, amount: float) -> None:
    recipe = by_lot(recipe_of("weight_pruning", "magnitude_layer", amount))
    assert [z for z, _ in zeros_of(variant(recipe, model))] == [
        round(amount * n) + z for z, n in zeros_of(tiny(model).model())
    ]
    whole = variant(recipe_of("weight_pruning", "magnitude_global", amount), model)
    layers = len(list(weights(whole)))
    assert abs(zeros(whole) - zeros(variant(recipe, model))) <= layers / 2


@pytest.mark.parametrize("form", CHOOSING["node_pruning"])
@pytest.mark.parametrize("model", ["residual", "conv", "depthwise", "attention"])
def test_nodes_by_shapes(form: str, model: str) -> None:
    recipe = recipe_of("node_pruning", form)
    assert shapes(variant(by_lot(recipe), model)) == shapes(variant(recipe, model)) != shapes(tiny(model).model())


@pytest.mark.parametrize("model", ["residual", "conv", "attention"])
def test_ranks_by_shapes(model: str) -> None:
    recipe = recipe_of("structure_optimization", "low_rank", 0.25)
    assert shapes(variant(by_lot(recipe), model)) == shapes(variant(recipe, model)) != shapes(tiny(model).model())


@pytest.mark.parametrize("form", CHOOSING["layer_pruning"])
@pytest.mark.parametrize(("amount", "gone"), [(0.1, 0), (0.34, 1), (0.7, 2), (0.99, 2)])
def test_blocks_by_number(form: str, amount: float, gone: int) -> None:
    recipe = recipe_of("layer_pruning", form, amount)
    for one in (recipe, by_lot(recipe)):
        assert sum(isinstance(block, Skip) for block in variant(one).blocks) == gone


def test_what_else_was_asked_for_is_asked_for_still() -> None:
    step = Recipe.of([["node_pruning", {"form": "formula", "alpha": 0.6, "protect": ["stem"]}]]).steps[0].at_random()
    assert step is not None
    rest = {"of": "nodes", "scope": "layer", "cap": 1.0, "round_to": 1}
    assert (step.form, dict(step.values)) == ("random", {"amount": 0.6, "protect": ("stem",), **rest})


def test_after_a_step_that_made_zeros_as_many_go() -> None:
    recipe = Recipe.of([["weight_pruning", {"form": "magnitude_layer", "amount": a}] for a in (0.5, 0.6)])
    assert zeros(variant(by_lot(recipe))) == zeros(variant(recipe))

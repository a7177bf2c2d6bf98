"""A training that somebody ends: what there was is measured, and is nobody's result."""

from __future__ import annotations

import json

import pytest
import torch

from engine import Measurer, Recipe, measure
from engine.edit.training import ended_at
from engine.store import MemoryStore
from tests.engine.quick import quick
from tests.methods.nets import Listening, context_of, explored, linear
from tests.states import contents
from tests.tiny import tiny

TRAIN = ["parameter_optimization", {"steps": 40, "batch_size": 16, "learning_rate": 0.01}]
THEN = ["weight_pruning", {"form": "wanda", "amount": 0.5, "examples": 32}]


class Enough(Listening):
    """Has enough after a number of reports of a training."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after: int | None = after

    def enough(self) -> bool:
        return self.after is not None and sum("loss" in partial for partial in self.heard) >= self.after


def literal(steps: int) -> list[object]:
    return ["parameter_optimization", {"form": "formula", "alpha": 0.1, "steps": steps, "batch_size": 16}]


def test_it_ends_between_two_steps_with_the_model_as_it_is() -> None:
    """By the formula, whose steps do not hang on how many follow, that is the model of so many steps."""
    context = context_of(tiny("linear"), Enough(3))
    variant = Recipe.of([literal(40)]).apply_in(context)
    assert ended_at(variant) == (3, 40)
    assert contents(variant) == contents(Recipe.of([literal(3)]).apply(tiny("linear"), device="cpu"))


def test_with_patience_the_best_so_far_stays() -> None:
    x = torch.tensor([[1.0], [2.0]])
    context = context_of(explored(linear([[1.0]]), x, 2 * x, task="regression"), Enough(5))
    away = ["parameter_optimization", {"form": "formula", "alpha": 0.6, "steps": 20, "patience": 100}]
    variant = Recipe.of([away]).apply_in(context)
    assert ended_at(variant) == (5, 20)
    assert variant.weight.item() == 1.0


def test_later_trainings_take_no_step_and_other_steps_are_done() -> None:
    variant = Recipe.of([TRAIN, THEN, TRAIN]).apply_in(context_of(tiny("linear"), Enough(4)))
    assert ended_at(variant) == (4, 40)
    zeros = sum(int((p == 0).sum()) for p in variant.parameters() if p.dim() > 1)
    assert zeros == sum(p.numel() for p in variant.parameters() if p.dim() > 1) // 2


def test_nothing_that_hangs_on_it_is_kept() -> None:
    line = Enough(4)
    context = context_of(tiny("linear"), line)
    recipe = Recipe.of([TRAIN, THEN])
    cut = recipe.apply_in(context)
    line.after = None
    whole = recipe.apply_in(context)
    assert ended_at(whole) is None
    assert contents(cut) != contents(whole)
    assert contents(whole) == contents(recipe.apply(tiny("linear"), device="cpu"))


@pytest.mark.parametrize("recipe", [[TRAIN], [TRAIN, THEN]])
def test_it_is_measured_and_its_record_says_so(recipe: list[object]) -> None:
    store = MemoryStore()
    measurer = Measurer(tiny("linear"), protocol=quick(), store=store, channel=Enough(4))
    point = measurer.measure(recipe)
    assert point.ended == (4, 40)
    assert point.recipe == Recipe.of(recipe)
    assert point.to_dict()["ended"] == {"step": 4, "steps": 40}
    assert measurer.lookup(recipe) is None
    written = {json.loads(key).get("recipe") for _, key in store._records}
    assert "[]" in written
    assert str(Recipe.of(recipe)) not in written
    whole = Measurer(tiny("linear"), protocol=quick(), store=store).measure(recipe)
    assert whole.ended is None
    assert "ended" not in whole.to_dict()
    alone = measure(tiny("linear"), recipe, protocol=quick())
    assert whole.variant["accuracy"] == alone.variant["accuracy"]


def test_what_looks_at_layers_or_weights_gets_the_whole_training() -> None:
    measurer = Measurer(tiny("linear"), protocol=quick(), channel=Enough(1))
    assert ended_at(Recipe.of([literal(4)]).apply_in(measurer.context)) is None
    assert measurer.measure([literal(5)]).ended is not None
    assert ended_at(Recipe.of([literal(6)]).apply_in(measurer.context)) is None


def test_a_training_that_is_not_ended_says_nothing() -> None:
    assert ended_at(Recipe.of([literal(3)]).apply_in(context_of(tiny("linear"), Listening()))) is None

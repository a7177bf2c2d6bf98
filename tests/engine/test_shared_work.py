"""What consecutive points and jobs share: the steps in front, the last variants, what was timed of the original."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

import engine.built as built
import engine.recipe as recipes
import engine.speed as speed
from engine import Context, Measurer, Method, Recipe
from engine.edit.surgery import replace_parameters
from engine.memo import Memo
from engine.metrics.layers import LayerCost
from engine.microscope import training_seconds
from tests.engine.quick import quick
from tests.engine.test_recipe_apply import context_of, method_that
from tests.states import contents, shapes
from tests.tiny import tiny

CLIP = ["weight_clipping", {"form": "clamp", "limit": 0.05}]
NARROW = ["node_pruning", {"form": "group_norm", "amount": 0.25}]
LOW = ["structure_optimization", {"form": "low_rank", "rank": 0.25}]
TRAIN = ["parameter_optimization", {"steps": 3, "batch_size": 32}]


def pruned(amount: float) -> list[object]:
    return ["weight_pruning", {"amount": amount}]


def counting(runs: Counter[str], name: str = "made") -> Method:
    return method_that(lambda model: runs.update([name]) or model)  # type: ignore[func-returns-value]


def made(*steps: object) -> Recipe:
    return Recipe.of(list(steps))


@pytest.mark.parametrize("tail", range(7))
def test_the_steps_in_front_of_a_varied_one_are_done_once(tail: int) -> None:
    runs, context = Counter[str](), context_of()
    behind = [["weight_clipping", {"form": "clamp", "limit": 2.0 + i}] for i in range(tail)]
    for amount in (0.1, 0.5, 0.9):
        made(counting(runs), CLIP, pruned(amount), *behind).apply_in(context)
    assert runs["made"] == 1


@pytest.mark.parametrize("model", ["linear", "residual", "attention", "tied"])
def test_a_point_that_starts_from_a_kept_stage_is_what_it_is_from_the_start(model: str) -> None:
    shared = context_of(model)
    for amount in (0.6, 0.2):
        for tail in ([CLIP, pruned(amount)], [NARROW, pruned(amount), LOW], [CLIP, NARROW, CLIP, pruned(amount), CLIP]):
            one, fresh = made(*tail).apply_in(shared), made(*tail).apply_in(context_of(model))
            assert contents(one) == contents(fresh)
            assert shapes(one) == shapes(fresh)


def test_no_more_than_a_few_stages_are_kept() -> None:
    context = context_of()
    for limit in range(12):
        made(["weight_clipping", {"form": "clamp", "limit": 1.0 + limit / 2}], CLIP, pruned(0.5)).apply_in(context)
    stages = context.memo.once("stages", Memo)
    assert len(stages._entries) <= recipes.KEPT_STAGES


def test_a_large_stage_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "MOST", 0)
    runs, context = Counter[str](), context_of()
    for amount in (0.1, 0.5):
        made(CLIP, counting(runs), pruned(amount)).apply_in(context)
    assert runs["made"] == 2


def test_writing_into_a_variant_leaves_the_stage_as_it_was() -> None:
    context = context_of()
    first = made(CLIP, pruned(0.5)).apply_in(context)
    before = contents(first)
    replace_parameters(first, {p: torch.zeros_like(p) for p in first.parameters()})
    first.add_module("more", nn.Linear(1, 1))
    assert contents(made(CLIP, pruned(0.5)).apply_in(context)) == before


def jobs_of(monkeypatch: pytest.MonkeyPatch) -> tuple[Measurer, Counter[str]]:
    applied, whole = Counter[str](), Recipe.apply_in

    def counted(recipe: Recipe, context: Context) -> nn.Module:
        applied.update([str(recipe)])
        return whole(recipe, context)

    monkeypatch.setattr(Recipe, "apply_in", counted)
    return Measurer(tiny("linear"), protocol=quick()), applied


def test_the_last_two_variants_are_built_once_for_all_that_look_at_them(monkeypatch: pytest.MonkeyPatch) -> None:
    measurer, applied = jobs_of(monkeypatch)
    one, other, third = (made(pruned(amount)) for amount in (0.1, 0.5, 0.9))
    measurer.measure(one)
    variants = [measurer.built.of(recipe, measurer.context) for recipe in (one, other, one, other, one)]
    assert variants[0] is variants[2] is variants[4]
    assert applied == {str(one): 1, str(other): 1}
    measurer.built.of(third, measurer.context)
    measurer.built.of(other, measurer.context)
    assert applied[str(other)] == 2
    seeded = replace(measurer.context, seed=1)
    assert measurer.built.of(other, seeded) is not measurer.built.of(other, measurer.context)


def test_a_large_variant_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(built, "KEPT_BYTES", 0)
    measurer, applied = jobs_of(monkeypatch)
    for _ in range(2):
        measurer.built.of(made(pruned(0.5)), measurer.context)
    assert applied[str(made(pruned(0.5)))] == 2


def test_models_in_other_numbers_are_turned_once_a_point(monkeypatch: pytest.MonkeyPatch) -> None:
    turned, really = Counter[int](), built.in_dtype

    def counted(model: nn.Module, dtype: str) -> nn.Module:
        turned.update([id(model)])
        return really(model, dtype)

    monkeypatch.setattr(built, "in_dtype", counted)
    Measurer(tiny("linear"), protocol=quick(dtype="bfloat16")).measure([NARROW])
    assert sorted(turned.values()) == [1, 1]


def test_the_original_gives_its_shape_once(monkeypatch: pytest.MonkeyPatch) -> None:
    context, passes = context_of(), Counter[str]()
    own = context.original.forward
    monkeypatch.setattr(context.original, "forward", lambda *a: passes.update(["it"]) or own(*a))  # type: ignore[func-returns-value]
    for _ in range(3):
        recipes.check_runs(context.original, context)
    assert passes["it"] == 4  # three times as the variant


@pytest.mark.parametrize(("later_ms", "times"), [(1.05, 1), (0.95, 1), (1.2, 2), (0.8, 2)])
def test_the_originals_layers_are_timed_again_where_the_machine_has_another_pace(
    later_ms: float, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def costs(*_: object) -> list[LayerCost]:
        calls.append("once")
        return [LayerCost(f"call {len(calls)}", "Linear", (1, 1), 1, 1, 1, 1.0)]

    monkeypatch.setattr(speed, "_costs", costs)
    kept: dict[str, Any] = {}
    own = tiny("linear").model(), tiny("linear").example
    found = [speed._own_costs(*own, ms, kept, Memo()) for ms in (1.0, later_ms, later_ms)]
    assert len(calls) == times
    assert found[1] == found[2]


def test_what_a_price_computes_behind_a_training_is_nobodys_figure() -> None:
    """The price looks at a model that was not trained, under the name of one that was."""
    context, low = context_of(), ["structure_optimization", {"form": "formula", "rank": 0.25}]
    training_seconds(made(TRAIN, low, TRAIN), context)
    recipe = made(TRAIN, low)
    assert contents(recipe.apply_in(context)) == contents(recipe.apply_in(context_of()))

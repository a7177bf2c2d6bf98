"""Weights that go little by little: how many at each step, which, and that they stay away."""

from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from engine import Cancelled, Recipe
from engine.edit.surgery import weights
from tests.methods.nets import Listening, context_of
from tests.states import Held
from tests.tiny import tiny


def gradual(**values: object) -> list[object]:
    return ["weight_pruning", {"form": "gradual", "batch_size": 32, "learning_rate": 0.01, **values}]


def seen(model: str, *steps: object) -> list[list[Tensor]]:
    """The weights before the first step and after each step that another follows, and those of the variant."""
    context = context_of(tiny(model))
    found: list[list[Tensor]] = []

    def note(module: nn.Module, _: object) -> None:
        if module.training:
            found.append([w.detach().clone() for _, w in weights(module)])

    context.original.register_forward_pre_hook(note)
    variant = Recipe.of(list(steps)).apply_in(context)
    return [*found, [w.detach() for _, w in weights(variant)]]


def zeros(held: list[Tensor]) -> int:
    return sum(int((w == 0).sum()) for w in held)


@pytest.mark.parametrize("amount", [0.3, 0.9])
@pytest.mark.parametrize("model", ["linear", "residual", "tied"])
def test_the_zeros_follow_the_cubic_at_every_step_and_then_stay_as_many(model: str, amount: float) -> None:
    steps, last = 24, 19  # the last fifth makes none
    states = seen(model, gradual(amount=amount, steps=steps, every=1))
    assert len(states) == steps + 1
    n = sum(w.numel() for w in states[0])
    for step, held in enumerate(states):
        share = amount * (1 - (1 - min(step, last) / last) ** 3)
        assert zeros(held) == round(share * n), step


@pytest.mark.parametrize(("every", "at"), [(4, [4, 8, 12, 16]), (7, [7, 14, 16]), (100, [16])])
def test_weights_go_only_now_and_then_and_at_the_last_step_that_may(every: int, at: list[int]) -> None:
    states = seen("linear", gradual(amount=0.6, steps=20, every=every))
    counts = [zeros(held) for held in states]
    assert [step for step in range(1, 21) if counts[step] != counts[step - 1]] == at
    assert counts[-1] == round(0.6 * sum(w.numel() for w in states[0]))


def test_none_that_went_comes_back_and_the_others_are_trained_to_the_end() -> None:
    states = seen("linear", gradual(amount=0.8, steps=30, every=1))
    for before, after in pairwise(states):
        assert all((new[old == 0] == 0).all() for old, new in zip(before, after, strict=True))
    moved = [float((new - old).abs().max()) for old, new in zip(states[-3], states[-2], strict=True)]
    assert min(moved) > 0  # the last steps train on


@pytest.mark.parametrize(("steps", "trained"), [(0, False), (1, True)])
def test_with_no_step_to_rise_over_all_go_at_once_by_size(steps: int, trained: bool) -> None:
    first, once = seen("linear", gradual(amount=0.5, steps=steps))[0], ["weight_pruning", {"amount": 0.5}]
    by_size = seen("linear", once)[-1]
    variant = seen("linear", gradual(amount=0.5, steps=steps))[-1]
    assert all(torch.equal(a == 0, b == 0) for a, b in zip(by_size, variant, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(by_size, first, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(by_size, variant, strict=True)) is not trained


def test_zeros_of_an_earlier_step_stay_though_fewer_are_asked_for() -> None:
    prune = ["weight_pruning", {"form": "random", "amount": 0.6}]
    pruned = seen("linear", prune)[-1]
    variant = seen("linear", prune, gradual(amount=0.3, steps=10))[-1]
    assert all((new[old == 0] == 0).all() for old, new in zip(pruned, variant, strict=True))
    assert zeros(variant) == zeros(pruned)


def test_little_by_little_loses_less_than_at_once() -> None:
    workload = tiny("regression")
    once = [["weight_pruning", {"amount": 0.7}]]
    slow = [gradual(amount=0.7, steps=60)]
    x, y = workload.train
    losses = [workload.task.loss(Recipe.of(r).apply(workload, device="cpu")(x), y) for r in (once, slow)]
    assert losses[1] < 0.5 * losses[0]


def test_the_original_is_not_touched_and_a_wish_to_stop_is_heard() -> None:
    context = context_of(tiny("residual"), Listening(stop_after=2))
    before = Held.of(copy.deepcopy(context.original)).contents
    with pytest.raises(Cancelled):
        Recipe.of([gradual(steps=20)]).apply_in(context)
    assert Held.of(context.original).contents == before

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from engine import BrokenVariant, Cancelled, Recipe, Workload
from engine.edit.training import adamw, batches
from tests.methods.nets import Listening, context_of, explored, linear
from tests.states import Held, bits
from tests.tiny import TRAIN, tiny


def train(**values: object) -> list[object]:
    return ["parameter_optimization", values]


def literal(**values: object) -> list[object]:
    """Steps of the formula, each on all the data."""
    return train(form="formula", batch_size=1000, **values)


def steep() -> Workload:
    """w·x + b against 2x at x = 1 and 2: a step of more than 0.4 leads away from the minimum."""
    x, y = torch.tensor([[1.0], [2.0]]), torch.tensor([[2.0], [4.0]])
    return explored(linear([[1.0]], [0.0]), x, y, task="regression")


def test_the_formula_by_hand() -> None:
    workload = steep()  # w = 1, b = 0: the loss is ((1 − 2)² + (2 − 4)²) / 2, its slope in w −1·1 − 2·2 = −5; b stays
    once = Recipe.of([literal(alpha=0.1, steps=1)]).apply(workload, device="cpu")
    assert once.weight.item() == pytest.approx(1.5)
    twice = Recipe.of([literal(alpha=0.1, steps=2)]).apply(workload, device="cpu")
    assert twice.weight.item() == pytest.approx(1.5 + 0.1 * 2.5)
    assert once.bias.item() == twice.bias.item() == 0.0


@pytest.mark.parametrize("model", ["linear", "conv", "residual", "attention", "tied", "regression"])
def test_one_step_is_w_minus_alpha_times_the_gradient(model: str) -> None:
    workload, alpha = tiny(model), 0.3
    wanted = workload.model()
    loss = workload.task.loss(wanted(workload.train[0]), workload.train[1])
    gradients = torch.autograd.grad(loss, list(wanted.parameters()))
    variant = Recipe.of([literal(alpha=alpha, steps=1)]).apply(workload, device="cpu")
    pairs = zip(wanted.named_parameters(), gradients, variant.parameters(), strict=True)
    for (name, before), gradient, after in pairs:
        step = alpha * gradient if before.dim() >= 2 else 0
        torch.testing.assert_close(after.detach(), before.detach() - step, atol=1e-6, rtol=1e-5, msg=name)
    for before, after in zip(wanted.buffers(), variant.buffers(), strict=True):
        assert bits(before) == bits(after)  # statistics of normalisation stay


@pytest.mark.parametrize("form", ["formula", "adamw"])
@pytest.mark.parametrize(("keep", "same"), [("yes", True), ("no", False)])
def test_zeros_stay_where_asked(form: str, keep: str, same: bool) -> None:
    workload, prune = tiny("linear"), ["weight_pruning", {"amount": 0.5}]
    pruned = Recipe.of([prune]).apply(workload, device="cpu")
    trained = Recipe.of([prune, train(form=form, steps=5, keep_zeros=keep)]).apply(workload, device="cpu")
    for i in (0, 2, 4):
        zero = pruned[i].weight == 0
        assert zero.any()
        assert bool((trained[i].weight[zero] == 0).all()) is same
        assert not torch.equal(trained[i].weight[~zero], pruned[i].weight[~zero])


def test_adamw_moves_every_parameter_and_lowers_the_loss() -> None:
    workload, line = tiny("regression"), Listening()
    context = context_of(workload, line)
    before = Held.of(context.original)
    variant = Recipe.of([train(steps=60, learning_rate=0.01, batch_size=TRAIN)]).apply_in(context)
    assert all(bits(p) != before.contents[name] for name, p in variant.named_parameters())
    assert Held.of(context.original) == before
    assert line.losses[-1] < 0.5 * line.losses[0]


def test_the_formulas_loss_falls_too() -> None:
    line = Listening()
    Recipe.of([literal(alpha=0.05, steps=30)]).apply_in(context_of(tiny("regression"), line))
    assert line.losses[-1] < 0.9 * line.losses[0]


@pytest.mark.parametrize("form", ["formula", "adamw"])
def test_a_cancelled_training_ends_between_two_steps(form: str) -> None:
    line = Listening(stop_after=2)
    with pytest.raises(Cancelled):
        Recipe.of([train(form=form, steps=40)]).apply_in(context_of(tiny("linear"), line))
    assert len(line.heard) == 2


def test_weights_that_become_infinite_are_a_named_error() -> None:
    with pytest.raises(BrokenVariant, match=r"step 0 \(parameter_optimization\) must leave finite weights, got "):
        Recipe.of([literal(alpha=10.0, steps=100)]).apply(steep(), device="cpu")


def test_which_parameters_ask_for_gradients_is_put_back() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3))
    net[0].requires_grad_(False)
    workload = explored(net, torch.ones(4, 3))
    variant = Recipe.of([train(steps=2)]).apply(workload, device="cpu")
    assert [p.requires_grad for p in variant.parameters()] == [False, False, True, True]


@pytest.mark.parametrize(("n", "size", "steps"), [(10, 4, 5), (10, 3, 10), (6, 6, 3), (5, 100, 4), (7, 1, 14)])
def test_every_pass_over_the_data_takes_each_example_once(n: int, size: int, steps: int) -> None:
    drawn = list(batches(n, size, steps, seed=3))
    assert [len(batch) for batch in drawn] == [min(size, n)] * steps
    order = torch.cat(drawn).tolist()
    for start in range(0, len(order) - n + 1, n):
        assert sorted(order[start : start + n]) == list(range(n))
    assert all(torch.equal(a, b) for a, b in zip(drawn, batches(n, size, steps, seed=3), strict=True))


@pytest.mark.parametrize(("hold", "top"), [(0, 4), (3, 4), (30, 30)])
def test_the_learning_rate_warms_up_over_a_tenth_and_falls_along_a_cosine(hold: int, top: int) -> None:
    optimizer = adamw(nn.Linear(1, 1), learning_rate=2.0, steps=40, hold=hold)
    rates = []
    for _ in range(40):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
    wanted = [min(2 * (i + 1) / 4, 2) for i in range(top)]
    wanted += [1 + math.cos(math.pi * i / (40 - top)) for i in range(40 - top)]
    assert rates == pytest.approx(wanted, rel=1e-5)

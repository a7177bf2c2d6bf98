"""Which weights go, against what the sources say, and what the others make up for."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
from torch import Tensor, nn

from engine import Context, Recipe
from engine.edit.calibration import damped, input_moments
from engine.edit.scores import floors, magnitude_masks
from engine.edit.sparse import adaptive_scores, compensated, inverse_root, places_in_groups, row_mask, row_ranks
from tests.methods.nets import edited, explored, linear, random_inputs
from tests.tiny import tiny

FORMS = ("magnitude_global", "magnitude_layer", "magnitude_adaptive", "wanda", "inverse_hessian", "random")


def error(weight: Tensor, pruned: Tensor, inputs: Tensor) -> float:
    return float(((weight.double() - pruned.double()) @ inputs.double().T).square().sum())


def zeros(net: nn.Module) -> int:
    return sum(int((p == 0).sum()) for p in net.parameters() if p.dim() > 1)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("amount", [0.25, 0.5, 0.9])
@pytest.mark.parametrize("model", ["linear", "conv", "attention", "depthwise", "tied"])
def test_as_many_go_as_are_asked_for(form: str, amount: float, model: str) -> None:
    workload = tiny(model)
    net = Recipe.of([["weight_pruning", {"form": form, "amount": amount}]]).apply(workload, device="cpu")
    sizes = [p for p in net.parameters() if p.dim() > 1]
    total = sum(p.numel() for p in sizes)
    spread = len(sizes) if form in ("magnitude_layer", "random", "inverse_hessian") else 0
    if form == "wanda":
        spread = sum(len(p) for p in sizes)  # rounded in each node
    if form == "inverse_hessian":
        spread *= 4  # in each group and projection
    assert abs(zeros(net) - amount * total) <= spread / 2 + 1


def test_adaptive_scores_by_hand() -> None:
    scores = adaptive_scores(torch.tensor([[3.0, -1.0], [2.0, 0.0]]))
    torch.testing.assert_close(scores, torch.tensor([[1.0, 1 / 14], [4 / 13, 0.0]], dtype=torch.float64))


def test_no_layer_is_emptied_by_accident() -> None:
    large, small = random_inputs(100, 100) + 10, random_inputs(20, 20) / 100
    for amount in (0.5, 0.9, 0.99):
        masks = magnitude_masks([large, small], amount)
        assert sum(int((~mask).sum()) for mask in masks) == round(amount * 10_400)
        assert int(masks[1].sum()) >= 4
    assert floors([100, 10_000], 101) == [1, 100]
    assert floors([100, 10_000], 50) == [0, 49]


@pytest.mark.parametrize(("n", "m"), [(2, 4), (1, 4), (4, 4), (3, 8), (9, 4)])
def test_of_every_m_the_n_largest_stay(n: int, m: int) -> None:
    weight = random_inputs(6, 3, 7)  # 21 in a row: what is left over is a group, too
    mask = (places_in_groups(weight.abs(), m) <= n).flatten(1)
    for row, kept in zip(weight.flatten(1), mask, strict=True):
        for start in range(0, 21, m):
            part = row[start : start + m].abs()
            assert int(kept[start : start + m].sum()) == min(n, len(part))
            assert (
                part[kept[start : start + m]].min() >= part[~kept[start : start + m]].max(initial=0) if n < 0 else True
            )


def test_wanda_looks_at_what_meets_the_weight() -> None:
    net = linear([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])
    inputs = random_inputs(200, 3) * torch.tensor([10.0, 1.0, 0.1])
    variant = edited(net, [["weight_pruning", {"form": "wanda", "amount": 0.34}]], inputs)
    assert torch.equal(variant.weight != 0, torch.tensor([[True, True, False], [True, True, False]]))
    assert torch.equal(row_mask(row_ranks(torch.tensor([[1.0, 3.0, 2.0]])), 0.67), torch.tensor([[False, True, False]]))


@pytest.mark.parametrize("gone", [1, 2])
def test_the_first_weights_that_go_are_made_up_for_as_least_squares_would(gone: int) -> None:
    """With one node and one block: the mask is greedy, but what it leaves is the best for what lies to the right."""
    x = random_inputs(60, 6) @ random_inputs(6, 6, seed=2)
    weight = random_inputs(1, 6, seed=3)
    moment = x.double().T @ x.double()
    found = compensated(weight, inverse_root(moment), gone / 6)
    assert int((found == 0).sum()) == gone
    lost = int((found[0] == 0).nonzero()[0])
    if gone == 1:  # everything before it stays, everything after it is free
        free = list(range(lost + 1, 6))
        rest = (weight.double() - weight.double() * (torch.arange(6) < lost))[0]
        best = torch.linalg.lstsq(x.double()[:, free], x.double() @ rest).solution
        torch.testing.assert_close(found[0, free], best, rtol=1e-6, atol=1e-8)
    worst = max(error(weight, weight * ~mask(places), x) for places in combinations(range(6), gone))
    assert error(weight, found, x) < worst


def mask(places: tuple[int, ...]) -> Tensor:
    return torch.zeros(6, dtype=torch.bool).index_fill(0, torch.tensor(places), True)


@pytest.mark.parametrize("amount", [0.5, 0.8])
def test_making_up_for_what_went_is_nearer_than_leaving_it(amount: float) -> None:
    x = random_inputs(500, 160) @ (torch.eye(160) + 0.1 * random_inputs(160, 160, seed=5))
    weight = random_inputs(20, 160, seed=6)
    moment = damped((x.double().T @ x.double())[None], 0.1)[0]
    found = compensated(weight, inverse_root(moment), amount)
    plain = weight * row_mask(row_ranks(weight.abs()), amount)
    assert int((found == 0).sum()) == round(amount * weight.numel())
    assert error(weight, found, x) < 0.9 * error(weight, plain, x)


def test_zeros_that_were_there_stay() -> None:
    weight = random_inputs(10, 30) * (random_inputs(10, 30, seed=9) > 0)
    x = random_inputs(90, 30, seed=4).double()
    assert (compensated(weight, inverse_root(x.T @ x), 0.2)[weight == 0] == 0).all()


def test_a_weight_that_is_stored_the_other_way_round_gives_the_same() -> None:
    weight, x = random_inputs(10, 30), random_inputs(90, 30, seed=4).double()
    turned = weight.T.contiguous().T
    assert not turned.is_contiguous()
    root = inverse_root(x.T @ x)
    assert torch.equal(compensated(turned, root, 0.4), compensated(weight, root, 0.4))


def test_what_layers_are_given_is_added_up_over_batches() -> None:
    net = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
    inputs = random_inputs(600, 5)
    context = Context.of(explored(net, inputs), torch.device("cpu"))
    moments = input_moments(net, context, 600)
    torch.testing.assert_close(moments["0"][0], (inputs.T @ inputs / 600).double(), rtol=1e-4, atol=1e-5)
    hidden = net[1](net[0](inputs)).detach()
    torch.testing.assert_close(moments["2"][0], (hidden.T @ hidden / 600).double(), rtol=1e-4, atol=1e-5)

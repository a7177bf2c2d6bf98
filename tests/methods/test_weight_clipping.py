from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from engine.methods.weight_clipping import clip_by_formula, group_threshold, hard_threshold, soft_threshold
from tests.methods.nets import edited, linear, random_inputs

WEIGHT = [[0.5, -0.2, 0.02], [0.0, -0.05, 1.0]]
BY_HAND = {
    "formula": [[0.4, -0.1, -0.08], [0.0, 0.05, 0.9]],
    "soft_threshold": [[0.4, -0.1, 0.0], [0.0, 0.0, 0.9]],
    "hard_threshold": [[0.5, -0.2, 0.0], [0.0, 0.0, 1.0]],
}


@pytest.mark.parametrize("form", BY_HAND)
def test_each_form_by_hand(form: str) -> None:
    variant = edited(
        linear(WEIGHT, [0.3, -0.01]), [["weight_clipping", {"form": form, "alpha": 0.1}]], torch.ones(2, 3)
    )
    torch.testing.assert_close(variant.weight, nn.Parameter(torch.tensor(BY_HAND[form])))
    assert variant.bias.tolist() == pytest.approx([0.3, -0.01])  # one dimension: stays


def test_the_formula_flips_the_sign_of_small_weights_and_makes_no_zeros() -> None:
    weight = random_inputs(40, 50)
    after = clip_by_formula(weight, 0.5)
    small = weight.abs() < 0.5
    assert torch.equal(after.sign() == -weight.sign(), small)
    assert (after != 0).all()


@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.7, 2.5])
def test_soft_threshold_is_what_minimises_half_the_squared_distance_plus_alpha_times_the_size(alpha: float) -> None:
    weight = random_inputs(60)
    grid = torch.linspace(-4, 4, 16_001)  # half a thousandth apart, zero among them
    costs = 0.5 * (grid[:, None] - weight[None, :]).square() + alpha * grid.abs()[:, None]
    best: Tensor = grid[costs.argmin(0)]
    torch.testing.assert_close(soft_threshold(weight, alpha), best, atol=5e-4, rtol=0)
    assert torch.equal(soft_threshold(weight, alpha) == 0, weight.abs() <= alpha)


@pytest.mark.parametrize("alpha", [0.1, 0.7, 2.5])
def test_hard_threshold_is_what_minimises_the_distance_and_a_price_for_not_being_zero(alpha: float) -> None:
    weight = random_inputs(60)
    cost = 0.5 * alpha**2 * torch.ones(60)  # of staying as it is; of going, half its square
    best = torch.where(0.5 * weight.square() < cost, 0.0, weight)
    assert torch.equal(hard_threshold(weight, alpha), best)


@pytest.mark.parametrize("alpha", [0.1, 0.7, 2.5])
def test_group_threshold_is_where_no_step_lowers_its_cost(alpha: float) -> None:
    weight = random_inputs(20, 9).double()
    found = group_threshold(weight, alpha)

    def cost(x: Tensor) -> Tensor:
        return 0.5 * (x - weight).square().sum(1) + alpha * 3 * x.norm(dim=1)

    for seed in range(50):
        assert (cost(found + 1e-3 * random_inputs(20, 9, seed=seed).double()) >= cost(found)).all()
    assert torch.equal((found == 0).all(1), weight.norm(dim=1) <= 3 * alpha)


def test_clamp_leaves_no_weight_above_its_limit_and_touches_no_other() -> None:
    net = nn.Sequential(linear([[0.5, -3.0], [7.0, 0.1]]))
    variant = edited(net, [["weight_clipping", {"form": "clamp", "limit": 1.0}]], torch.ones(2, 2))
    assert torch.equal(variant[0].weight.detach(), torch.tensor([[0.5, -1.0], [1.0, 0.1]]))


def test_scale_std_takes_alpha_times_each_layers_own_deviation() -> None:
    net = nn.Sequential(linear([[1.0, -1.0], [3.0, -3.0]]), linear([[10.0, -10.0], [30.0, -30.0]]))
    recipe = [["weight_clipping", {"form": "soft_threshold", "alpha": 0.5, "scale": "std"}]]
    variant = edited(net, recipe, torch.ones(2, 2))
    left = 3 - 0.5 * 5**0.5  # the deviation of 1, −1, 3, −3 around 0 is √5; 1 is less than half of that
    torch.testing.assert_close(variant[0].weight.detach(), torch.tensor([[0.0, 0.0], [left, -left]]))
    torch.testing.assert_close(variant[1].weight.detach(), torch.tensor([[0.0, 0.0], [10 * left, -10 * left]]))


def test_convolutions_are_clipped_and_norms_are_not() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 3))
    variant = edited(net, [["weight_clipping", {"alpha": 3.0}]], random_inputs(2, 1, 4, 4))
    assert not variant[0].weight.any()
    assert not variant[3].weight.any()
    assert torch.equal(variant[1].weight, net[1].weight)
    assert torch.equal(variant[3].bias, net[3].bias)

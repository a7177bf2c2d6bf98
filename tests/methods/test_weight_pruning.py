from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from engine import Recipe
from engine.edit.surgery import weights
from engine.methods.weight_pruning import prune_by_formula
from tests.methods.nets import edited, linear, random_inputs
from tests.tiny import tiny

AMOUNTS = [0.0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99]


def pruned(net: nn.Module, form: str, amount: float, inputs: Tensor) -> nn.Module:
    return edited(net, [["weight_pruning", {"form": form, "amount": amount}]], inputs)


@pytest.mark.parametrize(
    ("alpha", "wanted"),
    [(0.5, [[1.0, -3.0], [0.0, 2.0]]), (1.0, [[0.0, -4.0], [0.0, 0.0]]), (0.0, [[2.0, -2.0], [0.0, 4.0]])],
)
def test_the_formula_by_hand(alpha: float, wanted: list[list[float]]) -> None:
    net = linear([[2.0, -2.0], [0.0, 4.0]], [1.0, -1.0])
    variant = edited(net, [["weight_pruning", {"form": "formula", "alpha": alpha}]], torch.ones(2, 2))
    assert variant.weight.tolist() == wanted
    assert variant.bias.tolist() == [1.0, -1.0]


@pytest.mark.parametrize("alpha", [1e-6, 0.1, 0.5, 0.9, 0.999999])
def test_the_formula_makes_no_zeros_below_one_and_shifts_the_mean_down(alpha: float) -> None:
    weight = random_inputs(40, 50)
    after = prune_by_formula(weight, alpha)
    assert (after != 0).all()
    torch.testing.assert_close(after.mean(), weight.mean() - alpha * weight.abs().mean())


def test_at_one_every_positive_weight_is_zero_and_every_negative_one_doubled() -> None:
    weight = random_inputs(40, 50)
    after = prune_by_formula(weight, 1.0)
    assert torch.equal(after == 0, weight > 0)
    assert torch.equal(after[weight < 0], 2 * weight[weight < 0])


@pytest.mark.parametrize("amount", AMOUNTS)
def test_per_layer_exactly_the_rounded_share_of_the_smallest_goes(amount: float) -> None:
    net = tiny("conv").model()
    variant = pruned(net, "magnitude_layer", amount, tiny("conv").example)
    after = dict(weights(variant))
    for name, before in weights(net):
        gone = after[name] == 0
        assert int(gone.sum()) == round(amount * before.numel()), name
        _check_order(before.abs().flatten(), gone.flatten())
        assert torch.equal(after[name][~gone], before[~gone])


@pytest.mark.parametrize("amount", AMOUNTS)
def test_globally_exactly_the_rounded_share_of_the_smallest_goes(amount: float) -> None:
    net = tiny("conv").model()
    variant = pruned(net, "magnitude_global", amount, tiny("conv").example)
    before = torch.cat([w.flatten() for _, w in weights(net)])
    after = torch.cat([w.flatten() for _, w in weights(variant)])
    gone = after == 0
    assert int(gone.sum()) == round(amount * len(before))
    if amount < 0.99:  # then what each layer keeps in any case is less than what it keeps anyhow
        _check_order(before.abs(), gone)
    assert torch.equal(after[~gone], before[~gone])


def _check_order(sizes: Tensor, gone: Tensor) -> None:
    if gone.any() and not gone.all():
        assert sizes[gone].max() <= sizes[~gone].min()


@pytest.mark.parametrize("form", ["magnitude_layer", "magnitude_global"])
@pytest.mark.parametrize("amount", AMOUNTS)
def test_counts_are_exact_among_equal_sizes_and_the_earlier_goes_first(form: str, amount: float) -> None:
    net = linear([[1.0, -1.0, 1.0], [-1.0, 1.0, 1.0]])
    after = pruned(net, form, amount, torch.ones(2, 3)).weight.flatten()
    goes = round(amount * 6)
    assert (after == 0).tolist() == [True] * goes + [False] * (6 - goes)


def test_layers_differ_from_the_whole() -> None:
    net = nn.Sequential(linear([[1.0, 2.0], [3.0, 4.0]]), linear([[10.0, 20.0], [30.0, 40.0]]))
    apart = pruned(net, "magnitude_layer", 0.5, torch.ones(2, 2))
    together = pruned(net, "magnitude_global", 0.5, torch.ones(2, 2))
    assert [layer.weight.flatten().tolist() for layer in apart] == [[0, 0, 3, 4], [0, 0, 30, 40]]
    assert [layer.weight.flatten().tolist() for layer in together] == [
        [0, 0, 0, 4],
        [0, 20, 30, 40],
    ]  # one weight stays of each layer


def test_a_tied_weight_counts_once() -> None:
    workload = tiny("tied")
    variant = Recipe.of([["weight_pruning", {"form": "magnitude_global", "amount": 0.5}]]).apply(workload, device="cpu")
    held = [w for _, w in weights(variant)]
    assert sum(int((w == 0).sum()) for w in held) == round(0.5 * sum(w.numel() for w in held))


def test_zeros_count_among_the_smallest_so_that_pruning_twice_is_pruning_once() -> None:
    workload, half = tiny("linear"), ["weight_pruning", {"amount": 0.5}]
    once, twice = (Recipe.of([half] * n).apply(workload, device="cpu") for n in (1, 2))
    assert all(torch.equal(a, b) for a, b in zip(once.parameters(), twice.parameters(), strict=True))

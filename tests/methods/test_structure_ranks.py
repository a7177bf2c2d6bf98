"""Ranks by energy and by budget, against every choice there is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from engine import CannotApply, Recipe
from engine.edit.factors import split_layers
from engine.edit.ranks import Curve, budget_ranks, energy_rank, most_saved
from engine.edit.slopes import output_slopes
from engine.edit.surgery import tied
from tests.methods.nets import context_of, edited, explored, random_inputs
from tests.methods.structures import mixed, size, step
from tests.tiny import tiny


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("model", ["linear", "residual", "attention", "tied"])
def test_each_layer_keeps_the_lowest_rank_that_holds_the_energy(model: str, share: float) -> None:
    net = tiny(model).model()
    variant = Recipe.of(step("energy", energy=share, metric="weights")).apply(tiny(model), device="cpu")
    for path, layer in split_layers(net, tied(net)).items():
        values = torch.linalg.svdvals(layer.weight.detach().flatten(1).double()).square()
        held = [float(values[:r].sum() / values.sum()) for r in range(1, len(values) + 1)]
        rank = next(r for r, part in enumerate(held, 1) if part >= share - 1e-9)
        m, n = layer.weight.flatten(1).shape
        now = variant.get_submodule(path)
        assert isinstance(now, nn.Sequential) == (rank * (m + n) < m * n)
        if isinstance(now, nn.Sequential):
            assert len(now[0].weight) == rank


def test_all_of_the_energy_is_the_full_rank() -> None:
    energy = torch.tensor([4.0, 1.0, 0.0, 0.0], dtype=torch.float64)
    assert [energy_rank(energy, share) for share in (0.0, 0.79, 0.8, 0.81, 0.999, 1.0)] == [1, 1, 1, 2, 2, 4]


def curves(seed: int) -> dict[str, Curve]:
    dice = torch.Generator().manual_seed(seed)
    shapes = [(4, 9), (6, 6), (12, 3), (2, 2)]
    return {
        str(i): Curve.of(s, torch.rand(min(s), generator=dice, dtype=torch.float64).pow(4).sort(descending=True)[0])
        for i, s in enumerate(shapes)
    }


def total(found: dict[str, Curve], ranks: dict[str, int]) -> tuple[int, float]:
    """Parameters and energy lost."""
    left, lost = 0, 0.0
    for path, curve in found.items():
        m, n = curve.shape
        rank = ranks.get(path)
        left += m * n if rank is None else rank * (m + n)
        lost += 0.0 if rank is None else curve.lost[rank - 1]
    return left, lost


def every_choice(found: dict[str, Curve]) -> list[tuple[int, float]]:
    choices = [
        [None, *(r for r in range(1, len(c.lost) + 1) if r * sum(c.shape) < c.shape[0] * c.shape[1])]
        for c in found.values()
    ]
    return [
        total(found, {p: r for p, r in zip(found, chosen, strict=True) if r is not None})
        for chosen in product(*choices)
    ]


@pytest.mark.parametrize("seed", range(8))
def test_the_ranks_are_those_that_lose_least(seed: int) -> None:
    """All that a line from below can touch, of every choice of ranks there is, is found; what lies between saves enough
    and stays above that line by one step at most."""
    found = curves(seed)
    cloud = every_choice(found)
    whole = max(left for left, _ in cloud)
    assert most_saved(found) == whole - min(left for left, _ in cloud)
    prices = {
        (b[1] - a[1]) / (a[0] - b[0]) for a in cloud for b in cloud if a[0] > b[0] and b[1] > a[1]
    }  # fmt: skip
    for price in sorted(prices)[::7]:
        left, lost = min(cloud, key=lambda one: (one[1] + price * 1.000001 * one[0], one[0]))
        got = total(found, budget_ranks(found, whole - left))
        assert got[0] == left
        assert got[1] == pytest.approx(lost, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_as_much_goes_as_was_asked_for_and_hardly_more(seed: int) -> None:
    found = curves(seed)
    whole = sum(c.shape[0] * c.shape[1] for c in found.values())
    before = whole
    for saved in range(0, most_saved(found) + 1):
        left, _ = total(found, budget_ranks(found, saved))
        assert left <= before  # never less goes for more
        assert saved <= whole - left < saved + max(sum(c.shape) for c in found.values())
        before = left
    assert budget_ranks(found, 0) == {}


@pytest.mark.parametrize("metric", ["weights", "layer", "model"])
@pytest.mark.parametrize("amount", [0.1, 0.3, 0.5])
def test_a_share_of_the_whole_model_goes(metric: str, amount: float) -> None:
    variant = Recipe.of(step("budget", amount=amount, metric=metric, examples=64)).apply(tiny("residual"), device="cpu")
    whole = size(tiny("residual").model())
    assert amount * whole - 0.5 <= whole - size(variant) < amount * whole + 81


def test_more_than_rank_one_saves_is_refused_with_the_most_that_it_saves() -> None:
    net = tiny("tied").model()
    most = size(net) - size(Recipe.of(step("low_rank", rank=0.0)).apply(tiny("tied"), device="cpu"))
    with pytest.raises(CannotApply, match=rf"must save at most {most} of the {size(net)} parameters") as caught:
        Recipe.of(step("budget", amount=0.9)).apply(tiny("tied"), device="cpu")
    assert ", got " in str(caught.value)
    variant = Recipe.of(step("budget", amount=most / size(net))).apply(tiny("tied"), device="cpu")
    assert size(net) - size(variant) == most


class Halves(nn.Module):
    """Two layers side by side; of what the second gives hardly anything arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.loud, self.quiet = nn.Linear(16, 16), nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.loud(x)) + 1e-3 * torch.tanh(self.quiet(x))


def test_the_layer_goes_first_that_the_outputs_do_not_hang_on() -> None:
    net, inputs = Halves(), random_inputs(64, 16)
    variant = edited(net, step("budget", amount=0.3), inputs)
    assert type(variant.loud) is nn.Linear
    assert isinstance(variant.quiet, nn.Sequential)
    said = Recipe.of(step("budget", amount=0.3)).steps[0].treats(net, "loud")
    assert said == (True, "the others save enough; of it, two factors pay up to rank 7 of 16")
    both = edited(net, step("budget", amount=0.3, metric="weights"), inputs)
    assert isinstance(both.loud, nn.Sequential)


class Unread(nn.Module):
    """What one of its layers gives is read by nothing that has a derivative."""

    def __init__(self) -> None:
        super().__init__()
        self.choice, self.table, self.out = nn.Linear(16, 16), nn.Embedding(16, 16), nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.relu(self.table(self.choice(x).argmax(1))))


def test_what_is_not_known_is_left_alone() -> None:
    net, inputs = Unread(), random_inputs(64, 16)
    variant = edited(net, step("budget", amount=0.1), inputs)
    assert type(variant.choice) is nn.Linear
    assert isinstance(variant.out, nn.Sequential)


def test_the_slopes_are_those_of_the_jacobian() -> None:
    net = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Flatten(1), nn.Linear(12, 4)).double()
    inputs = random_inputs(4000, 2, 5).double()
    context = context_of(explored(net, inputs))
    found = output_slopes(net, context, 4000, ["0", "3"])
    hidden = net[0](inputs).detach()
    wanted = torch.zeros(6, 6, dtype=torch.float64)
    for place in range(2):
        weight = net[3].weight.detach().view(4, 2, 6)[:, place]  # outputs, nodes
        slope = weight * (1 - torch.tanh(hidden[:, place]).square())[:, None]  # n, outputs, nodes
        wanted += torch.einsum("noa,nob->ab", slope, slope) / 4000
    assert float((found["0"] - wanted).norm() / wanted.norm()) < 0.06
    assert float((found["3"] - torch.eye(4, dtype=torch.float64)).norm()) < 0.15


def test_the_models_outputs_are_nearer_by_their_own_metric() -> None:
    net = nn.Sequential(nn.Linear(24, 32), nn.GELU(), nn.Linear(32, 32), nn.GELU(), nn.Linear(32, 6))
    inputs = mixed(200, 24, shift=0.5).float() * 3
    off = {}
    for metric in ("weights", "layer", "model"):
        variant = edited(net, step("budget", amount=0.4, metric=metric, examples=200), inputs)
        with torch.no_grad():
            off[metric] = float((variant(inputs) - net(inputs)).square().mean())
    assert off["model"] < off["layer"] < off["weights"]

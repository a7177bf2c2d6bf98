"""Rotation to the principal axes, then a slice: two factors, or fewer nodes where nothing stands between two layers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from engine import Context, Recipe
from engine.copying import structural_copy
from engine.edit.absorbing import absorb, direct_pairs
from engine.edit.calibration import what_is_given
from tests.methods.nets import context_of, edited, explored, random_inputs
from tests.states import contents
from tests.tiny import tiny


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def rotated(rank: float, examples: int = 200) -> list[object]:
    return [["structure_optimization", {"form": "rotated", "rank": rank, "examples": examples}]]


def axes_of(rows: Tensor, rank: int, centred: bool) -> tuple[Tensor, Tensor]:
    """The mean (0 where not centred) and the first principal axes, by singular values of the rows themselves."""
    mean = rows.mean(0) if centred else torch.zeros(rows.shape[1], dtype=rows.dtype)
    return mean, torch.linalg.svd(rows - mean, full_matrices=False).Vh[:rank].T


@pytest.mark.parametrize("bias", [True, False])
def test_two_factors_compute_on_what_the_axes_hold(bias: bool) -> None:
    net = nn.Sequential(nn.Linear(20, 16, bias=bias)).double()
    inputs = random_inputs(200, 20).double() * torch.logspace(0, -2, 20, dtype=torch.float64) + 0.3
    variant = edited(net, rotated(0.25), inputs)
    mean, axes = axes_of(inputs, 4, bias)
    assert [part.weight.shape for part in variant[0]] == [(4, 20), (16, 4)]  # type: ignore[index]
    with torch.no_grad():
        torch.testing.assert_close(variant(inputs), net(mean + (inputs - mean) @ axes @ axes.T))


class Chain(nn.Module):
    """Three linear layers, of which the first two have only dropout between them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(12, 10), nn.Linear(10, 14), nn.Linear(14, 3)
        self.between, self.nothing = nn.Dropout(0.5), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.third(torch.relu(self.second(self.nothing(self.between(self.first(x))))))


def test_nodes_between_two_layers_go_and_no_layer_comes() -> None:
    net, inputs = Chain().double(), random_inputs(200, 12).double()
    variant = sliced(net, inputs, 0.4)
    with torch.no_grad():
        middle = net.first(inputs)
        mean, axes = axes_of(middle, 4, True)
        wanted = net.third(torch.relu(net.second(mean + (middle - mean) @ axes @ axes.T)))
        torch.testing.assert_close(variant(inputs), wanted)
    assert [variant.first.out_features, variant.second.in_features] == [4, 4]
    assert [variant.first.weight.shape, variant.second.weight.shape] == [(4, 12), (14, 4)]
    assert len(list(variant.modules())) == len(list(net.modules()))


def test_what_was_sliced_is_not_split_and_what_was_not_is() -> None:
    net, inputs = Chain(), random_inputs(200, 12)
    variant = edited(net, rotated(0.4), inputs)
    assert type(variant.second) is nn.Linear
    assert variant.second.weight.shape == (14, 4)
    assert [part.weight.shape for part in variant.first] == [(2, 12), (4, 2)]  # of the 4 nodes that are left of it
    assert [part.weight.shape for part in variant.third] == [(1, 14), (3, 1)]


@pytest.mark.parametrize("kind", ["linear", "turned", "conv", "kernel"])
def test_nothing_is_lost_where_the_nodes_between_move_in_few_directions(kind: str) -> None:
    """Of 10 nodes between the layers only 4 mixtures vary, about a mean where there is no padding."""
    if kind in ("linear", "turned"):
        first, second, inputs = nn.Linear(12, 10), nn.Linear(10, 14), random_inputs(200, 12)
        low = random_inputs(10, 4) @ random_inputs(4, 12, seed=2)
    else:
        padded = {"padding": 1} if kind == "kernel" else {}
        first = nn.Conv2d(3, 10, 2, bias=kind == "conv")
        second = nn.Conv2d(10, 14, 3 if kind == "kernel" else 1, **padded)
        inputs = random_inputs(100, 3, 6, 6)
        low = (random_inputs(10, 4) @ random_inputs(4, 12, seed=2)).view(10, 3, 2, 2)
    first.weight = nn.Parameter(low / 3)
    if kind == "turned":
        first, second = as_turned(first), as_turned(second)
    net = nn.Sequential(first, second, nn.ReLU(), nn.Flatten())
    variant = sliced(net, inputs, 0.4)
    made = [part.weight.shape[::-1] if kind == "turned" else part.weight.shape for part in variant[:2]]  # type: ignore[index]
    assert [shape[0] for shape in made] == [4, 14]
    assert made[1][1] == 4
    torch.testing.assert_close(variant(inputs), net(inputs), atol=1e-4, rtol=1e-4)


def test_a_node_counts_by_itself_at_each_place_of_a_kernel() -> None:
    """A chequerboard is much, though its places cancel each other out."""
    first, second = nn.Conv2d(2, 2, 1, bias=False), nn.Conv2d(2, 3, 2)
    first.weight = nn.Parameter(torch.eye(2).view(2, 2, 1, 1))
    board = torch.tensor([1.0, -1.0]).repeat(3)
    signs = random_inputs(60, 2, 1, 1).sign()
    inputs = torch.stack([3 * torch.outer(board, board), torch.ones(6, 6)]) * signs
    variant = sliced(nn.Sequential(first, second, nn.Flatten()), inputs, 0.5)
    wanted = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
    torch.testing.assert_close(variant[0].weight.detach().abs(), wanted, atol=0.2, rtol=0)  # type: ignore[index]


def sliced(net: nn.Module, inputs: Tensor, share: float) -> nn.Module:
    """The net with nothing done to it but the slices between its layers."""
    context = context_of(explored(net, inputs))
    made = structural_copy(context.original)
    given = what_is_given(made, context, len(inputs))
    pairs = direct_pairs(made, context)
    assert absorb(made, pairs, given, share) == {second for _, second in pairs} != set()
    return made


def as_turned(layer: nn.Linear) -> nn.Module:
    from transformers.pytorch_utils import Conv1D

    made = Conv1D(*layer.weight.shape)
    made.weight, made.bias = nn.Parameter(layer.weight.detach().T.contiguous()), layer.bias
    return made


class Forked(nn.Module):
    """What the first layer gives is read by the second, and by something else."""

    def __init__(self, other: str) -> None:
        super().__init__()
        self.other = other
        self.first, self.second, self.third = nn.Linear(12, 10), nn.Linear(10, 10), nn.Linear(10, 10)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        if self.other == "before":
            return y.tanh() + self.second(y)
        z = self.second(y)
        return {"after": lambda: z + y, "layer": lambda: z + self.third(y), "twice": lambda: z + self.second(y + 1)}[
            self.other
        ]()


def chain_of(*parts: nn.Module) -> nn.Module:
    return nn.Sequential(*parts)


NO_PAIRS = {
    "relu between": lambda: chain_of(nn.Linear(12, 10), nn.ReLU(), nn.Linear(10, 3)),
    "norm between": lambda: chain_of(nn.Linear(12, 10), nn.LayerNorm(10), nn.Linear(10, 3)),
    **{f"read elsewhere, {other}": partial(Forked, other) for other in ("before", "after", "layer", "twice")},
}


@pytest.mark.parametrize("name", NO_PAIRS)
def test_where_something_else_stands_or_reads_there_nothing_is_absorbed(name: str) -> None:
    net = NO_PAIRS[name]().eval()
    context = context_of(explored(net, random_inputs(30, 12)))
    assert direct_pairs(net, context) == []


def test_shared_layers_are_no_pair() -> None:
    net = chain_of(nn.Linear(12, 12), nn.Linear(12, 12), nn.Linear(12, 12))
    net[2].weight = net[0].weight  # type: ignore[index]
    assert direct_pairs(net, context_of(explored(net, random_inputs(30, 12)))) == []


def test_pairs_in_a_row() -> None:
    net, inputs = chain_of(nn.Linear(12, 10), nn.Linear(10, 9), nn.Linear(9, 8), nn.ReLU()), random_inputs(60, 12)
    context = context_of(explored(net, inputs))
    assert direct_pairs(net, context) == [("0", "1"), ("1", "2")]
    variant = Recipe.of(rotated(0.5, 60)).apply_in(context)
    assert [variant[1].weight.shape, variant[2].weight.shape] == [(4, 5), (8, 4)]  # type: ignore[index]


@pytest.mark.parametrize("model", ["linear", "conv", "attention", "own_attention", "residual"])
def test_a_trial_leaves_the_model_as_it_was(model: str) -> None:
    context = Context.of(tiny(model), torch.device("cpu"))
    before = contents(context.original)
    direct_pairs(context.original, context)
    assert contents(context.original) == before


def test_a_repair_leaves_mixed_nodes_alone_and_solves_what_reads_them() -> None:
    net, inputs = Chain(), random_inputs(300, 12)
    context = context_of(explored(net, inputs))
    recipe = [*rotated(0.8, 300), ["repair", {"examples": 300, "ridge": 1e-6}]]
    cut, repaired = Recipe.of(rotated(0.8, 300)).apply_in(context), Recipe.of(recipe).apply_in(context)
    assert torch.equal(cut.first.weight, repaired.first.weight)
    assert not torch.equal(cut.third.weight, repaired.third.weight)
    with torch.no_grad():
        far = [float((model(inputs) - net(inputs)).square().mean()) for model in (cut, repaired)]
    assert far[1] < far[0]

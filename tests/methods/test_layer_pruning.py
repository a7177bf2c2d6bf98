from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from engine import CannotApply, Recipe
from engine.edit.blocks import find_blocks
from engine.edit.scores import block_influence
from tests.methods.nets import Listening, context_of, edited, explored, linear, random_inputs
from tests.tiny import tiny

X = random_inputs(40, 4)


class Chain(nn.Module):
    """Blocks with a skip around each, and a head."""

    def __init__(self, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class Skipping(nn.Module):
    """x + strength · L(x)."""

    def __init__(self, strength: float) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.strength = strength

    def forward(self, x: Tensor) -> Tensor:
        return x + self.strength * self.inner(x)


def chain(*strengths: float) -> Chain:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return Chain([Skipping(strength) for strength in strengths])


def only(net: Chain, stay: list[int]) -> nn.Module:
    """The net with these blocks alone."""
    cut = copy.deepcopy(net)
    cut.blocks = nn.ModuleList(cut.blocks[i] for i in stay)
    return cut


def left(net: nn.Module, values: dict[str, object], inputs: Tensor = X) -> nn.Module:
    return edited(net, [["layer_pruning", values]], inputs)


@pytest.mark.parametrize(
    ("alpha", "stay"), [(0.25, [0, 1, 2]), (0.5, [0, 1]), (0.7, [0]), (0.99, [0]), (0.1, [0, 1, 2, 3])]
)
def test_the_formula_drops_the_last_layers_and_one_stays(alpha: float, stay: list[int]) -> None:
    net = chain(1, 1, 1, 1)
    assert torch.equal(left(net, {"form": "formula", "alpha": alpha})(X), only(net, stay)(X))


@pytest.mark.parametrize("place", range(4))
def test_a_block_that_does_nothing_goes_first(place: int) -> None:
    strengths = [1.0, 1.0, 1.0, 1.0]
    strengths[place] = 0.0
    net = chain(*strengths)
    assert torch.equal(left(net, {"form": "block_influence", "amount": 0.25})(X), net(X))


def test_blocks_go_in_the_order_of_their_influence() -> None:
    net = chain(0.3, 0.1, 2.0, 0.01)  # the last turns its input least, then the second, the first, the third
    for amount, stay in [(0.25, [0, 1, 2]), (0.5, [0, 2]), (0.75, [2]), (0.99, [2])]:
        assert torch.equal(left(net, {"form": "block_influence", "amount": amount})(X), only(net, stay)(X))


@pytest.mark.parametrize(
    ("after", "wanted"), [([0.0, 1.0], 1.0), ([2.0, 0.0], 0.0), ([-1.0, 0.0], 2.0), ([1.0, 1.0], 1 - 2**-0.5)]
)
def test_influence_by_hand(after: list[float], wanted: float) -> None:
    before = torch.tensor([[1.0, 0.0]])
    assert float(block_influence(before, torch.tensor([after]), per_place=True)) == pytest.approx(wanted)


def test_influence_is_the_mean_over_places_for_tokens_and_over_pictures_for_channels() -> None:
    before, after = random_inputs(3, 5, 4), random_inputs(3, 5, 4, seed=2)
    cosine = nn.functional.cosine_similarity
    tokens = 1 - sum(float(cosine(before[i, j], after[i, j], dim=0)) for i in range(3) for j in range(5)) / 15
    pictures = 1 - sum(float(cosine(before[i].flatten(), after[i].flatten(), dim=0)) for i in range(3)) / 3
    assert float(block_influence(before, after, per_place=True)) == pytest.approx(tokens, rel=1e-5)
    assert float(block_influence(before, after, per_place=False)) == pytest.approx(pictures, rel=1e-5)


@pytest.mark.parametrize("form", ["formula", "block_influence"])
@pytest.mark.parametrize(("model", "blocks"), [("residual", 3), ("attention", 2), ("own_attention", 2), ("linear", 1)])
def test_exactly_the_rounded_share_goes_and_one_stays(form: str, model: str, blocks: int) -> None:
    workload, name = tiny(model), {"formula": "alpha"}.get(form, "amount")
    assert len(find_blocks(workload.model(), workload.example)) == blocks
    for share in (0.0, 0.2, 0.34, 0.5, 0.67, 0.99):
        variant = Recipe.of([["layer_pruning", {"form": form, name: share}]]).apply(workload, device="cpu")
        left_over = find_blocks(variant, workload.example)
        assert len(left_over) == max(1, blocks - round(share * blocks))


def test_the_layers_that_stay_are_the_originals_own_and_the_others_weights_are_gone() -> None:
    workload = tiny("attention")
    variant = Recipe.of([["layer_pruning", {"amount": 0.5}]]).apply(workload, device="cpu")
    assert len(variant.encoder.layers) == 1
    one = sum(p.numel() for p in variant.encoder.layers[0].parameters())
    assert sum(p.numel() for p in variant.parameters()) == sum(p.numel() for p in workload.model().parameters()) - one


def test_layers_are_counted_for_the_slider() -> None:
    context = context_of(tiny("residual"))
    assert Recipe.of(["layer_pruning"]).steps[0].things(context.original, context) == 3


def test_influence_is_taken_on_as_many_examples_as_asked() -> None:
    seen: list[int] = []
    net = chain(1, 1)
    context = context_of(explored(net, X), Listening())
    context.original.blocks[0].register_forward_hook(lambda _, given, __: seen.append(len(given[0])))
    Recipe.of([["layer_pruning", {"amount": 0.5, "examples": 17}]]).apply_in(context)
    assert 17 in seen
    assert max(seen) == 17


def test_a_model_without_such_layers_is_refused() -> None:
    net = nn.Sequential(linear([[1.0, 0.0]], [0.0]), linear([[1.0], [2.0], [3.0]]))
    with pytest.raises(CannotApply, match="must find layers whose input and output shapes agree, got none"):
        left(net, {"amount": 0.5}, torch.ones(3, 2))

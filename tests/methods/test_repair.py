"""Layers solved for what they gave: laws on nets where the answer is known, and figures on the shipped ones."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from engine import CannotApply, Context, Recipe, Workload
from engine.copying import structural_copy
from engine.edit.repairing import Repair
from engine.edit.surgery import skip_module
from engine.examples import batches_of, run
from sample_models import load
from tests.methods.nets import edited, explored, random_inputs
from tests.tiny import MAKERS, tiny

CLOSE = {"rtol": 1e-3, "atol": 1e-4}
SURELY = {"examples": 64, "ridge": 1e-8}


class Summed(nn.Module):
    """x + A·x, then x + B·x, then a head: without the first branch the second can be all of both."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(nn.Linear(width, width)) for _ in range(2))
        self.head = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        for branch in self.branches:
            x = x + branch(x)
        return self.head(x)


class Widened(nn.Module):
    """Forty hidden nodes that are mixtures of four: any four of them say as much."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.norm, self.down = nn.Linear(8, 40, bias=False), nn.BatchNorm1d(40), nn.Linear(40, 3)
        with torch.no_grad():
            self.up.weight.copy_(torch.randn(40, 4) @ torch.randn(4, 8))

    def forward(self, x: Tensor) -> Tensor:
        return self.down(self.norm(self.up(x)))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.LSTM(4, 3, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)[0][:, -1]


def seeded(make: type[nn.Module] | object, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make().eval()  # type: ignore[operator]


@torch.inference_mode()
def outputs(net: nn.Module, inputs: Tensor) -> Tensor:
    return run(net, inputs)


@pytest.mark.parametrize("model", MAKERS)
@pytest.mark.parametrize("match", ["component", "layer"])
def test_what_has_not_changed_stays(model: str, match: str) -> None:
    workload = tiny(model)
    recipe = Recipe.of([["repair", {"match": match, "examples": 32}]])
    x = workload.test[0]
    torch.testing.assert_close(outputs(recipe.apply(workload, device="cpu"), x), outputs(workload.model(), x), **CLOSE)


def test_nodes_that_others_can_stand_for_are_no_loss() -> None:
    net, x = seeded(Widened), random_inputs(200, 8)
    cut = edited(net, [["node_pruning", {"amount": 0.8}]], x)
    assert cut.up.weight.shape == (8, 8)
    assert (outputs(cut, x) - outputs(net, x)).abs().max() > 0.1
    mended = edited(net, [["node_pruning", {"amount": 0.8}], ["repair", SURELY]], x)
    torch.testing.assert_close(outputs(mended, x), outputs(net, x), rtol=1e-2, atol=1e-3)


def test_the_next_branch_makes_up_for_a_removed_one() -> None:
    net, x = seeded(Summed), random_inputs(200, 6)
    removed = copy.deepcopy(net)
    skip_module(removed, "branches.0")
    context = Context.of(explored(net, x), torch.device("cpu"))
    step = Recipe.of([["repair", SURELY]]).step(0)
    mended = step.edit(copy.deepcopy(removed), context)
    torch.testing.assert_close(outputs(mended, x), outputs(net, x), rtol=1e-2, atol=1e-2)
    alone = step.with_value("match", "layer").edit(copy.deepcopy(removed), context)
    assert (outputs(alone, x) - outputs(net, x)).abs().mean() < (outputs(removed, x) - outputs(net, x)).abs().mean()


def test_a_single_layer_is_the_least_squares_solution() -> None:
    net, x = seeded(lambda: nn.Sequential(nn.Linear(8, 3), nn.Tanh())), random_inputs(64, 8)
    spoilt = copy.deepcopy(net)
    spoilt[0].weight.data[:, :4] = 0  # half of the inputs are cut off
    step = Recipe.of([["repair", SURELY]]).step(0)
    mended = step.edit(spoilt, Context.of(explored(net, x), torch.device("cpu")))
    design = torch.cat([x[:, 4:], torch.ones(64, 1)], 1).double()
    wanted = torch.linalg.lstsq(design, net[0](x).detach().double()).solution
    torch.testing.assert_close(mended[0].weight[:, 4:].double(), wanted[:4].T, **CLOSE)
    torch.testing.assert_close(mended[0].bias.double(), wanted[4], **CLOSE)
    assert (mended[0].weight[:, :4] == 0).all()


@pytest.mark.parametrize("amount", [0.5, 0.9])
@pytest.mark.parametrize("model", ["linear", "conv", "residual", "depthwise", "attention", "own_attention"])
def test_zeros_stay_zeros_and_the_outputs_come_nearer(model: str, amount: float) -> None:
    workload = tiny(model)
    prune = ["weight_pruning", {"form": "magnitude_layer", "amount": amount}]
    pruned = Recipe.of([prune]).apply(workload, device="cpu")
    mended = Recipe.of([prune, ["repair", {}]]).apply(workload, device="cpu")
    moved = 0
    for before, after in zip(pruned.parameters(), mended.parameters(), strict=True):
        if before.dim() > 1:
            assert (after[before == 0] == 0).all()
            moved += not torch.equal(before, after)
    assert moved
    x, wanted = workload.train[0], outputs(workload.model(), workload.train[0])
    assert (outputs(mended, x) - wanted).square().mean() < (outputs(pruned, x) - wanted).square().mean()


def test_attention_of_torch_is_solved_and_put_together_again() -> None:
    workload = tiny("attention")
    prune = ["weight_pruning", {"form": "magnitude_layer", "amount": 0.5}]
    pruned = Recipe.of([prune]).apply(workload, device="cpu")
    mended = Recipe.of([prune, ["repair", {}]]).apply(workload, device="cpu")
    inner = mended.encoder.layers[0].self_attn
    assert type(inner) is nn.MultiheadAttention
    assert [name for name, _ in mended.named_modules()] == [name for name, _ in pruned.named_modules()]
    for name in ("in_proj_weight", "in_proj_bias"):
        assert not torch.equal(getattr(inner, name), getattr(pruned.encoder.layers[0].self_attn, name))


def test_two_batches_are_nearly_one() -> None:
    workload = tiny("conv")
    cut = ["node_pruning", {"amount": 0.5}]
    x, wanted = workload.train[0], outputs(workload.model(), workload.train[0])
    errors = []
    for batch in (96, 24):
        net = Recipe.of([cut, ["repair", {"examples": 96, "batch_size": batch}]]).apply(workload, device="cpu")
        errors.append(float((outputs(net, x) - wanted).square().mean()))
    alone = float((outputs(Recipe.of([cut]).apply(workload, device="cpu"), x) - wanted).square().mean())
    assert max(errors) < 0.5 * alone


class Normed(nn.Module):
    """A convolution that is read twice, once past its normalisation; a branch of two that ends in a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(3, 12, 3, padding=1)
        self.stem, self.norm = nn.Conv1d(12, 12, 3, padding=1), nn.BatchNorm1d(12)
        self.conv1, self.norm1 = nn.Conv1d(12, 12, 3, padding=1, bias=False), nn.BatchNorm1d(12)
        self.conv2, self.norm2 = nn.Conv1d(12, 12, 3, padding=1, bias=False), nn.BatchNorm1d(12)
        self.head = nn.Linear(12, 4)
        for norm in (self.norm, self.norm1, self.norm2):
            nn.init.normal_(norm.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(torch.relu(self.first(x)))
        y = torch.relu(self.norm(x))
        y = self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(y)))))
        return self.head(torch.relu(x + y).mean(2))


def settled(monkeypatch: pytest.MonkeyPatch, settle: bool) -> tuple[nn.Module, nn.Module, Tensor]:
    """The cut net before and after repair, with or without the last step, and the examples."""
    net, x = seeded(Normed).train(), random_inputs(300, 3, 10)
    for norm in (net.norm, net.norm1, net.norm2):
        norm.momentum = None
    net(x)
    workload = explored(net.eval(), x)
    cut = Recipe.of([["node_pruning", {"amount": 0.5}]]).apply(workload, device="cpu")
    if not settle:
        monkeypatch.setattr(Repair, "settle", lambda _: None)
    step = Recipe.of([["repair", {"examples": 300}]]).step(0)
    return cut, step.edit(structural_copy(cut), Context.of(workload, torch.device("cpu"))), x


def test_a_repaired_net_is_made_fit_for_training_without_a_change_in_what_it_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cut, mended, x = settled(monkeypatch, True)
    torch.testing.assert_close(outputs(mended, x), outputs(settled(monkeypatch, False)[1], x), atol=1e-4, rtol=1e-4)
    for name in ("conv1", "conv2"):
        was, now = (net.get_submodule(name).weight.flatten(1).norm(dim=1) for net in (cut, mended))
        torch.testing.assert_close(now, was, atol=1e-5, rtol=1e-4)
    trained = copy.deepcopy(mended).train()
    torch.testing.assert_close(trained(x), mended(x), atol=0.05, rtol=0.05)


def test_statistics_are_those_of_what_comes_in() -> None:
    net, x = seeded(Widened), random_inputs(400, 8)
    net.norm.running_mean = net.up(x).mean(0).detach()
    net.norm.running_var = net.up(x).var(0, correction=0).detach()
    spoilt = copy.deepcopy(net)
    spoilt.up.weight.data.mul_(3).add_(0.1)
    step = Recipe.of([["repair", {"form": "statistics"}]]).step(0)
    mended = step.edit(spoilt, Context.of(explored(net, x), torch.device("cpu")))
    torch.testing.assert_close(mended.norm.running_mean, mended.up(x).mean(0), **CLOSE)
    torch.testing.assert_close(mended.norm.running_var, mended.up(x).var(0, correction=0), **CLOSE)


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ("least_squares", "repair must find linear layers or convolutions that the original has, too, got none in "
         "by hand: of inner, it is no linear layer or convolution"),
        ("statistics", "repair must find batch normalisation with statistics, got none in by hand"),
    ],
)  # fmt: skip
def test_what_cannot_be_repaired_is_named(form: str, why: str) -> None:
    with pytest.raises(CannotApply, match=why):
        edited(seeded(Recurrent), [["repair", {"form": form}]], random_inputs(20, 5, 4))


STRONG = {
    "fashion_resnet": (["node_pruning", {"amount": 0.5}], 0.2, 0.86),
    "spoken_digits": (["node_pruning", {"amount": 0.5}], 0.2, 0.97),
    "language_transformer": (["layer_pruning", {"amount": 0.5}], 0.89, 0.9),
    "digits_mlp": (["weight_pruning", {"amount": 0.9}], 0.87, 0.95),
}


def accuracy(workload: Workload, recipe: list[object]) -> float:
    """The share of test examples that are right."""
    net, hits = Recipe.of(recipe).apply(workload, device="cpu"), 0
    for x, y in batches_of(workload.test, 256):
        hits += int((outputs(net, x).argmax(1) == y).sum())
    return hits / len(workload.test[1])


@pytest.mark.parametrize("model", STRONG)
def test_it_brings_back_what_a_method_lost(model: str) -> None:
    step, at_most, at_least = STRONG[model]
    workload = load(model)
    assert accuracy(workload, [step]) < at_most
    assert accuracy(workload, [step, "repair"]) > at_least

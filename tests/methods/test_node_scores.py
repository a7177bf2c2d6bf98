"""What a node is worth, against what taking it out really costs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from engine import Context, Recipe
from engine.edit.coupling import find_coupling
from engine.edit.groups import Score
from engine.edit.importance import RIDGE, activations, gradients, reconstruction
from tests.methods.nets import explored, random_inputs
from tests.tiny import tiny

FORMS = ("group_norm", "activation", "taylor", "fisher", "reconstruction", "random")
N = 64


@pytest.fixture
def net() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(5, 7, bias=False), nn.ReLU(), nn.Linear(7, 3, bias=False)).eval()


@pytest.fixture
def inputs() -> Tensor:
    return random_inputs(N, 5)


@pytest.fixture
def context(net: nn.Sequential, inputs: Tensor) -> Context:
    return Context.of(explored(net, inputs, torch.arange(N) % 3), torch.device("cpu"))


def gathered(net: nn.Module, inputs: Tensor, score: Score) -> Tensor:
    (group,) = find_coupling(net, inputs[:1]).groups
    return group.gathered(net, score)


def hidden(net: nn.Sequential, inputs: Tensor) -> Tensor:
    return net[1](net[0](inputs)).detach()


def test_activation_is_the_mean_square_of_what_is_read(net: nn.Sequential, inputs: Tensor, context: Context) -> None:
    found = gathered(net, inputs, activations(net, context, N))
    torch.testing.assert_close(found.float(), hidden(net, inputs).square().mean(0))


def test_taylor_is_the_slope_of_the_loss_along_the_node(net: nn.Sequential, inputs: Tensor, context: Context) -> None:
    found = gathered(net, inputs, gradients(net, context, N, squared=False))
    gate = torch.ones(7, requires_grad=True)
    loss = torch.zeros(())
    order = torch.randperm(N, generator=torch.Generator().manual_seed(0))
    for part in order.split(32):
        loss = loss + context.task.loss(net[2](hidden(net, inputs[part]) * gate), context.train[1][part])
    (slope,) = torch.autograd.grad(loss, gate)
    torch.testing.assert_close(found.float(), 2 * slope, rtol=1e-4, atol=1e-5)  # in the weights before and behind it


def test_fisher_is_never_negative_and_grows_with_the_weights_that_matter(
    net: nn.Sequential, inputs: Tensor, context: Context
) -> None:
    found = gathered(net, inputs, gradients(net, context, N, squared=True))
    assert (found >= 0).all()
    net[2].weight.data[:, 4] = 0  # nothing reads it: nothing is lost
    net[0].weight.data[4] = 0
    context = Context.of(explored(net, inputs, torch.arange(N) % 3), torch.device("cpu"))
    assert gathered(net, inputs, gradients(net, context, N, squared=True))[4] == 0


def test_reconstruction_is_what_least_squares_cannot_make_up_for(
    net: nn.Sequential, inputs: Tensor, context: Context
) -> None:
    found = gathered(net, inputs, reconstruction(net, context, N))
    x = hidden(net, inputs).double()
    least = (RIDGE * x.square().sum(0).mean()).sqrt()
    design = torch.cat([x, least * torch.eye(7, dtype=x.dtype)])
    wanted = design @ net[2].weight.detach().double().T
    for node in range(7):
        others = [i for i in range(7) if i != node]
        fitted = design[:, others] @ torch.linalg.lstsq(design[:, others], wanted).solution
        torch.testing.assert_close(found[node], (wanted - fitted).square().sum() / N, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_leaves_multiples_and_as_many_as_the_others(form: str) -> None:
    step = ["node_pruning", {"form": form, "amount": 0.4, "round_to": 4}]
    variant = Recipe.of([step]).apply(tiny("residual"), device="cpu")
    assert variant.stem.weight.shape[0] == 8  # 5 of 8 would stay
    finer = Recipe.of([[step[0], {**step[1], "round_to": 2}]]).apply(tiny("residual"), device="cpu")
    assert finer.stem.weight.shape[0] == 6

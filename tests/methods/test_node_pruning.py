from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from engine import CannotApply, Recipe
from engine.edit.coupling import find_coupling
from engine.edit.importance import squares
from tests.methods.nets import context_of, edited, linear, random_inputs
from tests.tiny import Residual, settled, tiny

FIRST = [[1.0, 2.0], [0.0, 0.0], [-3.0, 4.0], [0.0, 1.0]]
BIAS = [0.0, 0.0, 1.0, -1.0]
SECOND = [[2.0, 0.0, 12.0, 1.0], [1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]]
X = torch.tensor([[1.0, -2.0], [3.0, 5.0], [0.0, 1.0]])


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.LSTM(4, 8, batch_first=True)
        self.head = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.inner(x)[0][:, -1])


class Gated(nn.Module):
    """One half of a layer's outputs lets the other half through."""

    def __init__(self) -> None:
        super().__init__()
        self.both = nn.Linear(6, 16)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.both(x).chunk(2, dim=-1)
        return self.head(value * torch.sigmoid(gate))


def perceptron() -> nn.Sequential:
    """Two inputs, four hidden nodes of which the second is dead, three outputs; whole numbers, so sums are exact."""
    return nn.Sequential(linear(FIRST, BIAS), nn.ReLU(), linear(SECOND, [0.5, 0.0, 0.0]))


def cut(net: nn.Module, inputs: Tensor = X, **values: object) -> nn.Module:
    return edited(net, [["node_pruning", values]], inputs)


@pytest.mark.parametrize(("alpha", "left"), [(0.25, 3), (0.5, 2), (0.75, 1), (0.99, 1), (0.1, 4)])
def test_the_formula_keeps_the_first_nodes(alpha: float, left: int) -> None:
    variant = cut(perceptron(), form="formula", alpha=alpha)
    assert variant[0].weight.tolist() == FIRST[:left]
    assert variant[0].bias.tolist() == BIAS[:left]
    assert variant[2].weight.tolist() == [row[:left] for row in SECOND]
    assert variant[2].bias.tolist() == [0.5, 0.0, 0.0]


def test_a_dead_node_goes_first_and_the_function_stays_to_the_bit() -> None:
    variant = cut(perceptron(), form="group_norm", amount=0.25)
    assert variant[0].weight.tolist() == [row for i, row in enumerate(FIRST) if i != 1]
    assert torch.equal(variant(X), perceptron()(X))


def test_the_norm_of_a_group_by_hand() -> None:
    (group,) = find_coupling(perceptron(), X[:1]).groups
    wanted = [(1 + 4 + 4 + 1) ** 0.5, 0.0, (9 + 16 + 144) ** 0.5, (1 + 1 + 1) ** 0.5]
    assert group.root == "0"
    assert group.gathered(perceptron(), squares()).sqrt().tolist() == pytest.approx(wanted)


def test_nodes_go_in_the_order_of_their_norm() -> None:
    for amount, stay in [(0.25, [0, 2, 3]), (0.5, [0, 2]), (0.75, [2]), (0.99, [2])]:
        variant = cut(perceptron(), form="group_norm", amount=amount)
        assert variant[0].weight.tolist() == [FIRST[i] for i in stay]


def test_the_norm_in_a_residual_net_runs_over_all_that_the_skip_couples() -> None:
    net = settled(Residual, random_inputs(8, 1, 6, 6))
    groups = {
        g.root: g.gathered(net, squares()).sqrt()
        for g in find_coupling(net, random_inputs(1, 1, 6, 6)).groups
        if g.nodes == 8
    }
    stream = net.stem.weight.detach().square().flatten(1).sum(1) + net.head.weight.detach().square().sum(0)
    for block in net.blocks:
        stream += block.conv1.weight.detach().square().sum((0, 2, 3)) + block.conv2.weight.detach().square().sum(
            (1, 2, 3)
        )
    inner = [
        block.conv1.weight.detach().square().sum((1, 2, 3)) + block.conv2.weight.detach().square().sum((0, 2, 3))
        for block in net.blocks
    ]
    assert len(groups) == 4
    for wanted in (stream, *inner):
        assert any(torch.allclose(norms.float(), wanted.sqrt(), rtol=1e-5) for norms in groups.values())


def test_dead_channels_of_a_residual_net_go_without_a_trace() -> None:
    inputs = random_inputs(8, 1, 6, 6)
    net = settled(Residual, inputs)
    with torch.no_grad():
        for block in net.blocks:
            for tensor in (block.conv1.weight, block.norm1.weight, block.norm1.bias):
                tensor[2] = tensor[5] = 0
            block.conv2.weight[:, [2, 5]] = 0
        for norms in (net.norm, *(block.norm2 for block in net.blocks)):
            norms.weight[[2, 5]] = norms.bias[[2, 5]] = 0
        net.stem.weight[[2, 5]] = 0
        net.head.weight[:, [2, 5]] = 0
        for block in net.blocks:
            block.conv1.weight[:, [2, 5]] = block.conv2.weight[[2, 5]] = 0
    variant = cut(net, inputs, form="group_norm", amount=0.25)
    assert variant.stem.out_channels == variant.blocks[1].conv1.out_channels == 6
    torch.testing.assert_close(variant(inputs), net(inputs), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("form", ["formula", "group_norm"])
@pytest.mark.parametrize("share", [0.05, 0.2, 0.25, 0.4, 0.5, 0.8, 0.99])
def test_of_each_group_exactly_the_rounded_share_goes(form: str, share: float) -> None:
    name = "alpha" if form == "formula" else "amount"
    for model, widths in [
        ("linear", {"0": 16, "2": 16}),
        ("conv", {"0": 8, "3": 12}),
        ("depthwise", {"0": 8, "5": 12}),
    ]:
        workload = tiny(model)
        variant = Recipe.of([["node_pruning", {"form": form, name: share}]]).apply(workload, device="cpu")
        for path, n in widths.items():
            assert len(variant.get_submodule(path).weight) == max(1, n - round(share * n)), (model, path)


def test_each_channel_takes_its_places_along_through_flattening() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(16, 3))
    variant = cut(net, random_inputs(2, 1, 4, 4), form="formula", alpha=0.5)
    assert torch.equal(variant[0].weight, net[0].weight[:2])
    assert torch.equal(variant[2].weight, net[2].weight[:, :8])


def test_protected_layers_keep_their_nodes() -> None:
    workload = tiny("linear")
    variant = Recipe.of([["node_pruning", {"amount": 0.5, "protect": ["0"]}]]).apply(workload, device="cpu")
    assert [variant[i].out_features for i in (0, 2, 4)] == [16, 8, 3]


def test_a_layer_that_is_not_there_cannot_be_protected() -> None:
    with pytest.raises(CannotApply, match=r"must be told layers of by hand to protect, got 'no\.such'"):
        cut(perceptron(), amount=0.5, protect=["no.such"])


@pytest.mark.parametrize("form", ["formula", "group_norm"])
def test_heads_go_and_outputs_tied_weights_and_fixed_views_stay(form: str) -> None:
    name = "alpha" if form == "formula" else "amount"
    recipe = Recipe.of([["node_pruning", {"form": form, name: 0.5}]])
    attention, tied, own = (recipe.apply(tiny(m), device="cpu") for m in ("attention", "tied", "own_attention"))
    assert [layer.self_attn.num_heads for layer in attention.encoder.layers] == [1, 1]
    assert [layer.self_attn.out.weight.shape for layer in attention.encoder.layers] == [(8, 4), (8, 4)]
    assert [layer.linear1.out_features for layer in attention.encoder.layers] == [8, 8]
    assert tied.embed.weight.shape == (11, 8)
    assert tied.up.out_features == 8
    assert [layer[0].qkv.out_features for layer in own.layers] == [24, 24]  # viewed as (3, heads, width // heads)
    assert own.head[0].out_features == 8


def test_grouped_and_recurrent_layers_are_left_alone() -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3, groups=4), nn.Flatten(), nn.Linear(32, 6), nn.Linear(6, 3)
    )  # fmt: skip
    variant = cut(net, random_inputs(2, 1, 6, 6), amount=0.5)
    assert [variant[0].out_channels, variant[1].out_channels, variant[3].out_features] == [8, 8, 3]
    recurrent = cut(Recurrent(), random_inputs(2, 5, 4), amount=0.5)
    assert (recurrent.inner.hidden_size, recurrent.inner.weight_hh_l0.shape) == (8, (32, 8))
    assert recurrent.head[0].out_features == 3


@pytest.mark.parametrize("form", ["formula", "group_norm"])
@pytest.mark.parametrize("share", [0.1, 0.25, 0.3, 0.5, 0.99])
def test_the_two_halves_of_a_gated_unit_are_one_node_each(form: str, share: float) -> None:
    name = "alpha" if form == "formula" else "amount"
    net = Gated()
    variant = cut(net, random_inputs(2, 6), form=form, **{name: share})
    left = max(1, 8 - round(share * 8))
    assert (variant.both.out_features, variant.head.in_features) == (2 * left, left)
    if form == "formula":
        assert torch.equal(variant.both.weight, net.both.weight[[*range(left), *range(8, 8 + left)]])


def test_the_norm_of_a_gated_units_node_has_both_halves() -> None:
    net = Gated()
    (group,) = find_coupling(net, random_inputs(1, 6)).groups
    rows = net.both.weight.detach().square().sum(1)
    wanted = (rows[:8] + rows[8:] + net.head.weight.detach().square().sum(0)).sqrt()
    torch.testing.assert_close(group.gathered(net, squares()).sqrt().float(), wanted)


@pytest.mark.parametrize("wrapped", [weight_norm, spectral_norm])
def test_a_layer_whose_weight_is_computed_is_left_alone(wrapped: Callable[[nn.Module], nn.Module]) -> None:
    net = nn.Sequential(wrapped(nn.Linear(6, 8)), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))
    variant = cut(net, random_inputs(4, 6), amount=0.5)
    assert [variant[i].out_features for i in (0, 2, 4)] == [8, 4, 3]


def test_nodes_are_counted_for_the_slider() -> None:
    context = context_of(tiny("linear"))
    assert Recipe.of(["node_pruning"]).steps[0].things(context.original, context) == 32


def test_a_model_without_hidden_nodes_is_refused() -> None:
    with pytest.raises(CannotApply, match="must find nodes that can be cut, got none"):
        cut(linear(FIRST, BIAS), amount=0.5)

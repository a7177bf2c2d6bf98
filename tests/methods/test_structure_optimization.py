from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from engine import CannotApply, Recipe
from engine.edit.ranks import rank_of
from engine.edit.surgery import weights
from tests.methods.nets import edited, linear, random_inputs
from tests.states import contents, shapes
from tests.tiny import tiny


def of_rank(net: nn.Module, form: str, rank: float, inputs: Tensor) -> nn.Module:
    return edited(net, [["structure_optimization", {"form": form, "rank": rank}]], inputs)


def best_of_rank(weight: Tensor, rank: int) -> Tensor:
    """Eckart and Young: nothing of that rank is nearer."""
    u, s, vh = torch.linalg.svd(weight.detach().flatten(1).double(), full_matrices=False)
    return (u[:, :rank] * s[:rank] @ vh[:rank]).float().view_as(weight)


def test_the_formula_by_hand() -> None:
    net = linear([[3.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 1.0]])
    variant = of_rank(net, "formula", 0.67, torch.ones(2, 3))
    wanted = torch.diag(torch.tensor([3.0, 2.0, 0.0]))
    torch.testing.assert_close(variant.weight.detach(), wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize("model", ["linear", "conv", "residual", "attention", "tied", "depthwise"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.9])
def test_the_formula_is_the_best_of_its_rank_and_no_smaller(model: str, share: float) -> None:
    workload = tiny(model)
    recipe = Recipe.of([["structure_optimization", {"form": "formula", "rank": share}]])
    variant = recipe.apply(workload, device="cpu")
    after = dict(weights(variant))
    for name, weight in weights(workload.model()):
        rank = max(1, round(share * min(weight.flatten(1).shape)))
        torch.testing.assert_close(after[name].detach(), best_of_rank(weight, rank), atol=2e-6, rtol=1e-4)
        assert torch.linalg.matrix_rank(after[name].detach().flatten(1), rtol=1e-4) <= rank
    assert shapes(variant) == shapes(workload.model())


@pytest.mark.parametrize(("share", "wanted"), [(0.0, 1), (0.1, 1), (0.25, 2), (0.5, 4), (1.0, 8)])
def test_the_rank_is_a_share_of_the_smaller_side_and_at_least_one(share: float, wanted: int) -> None:
    assert rank_of(share, (8, 20)) == rank_of(share, (20, 8)) == wanted


LAYERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "linear": (nn.Linear(20, 12), (5, 20)),
    "linear-on-tokens": (nn.Linear(20, 12, bias=False), (5, 3, 20)),
    "conv1d": (nn.Conv1d(5, 12, 4, stride=2, padding=3, dilation=2), (2, 5, 17)),
    "conv2d": (nn.Conv2d(4, 12, 3, padding=1), (2, 4, 9, 9)),
    "conv2d-stride-dilation": (nn.Conv2d(4, 12, (3, 2), stride=(2, 1), padding=(2, 0), dilation=(1, 2)), (2, 4, 9, 9)),
    "conv2d-same": (nn.Conv2d(4, 12, 3, padding="same", bias=False), (2, 4, 9, 9)),
    "conv2d-circular": (nn.Conv2d(4, 12, 3, padding=1, padding_mode="circular"), (2, 4, 9, 9)),
    "conv3d": (nn.Conv3d(2, 12, 2, stride=2), (2, 2, 6, 6, 6)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_two_thin_layers_compute_what_the_projected_one_computes(name: str) -> None:
    layer, shape = LAYERS[name]
    net, inputs = nn.Sequential(layer, nn.Flatten(1)), random_inputs(*shape)
    dense, thin = of_rank(net, "formula", 0.25, inputs), of_rank(net, "low_rank", 0.25, inputs)
    torch.testing.assert_close(thin(inputs), dense(inputs), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(thin[0].weight, dense[0].weight, atol=1e-5, rtol=1e-4)
    m, n = layer.weight.flatten(1).shape
    bias = 0 if layer.bias is None else m
    assert sum(p.numel() for p in thin.parameters()) == 3 * (m + n) + bias


@pytest.mark.parametrize("rank", range(1, 13))
def test_a_layer_is_split_only_below_its_break_even_rank(rank: int) -> None:
    net = nn.Linear(20, 12)  # pays below 12 · 20 / 32 = 7.5
    variant = of_rank(net, "low_rank", rank / 12, torch.ones(2, 20))
    if rank <= 7:
        assert [tuple(part.weight.shape) for part in variant] == [(rank, 20), (12, rank)]
    else:
        assert contents(variant) == contents(net)
        assert type(variant) is nn.Linear


def test_tied_grouped_and_attentions_own_layers_are_left_alone() -> None:
    tied, depthwise, attention = (
        Recipe.of([["structure_optimization", {"rank": 0.0}]]).apply(tiny(m), device="cpu")
        for m in ("tied", "depthwise", "attention")
    )
    assert type(tied.out) is nn.Linear
    assert type(tied.up) is not nn.Linear
    assert depthwise[2].weight.shape == (8, 1, 3, 3)
    original = tiny("attention").model()
    for was, now in zip(original.encoder.layers, attention.encoder.layers, strict=True):
        assert torch.equal(now.self_attn.out_proj.weight, was.self_attn.out_proj.weight)
        assert torch.equal(now.self_attn.in_proj_weight, was.self_attn.in_proj_weight)
        assert now.linear1[0].weight.shape == (1, 8)


def test_the_thin_layers_of_an_encoder_are_really_run() -> None:
    """torch's fast path would read the product of both and compute as before."""
    workload = tiny("attention")
    variant = Recipe.of([["structure_optimization", {"rank": 0.25}]]).apply(workload, device="cpu")
    runs: list[nn.Module] = []
    for layer in variant.encoder.layers:
        thin = layer.linear1[0]  # a hook would itself send torch down the ordinary path
        thin.forward = lambda x, thin=thin: runs.append(thin) or nn.functional.linear(x, thin.weight)
    with torch.inference_mode():
        variant(workload.example)
    assert runs == [layer.linear1[0] for layer in variant.encoder.layers]


def test_at_full_rank_of_the_needed_directions_nothing_is_lost() -> None:
    weight = random_inputs(12, 2) @ random_inputs(2, 20, seed=2)  # of rank 2
    net = linear(weight.tolist(), [0.5] * 12)
    inputs = random_inputs(6, 20)
    variant = of_rank(net, "low_rank", 2 / 12, inputs)
    torch.testing.assert_close(variant(inputs), net(inputs), atol=1e-5, rtol=1e-5)


def test_a_model_without_such_layers_is_refused() -> None:
    net = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.Flatten())
    with pytest.raises(CannotApply, match="must find linear layers or convolutions in one group, got none"):
        of_rank(net, "low_rank", 0.25, random_inputs(2, 4, 4, 4))

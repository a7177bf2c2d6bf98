from __future__ import annotations

import pytest
import torch
from safetensors.torch import load
from safetensors.torch import save as save_tensors
from torch import nn

from engine import Recipe
from engine.metrics.size import is_finite, saved_bytes, signature, size_figures, structural
from tests.methods.nets import linear
from tests.tiny import MAKERS, tiny


def figures(model: nn.Module) -> dict[str, int]:
    return {name: estimate.value for name, estimate in size_figures(model).items()}


COUNTS = {
    "linear": (nn.Linear(7, 5), 7 * 5 + 5),
    "no bias": (nn.Linear(7, 5, bias=False), 35),
    "conv": (nn.Conv2d(4, 6, (3, 2), groups=2), 6 * 2 * 6 + 6),
    "norm": (nn.BatchNorm2d(6), 12),
    "embedding": (nn.Embedding(11, 4), 44),
    "attention": (nn.MultiheadAttention(8, 2), 3 * 8 * 8 + 3 * 8 + 8 * 8 + 8),
    "encoder": (nn.TransformerEncoderLayer(8, 2, 16), 4 * 64 + 32 + 2 * 8 * 16 + 24 + 32),
    "recurrent": (nn.LSTM(5, 3), 4 * 3 * (5 + 3 + 2)),
}


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_in_closed_form(name: str) -> None:
    model, wanted = COUNTS[name]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.5)
    found = figures(model)
    assert found["parameters"] == found["nonzero"] == found["structural"] == wanted
    for estimate in size_figures(model).values():
        assert estimate.low == estimate.value == estimate.high


def test_a_tied_weight_counts_once() -> None:
    model = tiny("tied").model()
    wanted = 11 * 8 + (8 * 16 + 16) + (16 * 8 + 8)
    found = figures(model)
    assert found["parameters"] == found["nonzero"] == found["structural"] == wanted
    loose = tiny("tied").model()
    loose.out.weight = nn.Parameter(loose.out.weight.detach().clone())
    assert saved_bytes(loose) - saved_bytes(model) >= 4 * 88


def test_nonzero_is_exact() -> None:
    assert figures(linear([[0.0, 1.0, -0.0], [1e-30, 0.0, 2.0]], [0.0, 3.0]))["nonzero"] == 4


STRUCTURES = {
    "nothing to drop": (linear([[0.0, 1.0], [1.0, 0.0]], [1.0, 1.0]), 6),
    "a row": (linear([[0.0, 0.0], [1.0, 1.0], [1.0, 0.0]]), 4),
    "a bias keeps its row": (linear([[0.0, 0.0], [1.0, 1.0]], [1.0, 1.0]), 6),
    "a row with its bias": (linear([[0.0, 0.0], [1.0, 1.0]], [0.0, 1.0]), 3),
    "a column": (linear([[0.0, 1.0, 2.0], [0.0, 3.0, 0.0]], [1.0, 1.0]), 6),
    "a row and a column": (linear([[0.0, 0.0, 0.0], [0.0, 3.0, 1.0], [0.0, 1.0, 1.0]], [0.0, 1.0, 1.0]), 6),
    "all": (linear([[0.0, 0.0], [0.0, 0.0]], [0.0, 0.0]), 0),
    "all but biases": (linear([[0.0, 0.0], [0.0, 0.0]], [0.0, 1.0]), 1),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_structural_drops_what_is_all_zero(name: str) -> None:
    model, wanted = STRUCTURES[name]
    assert structural(model) == wanted


def test_structural_drops_whole_channels_and_no_single_weights() -> None:
    conv = nn.Conv2d(3, 4, 3)
    with torch.no_grad():
        for parameter in conv.parameters():
            parameter.fill_(1.0)
        conv.weight[1] = 0  # an output channel, its bias stays
        conv.weight[2] = conv.bias[2] = 0  # one with its bias
        conv.weight[:, 0] = 0  # an input channel
        conv.weight[3, 1, 0, 0] = 0
    assert structural(conv) == 3 * 2 * 9 + 3


def test_structural_of_a_norm_drops_channels_that_are_zero_in_both() -> None:
    norm = nn.BatchNorm2d(4)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, 0.0, 0.0, 1.0]))
        norm.bias.copy_(torch.tensor([1.0, 1.0, 0.0, 0.0]))
    assert structural(norm) == 6


@pytest.mark.parametrize("model", MAKERS)
def test_structural_lies_between_nonzero_and_all(model: str) -> None:
    for amount in (0.0, 0.5, 0.95):
        variant = Recipe.of([["weight_pruning", {"amount": amount}]]).apply(tiny(model), device="cpu")
        found = figures(variant)
        assert found["nonzero"] <= found["structural"] <= found["parameters"]


@pytest.mark.parametrize("model", [name for name in MAKERS if name != "tied"])
def test_bytes_are_those_of_the_saved_file(model: str) -> None:
    state = tiny(model).model().state_dict()
    saved = save_tensors(state)
    assert figures(tiny(model).model())["size_bytes"] == len(saved)
    assert load(saved).keys() == state.keys()


def test_models_with_the_same_shapes_have_the_same_signature_and_others_not() -> None:
    workload = tiny("conv")
    original = signature(workload.model())

    def of(*recipe: object) -> str:
        return signature(Recipe.of(list(recipe)).apply(workload, device="cpu"))

    assert of(["weight_pruning", {"amount": 0.5}]) == of(["weight_clipping", {"alpha": 0.1}]) == original
    narrow = of(["node_pruning", {"amount": 0.5}])
    thin = of(["structure_optimization", {"rank": 0.25}])
    assert len({original, narrow, thin}) == 3
    assert of(["node_pruning", {"form": "formula", "alpha": 0.5}]) == narrow


def test_a_setting_of_a_layer_is_in_the_signature() -> None:
    assert signature(nn.Conv2d(3, 4, 3, padding=1)) != signature(nn.Conv2d(3, 4, 3, padding=2))
    assert signature(nn.Sequential(nn.Linear(3, 3), nn.ReLU())) != signature(nn.Sequential(nn.Linear(3, 3), nn.GELU()))
    assert signature(nn.Linear(3, 3).double()) != signature(nn.Linear(3, 3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_finite_is_what_every_number_is(dtype: torch.dtype) -> None:
    largest = torch.finfo(dtype).max
    for numbers in ([1.0, -2.0], [largest] * 8, [-largest] * 8, [largest, -largest, 0.0], []):
        assert is_finite(torch.tensor(numbers, dtype=dtype))
    for numbers in ([1.0, torch.inf], [torch.inf, -torch.inf], [torch.nan, 1.0], [largest, largest, torch.inf]):
        assert not is_finite(torch.tensor(numbers, dtype=dtype))
    assert is_finite(torch.tensor([1, 2]))
    assert is_finite(None)

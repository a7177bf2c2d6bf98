"""Single weights before and after, and how many things a step acts on."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor, nn

from engine import CannotApply, Recipe, UnknownName, Workload, count_things, layer_names
from engine.microscope import BINS, SAMPLE, WeightView, view_weights
from sample_models import load
from tests.tiny import tiny

BIG = 2.0**100


def one_layer(weight: Tensor) -> nn.Module:
    """A net whose only layer, `0.weight`, has these numbers."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    layer.weight = nn.Parameter(weight)
    return nn.Sequential(layer)


def seen(before: Tensor, after: Tensor) -> WeightView:
    return view_weights(one_layer(before), one_layer(after), "0.weight")


def rows(numbers: list[float]) -> Tensor:
    return torch.tensor([numbers], dtype=torch.float32)


@given(
    st.lists(st.tuples(st.floats(-BIG, BIG, width=32), st.floats(-BIG, BIG, width=32)), min_size=1, max_size=40),
)
@example([(100.0, 100.0)])
@example([(0.0, 0.0)])
@example([(-3e7, -3e7), (-3e7, -3e7)])
def test_every_weight_is_in_one_bin(pairs: list[tuple[float, float]]) -> None:
    view = seen(rows([w for w, _ in pairs]), rows([f for _, f in pairs]))
    assert sum(view.before) == sum(view.after) == len(pairs)
    assert view.n == (len(pairs), len(pairs))
    assert len(view.edges) == BINS + 1
    assert all(a <= b for a, b in itertools.pairwise(view.edges))


def test_zeros_and_flipped_signs_are_counted_exactly() -> None:
    before = torch.tensor([[0.5, -0.25, 0.0], [1.0, -1.0, -0.0]])
    after = torch.tensor([[-0.5, -0.2, 0.0], [0.0, 1.0, 2.0]])
    view = seen(before, after)
    assert view.zeros == (2, 2)
    assert view.flipped == 2  # 0.5 and -1; what is or becomes zero has no sign to change
    assert view.reason == ""
    assert sorted(view.curve) == view.curve
    assert view.curve == [(-1.0, 1.0), (-0.25, pytest.approx(-0.2)), (0.0, 0.0), (0.0, 2.0), (0.5, -0.5), (1.0, 0.0)]


def test_the_curve_of_many_weights_is_a_sample_with_both_ends() -> None:
    before = torch.linspace(-1, 1, 3000).view(30, 100)
    view = seen(before, before * 2)
    assert len(view.curve) == SAMPLE
    assert view.curve[0] == (-1.0, -2.0)
    assert view.curve[-1] == (1.0, 2.0)
    assert all(f == 2 * w for w, f in view.curve)


def test_another_shape_has_counts_and_a_reason_but_no_curve() -> None:
    view = seen(torch.ones(4, 3), torch.zeros(2, 3))
    assert view.n == (12, 6)
    assert view.zeros == (0, 6)
    assert (view.flipped, view.curve) == (None, [])
    assert view.reason == "the layer's shape changed from [4, 3] to [2, 3]"
    assert (sum(view.before), sum(view.after)) == (12, 6)


def test_a_layer_that_is_gone_has_its_own_numbers_and_a_reason(digits: Workload) -> None:
    original = digits.model()
    variant = Recipe.of([["layer_pruning", {"form": "formula", "alpha": 0.5}]]).apply(digits)
    view = view_weights(original, variant, "blocks.3.up.weight")
    assert view.n == (128 * 256, 0)
    assert sum(view.before) == 128 * 256
    assert (view.after, view.curve, view.flipped) == ([], [], None)
    assert view.reason == "the layer is not in the variant any more"


def test_a_factored_layer_shows_the_product_of_its_factors(digits: Workload) -> None:
    recipe = Recipe.of([["structure_optimization", {"form": "low_rank", "rank": 0.2}]])
    variant = recipe.apply(digits)
    view = view_weights(digits.model(), variant, "blocks.0.up.weight")
    factors = variant.blocks[0].up
    product = (factors[1].weight @ factors[0].weight).detach()
    assert view.n == (product.numel(), product.numel())
    assert view.reason == ""
    wanted = digits.model().blocks[0].up.weight.detach().flatten()
    pairs = dict(zip(wanted.tolist(), product.flatten().tolist(), strict=True))
    assert view.curve == [(w, pytest.approx(pairs[w])) for w, _ in view.curve]
    assert any(abs(w - f) > 1e-3 for w, f in view.curve)


def test_a_layer_of_another_name_is_refused(digits: Workload) -> None:
    model = digits.model()
    for name in ("nowhere", "first", "first.bias", ""):
        with pytest.raises(UnknownName, match=r"^layer must be one of "):
            view_weights(model, model, name)


def test_the_layers_are_the_weights_in_order(digits: Workload) -> None:
    names = layer_names(digits)
    assert names[0] == "first.weight"
    assert names[-1] == "head.weight"
    assert len(names) == 2 + 2 * 4
    assert not [name for name in names if name.endswith("bias")]


@pytest.mark.parametrize(
    ("model", "recipe", "things"),
    [
        ("digits_mlp", [["layer_pruning", {}]], 4),
        ("fashion_resnet", [["layer_pruning", {}]], 3 + 4 + 4),
        ("digits_mlp", [["node_pruning", {}]], 128 + 4 * 256),
        ("digits_mlp", [["layer_pruning", {"amount": 0.5}], ["node_pruning", {}]], 128 + 2 * 256),
        ("digits_mlp", [["parameter_optimization", {"steps": 10_000}], ["layer_pruning", {}]], 4),
        ("digits_mlp", [["weight_pruning", {}]], None),
    ],
)
def test_things_are_what_the_net_has(model: str, recipe: list[object], things: int | None) -> None:
    assert count_things(load(model), Recipe.of(recipe), len(recipe) - 1) == things


def test_a_model_that_a_step_refuses_is_not_counted(digits: Workload) -> None:
    everything = [name.removesuffix(".weight") for name in layer_names(digits)]
    with pytest.raises(CannotApply, match=r"^node_pruning must find nodes that can be cut, got none in digits_mlp$"):
        count_things(digits, Recipe.of([["node_pruning", {"protect": everything}]]), 0)


def test_where_there_is_nothing_to_act_on_the_count_is_zero() -> None:
    assert count_things(tiny("conv"), Recipe.of([["layer_pruning", {}]]), 0) == 0

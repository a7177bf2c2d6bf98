from __future__ import annotations

import pytest
import torch
from torch import nn

from engine import CannotApply, InvalidInput, Recipe, UnknownName, count_things, layer_names
from engine.microscope import BINS, SAMPLE, training_seconds, view_weights
from tests.methods.nets import context_of, linear
from tests.states import Held
from tests.tiny import tiny


def applied(model: str, *recipe: object) -> tuple[nn.Module, nn.Module]:
    return tiny(model).model(), Recipe.of(list(recipe)).apply(tiny(model), device="cpu")


def test_a_layer_before_and_after_by_hand() -> None:
    before, after = linear([[1.0, -2.0], [0.0, 4.0]]), linear([[-1.0, -2.0], [0.0, 0.0]])
    view = view_weights(before, after, "weight")
    assert (view.n, view.zeros, view.flipped) == ((4, 4), (1, 2), 1)
    assert view.curve == [(-2.0, -2.0), (0.0, 0.0), (1.0, -1.0), (4.0, 0.0)]
    assert sum(view.before) == sum(view.after) == 4
    assert len(view.edges) == BINS + 1
    assert view.edges[0] < -2 < 4 < view.edges[-1]
    assert not view.reason


def test_the_formula_of_clipping_flips_exactly_the_small_weights() -> None:
    original, variant = applied("conv", ["weight_clipping", {"form": "formula", "alpha": 0.1}])
    view = view_weights(original, variant, "3.weight")
    weight = original[3].weight
    assert view.flipped == int(((weight.abs() < 0.1) & (weight != 0)).sum())
    assert len(view.curve) == SAMPLE
    assert [w for w, _ in view.curve] == sorted(w for w, _ in view.curve)


def test_a_layer_of_another_shape_or_that_is_gone_has_a_reason() -> None:
    narrow = view_weights(*applied("linear", ["node_pruning", {"amount": 0.5}]), "2.weight")
    assert narrow.n == (256, 64)
    assert narrow.flipped is None
    assert narrow.curve == []
    assert narrow.reason == "the layer's shape changed from [16, 16] to [8, 8]"
    gone = view_weights(
        *applied("residual", ["layer_pruning", {"form": "formula", "alpha": 0.5}]), "blocks.2.conv1.weight"
    )
    assert (gone.n[1], gone.after, gone.flipped) == (0, [], None)
    assert gone.reason == "the layer is not in the variant any more"


def test_of_a_factored_layer_the_product_is_shown() -> None:
    original, variant = applied("linear", ["structure_optimization", {"rank": 0.25}])
    view = view_weights(original, variant, "2.weight")
    assert view.n == (256, 256)
    assert torch.linalg.matrix_rank(variant[2].weight.detach()) == 4
    assert not view.reason


def test_only_weights_of_two_or_more_dimensions_have_a_name_here() -> None:
    assert layer_names(tiny("conv")) == ["0.weight", "3.weight", "8.weight"]
    original = tiny("conv").model()
    for name in ("0.bias", "nope", ""):
        with pytest.raises(UnknownName, match=r"layer must be one of 0\.weight, 3\.weight, 8\.weight; got "):
            view_weights(original, original, name)


@pytest.mark.parametrize(
    ("recipe", "index", "wanted"),
    [
        (["layer_pruning"], 0, 3),
        (["node_pruning"], 0, 32),
        (["weight_pruning"], 0, None),
        ([["layer_pruning", {"amount": 0.67}], "layer_pruning"], 1, 1),
        ([["node_pruning", {"amount": 0.5}], "node_pruning"], 1, 16),
        ([["parameter_optimization", {"steps": 10_000}], "layer_pruning"], 1, 3),
    ],
)
def test_things_are_counted_after_the_steps_before(recipe: list[object], index: int, wanted: int | None) -> None:
    assert count_things(tiny("residual"), Recipe.of(recipe), index) == wanted


def test_a_step_that_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidInput, match="a step must be one of the recipe's"):
        count_things(tiny("residual"), Recipe(), 0)
    with pytest.raises(CannotApply):
        count_things(tiny("conv"), Recipe.of([["node_pruning", {"protect": ["nope"]}]]), 0)


def test_the_price_of_a_training_grows_with_its_steps_and_nothing_is_kept_of_it() -> None:
    context = context_of(tiny("conv"))
    before = Held.of(context.original)

    def price(steps: int) -> float:
        return training_seconds(Recipe.of(["weight_pruning", ["parameter_optimization", {"steps": steps}]]), context)

    assert price(0) == 0
    assert 0 < price(100) < price(5000)
    assert training_seconds(Recipe.of(["weight_pruning"]), context) == 0
    assert Held.of(context.original) == before

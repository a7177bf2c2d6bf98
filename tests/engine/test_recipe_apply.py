"""Recipes as deeds: order, what is kept between points, and what a broken step becomes."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from engine import BrokenVariant, CannotApply, Context, Effect, Form, Method, Recipe, UnknownName
from engine.copying import structural_copy
from engine.edit.surgery import replace_parameters
from tests.methods.nets import edited, explored, random_inputs
from tests.states import contents
from tests.tiny import tiny

PRUNE = ["weight_pruning", {"amount": 0.5}]
NARROW = ["node_pruning", {"amount": 0.5}]
TRAIN = ["parameter_optimization", {"steps": 3, "batch_size": 32}]


def method_that(does: Callable[[nn.Module], nn.Module]) -> Method:
    """A method of no catalogue."""

    class Made(Method):
        name, title, family, coefficients, default_form = "made", "Made", "compression", (), "formula"
        forms = (Form("formula", (), Effect(frozenset({"values"})), "x", "Made.", "here"),)

        def edit(self, model: nn.Module, context: Context) -> nn.Module:
            return does(model)

    return Made()


def context_of(model: str = "linear") -> Context:
    return Context.of(tiny(model), torch.device("cpu"))


def test_steps_are_applied_in_their_order() -> None:
    one, other = Recipe.of([PRUNE, NARROW]), Recipe.of([NARROW, PRUNE])
    first, second = (recipe.apply(tiny("linear"), device="cpu") for recipe in (one, other))
    assert contents(first) != contents(second)
    again = Recipe.of([NARROW]).apply_in(replace(context_of(), original=Recipe.of([PRUNE]).apply_in(context_of())))
    assert contents(first) == contents(again)


def test_what_is_kept_of_a_training_is_the_same_as_training_again() -> None:
    context = context_of("conv")
    other = ["parameter_optimization", {"steps": 2, "batch_size": 32}]
    tails = [[TRAIN, PRUNE], [TRAIN, ["weight_pruning", {"amount": 0.9}]], [TRAIN], [TRAIN, TRAIN, NARROW], [other]]
    for tail in tails:
        kept = Recipe.of(tail).apply_in(context)
        assert contents(kept) == contents(Recipe.of(tail).apply(tiny("conv"), device="cpu"))


def test_a_training_is_done_once_for_the_points_of_a_sweep_behind_it() -> None:
    runs: list[nn.Module] = []
    context = context_of()
    step = method_that(lambda model: runs.append(model) or model)  # type: ignore[func-returns-value]
    object.__setattr__(step.forms[0], "needs", frozenset({"training"}))
    for amount in (0.1, 0.5, 0.9):
        Recipe((step, *Recipe.of([["weight_pruning", {"amount": amount}]]).steps)).apply_in(context)
    assert len(runs) == 1


def test_another_seed_is_another_training() -> None:
    context = context_of()
    first = Recipe.of([TRAIN]).apply_in(context)
    assert contents(Recipe.of([TRAIN]).apply_in(replace(context, seed=1))) != contents(first)
    assert contents(Recipe.of([TRAIN]).apply_in(context)) == contents(first)


def test_a_variant_belongs_to_whoever_asked_for_it() -> None:
    context = context_of()
    first = Recipe.of([TRAIN]).apply_in(context)
    before = contents(first)
    replace_parameters(first, {p: torch.zeros_like(p) for p in first.parameters()})
    assert contents(Recipe.of([TRAIN]).apply_in(context)) == before


def test_whether_a_recipe_trains() -> None:
    assert Recipe.of([PRUNE, TRAIN]).trains
    assert not Recipe.of([PRUNE, ["parameter_optimization", {"steps": 0}]]).trains
    assert not Recipe.of([PRUNE, NARROW]).trains


def with_a_number(number: float) -> Callable[[nn.Module], nn.Module]:
    def change(model: nn.Module) -> nn.Module:
        weight = next(model.parameters())
        replace_parameters(model, {weight: torch.full_like(weight, number)})
        return model

    return change


def raising(error: Exception) -> Callable[[nn.Module], nn.Module]:
    def fail(_: nn.Module) -> nn.Module:
        raise error

    return fail


class Narrow(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)[:, :2]


@pytest.mark.parametrize(
    ("does", "said"),
    [
        (with_a_number(float("nan")), r"step 0 \(made\) must leave finite weights, got .* in 0\.weight"),
        (with_a_number(float("inf")), r"step 0 \(made\) must leave finite weights, got .* in 0\.weight"),
        (
            raising(RuntimeError("sizes differ\nand more")),
            r"step 0 \(made\) must leave a model that runs, got: sizes differ$",
        ),
        (Narrow, r"the recipe must keep the outputs' shape \(2, 3\), got \(2, 2\)"),
        (
            lambda model: nn.Sequential(model, nn.Linear(99, 3)),
            "the recipe must leave a model that runs, got: .*shapes",
        ),
    ],
)
def test_a_step_that_breaks_the_model_is_a_named_error(does: Callable[[nn.Module], nn.Module], said: str) -> None:
    with pytest.raises(BrokenVariant, match=said):
        Recipe((method_that(does),)).apply(tiny("linear"), device="cpu")


def test_a_methods_own_refusal_comes_through() -> None:
    with pytest.raises(CannotApply, match="made must not be used"):
        Recipe((method_that(raising(CannotApply("made must not be used, got used"))),)).apply(
            tiny("linear"), device="cpu"
        )


def test_a_methods_own_fault_is_not_hidden() -> None:
    with pytest.raises(KeyError):
        Recipe((method_that(raising(KeyError("a mistake in the method"))),)).apply(tiny("linear"), device="cpu")


def test_a_device_that_is_not_there_is_refused() -> None:
    for device in ("cuda:99", "tpu", "gpu", ""):
        with pytest.raises(UnknownName, match=r"device must be one of cpu.*; got "):
            Recipe().apply(tiny("linear"), device=device)


def test_a_structural_copy_shares_tensors_but_not_modules() -> None:
    original = tiny("tied").model()
    copied = structural_copy(original)
    assert copied is not original
    assert {id(p) for p in copied.parameters()} == {id(p) for p in original.parameters()}
    assert {id(b) for b in copied.buffers()} == {id(b) for b in original.buffers()}
    assert not {id(m) for m in copied.modules()} & {id(m) for m in original.modules()}
    assert copied.out.weight is copied.embed.weight
    assert contents(copy.deepcopy(copied)) == contents(original)


class Masked(nn.Module):
    """A buffer of its own holds minus infinity, as masks do."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.head = nn.Linear(4, 6), nn.Linear(6, 3)
        self.register_buffer("ahead", torch.full((3,), -math.inf))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.inner(x)))


def test_what_a_model_itself_holds_that_is_not_finite_is_no_fault_of_a_step() -> None:
    net = Masked()
    assert edited(net, [NARROW], random_inputs(4, 4)).inner.out_features < 6
    with pytest.raises(BrokenVariant, match=r"must leave finite weights, got others in head\.bias"):
        Recipe((method_that(with_infinite_bias),)).apply(explored(net, random_inputs(4, 4)), device="cpu")


def with_infinite_bias(model: nn.Module) -> nn.Module:
    replace_parameters(model, {model.head.bias: torch.full((3,), math.inf)})
    return model

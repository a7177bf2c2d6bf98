"""Any method can follow any other, and recipes that share a context, as the points of a sweep do, do not meet."""

from __future__ import annotations

from functools import cache
from itertools import product

import pytest
import torch

from engine import Context, Form, Method, Recipe
from tests.contract.cases import METHODS, by_default, every_form, gentle
from tests.states import Held, contents
from tests.tiny import tiny

PAIRS = list(product(METHODS, METHODS))
OTHER = {
    "steps": 2,
    "batch_size": 16,
    "examples": 16,
    "round_to": 2,
    "n": 1,
    "m": 8,
    "patience": 2,
    "every": 1,
}  # beside the gentle ones of the cases


@cache
def shared_context(model: str) -> Context:
    return Context.of(tiny(model), torch.device("cpu"))


@pytest.mark.parametrize("model", ["residual", "attention", "linear"])
@pytest.mark.parametrize(("first", "second"), PAIRS, ids=[f"{a.name}-then-{b.name}" for a, b in PAIRS])
def test_every_ordered_pair_composes(first: type[Method], second: type[Method], model: str) -> None:
    context = shared_context(model)
    before = Held.of(context.original)
    recipe = Recipe((by_default(first), by_default(second)))
    variant = recipe.apply_in(context)
    with torch.no_grad():
        assert variant(context.train[0]).isfinite().all()
    assert Held.of(context.original) == before
    assert contents(variant) == contents(recipe.apply(tiny(model), device="cpu"))


TIMED = ("latency",)  # measured anew in each context, so never twice the same


@every_form
def test_what_a_context_keeps_is_never_taken_for_another_values(method: type[Method], form: Form) -> None:
    usual = gentle(method, form)
    steps = [usual]
    for knob in map(method.coefficient, form.coefficients):
        if knob.kind == "choice":
            steps += [usual.with_value(knob.name, choice) for choice in knob.choices if choice not in TIMED]
        elif knob.numeric:
            steps.append(usual.with_value(knob.name, OTHER.get(knob.name, usual.values[knob.name] / 2)))
    context = Context.of(tiny("residual"), torch.device("cpu"))
    for step in [*steps, *steps]:
        recipe = Recipe((step,))
        assert contents(recipe.apply_in(context)) == contents(recipe.apply(tiny("residual"), device="cpu"))

"""The declared effect of a form is honest: it changes what it says, and moves figures the way that it says."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from engine import CannotApply, Recipe
from engine.coefficient import Value
from engine.metrics.size import size_figures
from tests.contract.cases import CASES, Case, every_case
from tests.states import modules, places, shapes, zeros

PRUNED = ("weight_pruning", {"form": "magnitude_layer", "amount": 0.5})
POINTS = 6


def without(change: str) -> pytest.MarkDecorator:
    """The cases whose form does not declare this change."""
    return pytest.mark.parametrize("case", [c for c in CASES if change not in c.form.effect.changes], ids=str)


def figure_of(case: Case, name: str, value: Value, quantity: str) -> float | None:
    """None where the form says of this value that it is too much for the model."""
    try:
        return size_figures(case.variant(**{name: value}))[quantity].value
    except CannotApply:
        return None


MONOTONE = [(case, name) for case in CASES for name in case.form.effect.monotone]


@pytest.mark.parametrize(("case", "name"), MONOTONE, ids=[f"{case}-{name}" for case, name in MONOTONE])
def test_a_declared_direction_holds_over_a_grid(case: Case, name: str) -> None:
    quantity, direction = case.form.effect.monotone[name]
    grid = case.method.coefficient(name).grid(POINTS)
    found = [figure_of(case, name, value, quantity) for value in grid]
    assert sum((a is None) != (b is None) for a, b in pairwise(found)) <= 1  # what is refused lies at one end
    figures = [figure for figure in found if figure is not None]
    assert len(figures) > 1
    assert all((after - before) * direction >= 0 for before, after in pairwise(figures)), figures
    assert figures[0] != figures[-1] or case.model != "residual"  # where every such form has something to do


@every_case
def test_changes_are_of_the_three_known_kinds(case: Case) -> None:
    assert case.form.effect.changes <= {"values", "shapes", "modules"}


@without("modules")
def test_modules_stay_unless_declared(case: Case) -> None:
    assert modules(case.variant()) == modules(case.workload.model())


@without("shapes")
def test_shapes_stay_unless_declared(case: Case) -> None:
    was, now = shapes(case.workload.model()), shapes(case.variant())
    common = was.keys() & now.keys()
    assert {name: now[name] for name in common} == {name: was[name] for name in common}


@without("values")
def test_values_stay_unless_declared(case: Case) -> None:
    """Each tensor that still stands is one of the original's, or where shapes may change, a choice from its numbers."""
    context = case.context()
    variant = case.recipe().apply_in(context)
    was, where = context.original.state_dict(), set(places(context.original).values())
    for name, tensor in variant.state_dict().items():
        if "shapes" in case.form.effect.changes:
            source = was[name] if name in was else torch.cat([t.flatten().float() for t in was.values()])
            assert torch.isin(tensor, source).all(), name
        elif name in was:
            assert tensor.data_ptr() in where, name


@pytest.mark.parametrize("case", [case for case in CASES if not case.form.effect.makes_zeros], ids=str)
def test_no_zeros_are_made_unless_declared(case: Case) -> None:
    assert zeros(case.variant()) <= zeros(case.workload.model())


# Where no values change, the law above says all about zeros.
KEEPERS = [case for case in CASES if case.form.effect.keeps_zeros and "values" in case.form.effect.changes]


@pytest.mark.parametrize("case", KEEPERS, ids=str)
def test_zeros_are_kept_where_declared(case: Case) -> None:
    context = case.context()
    pruned = Recipe.of([PRUNED])
    before = pruned.apply_in(context).state_dict()
    after = Recipe((*pruned.steps, *case.recipe().steps)).apply_in(context)
    for name, parameter in after.named_parameters():
        if name in before and before[name].shape == parameter.shape and parameter.dim() >= 2:
            assert (parameter[before[name] == 0] == 0).all(), name

"""A form that chooses has a form that chooses at random and removes as much."""

from __future__ import annotations

import pytest

from engine import Recipe
from engine.metrics.size import size_figures
from tests.contract.cases import CASES, FORMS, Case
from tests.states import contents

CHOOSING = [case for case in CASES if case.form.baseline]


def test_every_baseline_is_a_form_of_its_method_and_has_none_itself() -> None:
    for method, form in FORMS:
        if form.baseline:
            (other,) = [f for f in method.forms if f.name == form.baseline]
            assert not other.baseline
            assert method(form.name).at_random().form == other.name
        else:
            assert method(form.name).at_random() is None


@pytest.mark.parametrize("case", CHOOSING, ids=str)
def test_it_removes_as_much(case: Case) -> None:
    (step,) = case.recipe().steps
    variant, by_lot = (Recipe((one,)).apply(case.workload, device="cpu") for one in (step, step.at_random()))
    if case.method.name == "layer_pruning":  # the layers differ in size
        return
    sides = [size_figures(model) for model in (variant, by_lot)]
    assert sides[0]["parameters"] == sides[1]["parameters"]
    if case.method.name == "weight_pruning" and case.form.name != "formula":
        total = sides[0]["nonzero"].value or 0
        assert sides[1]["nonzero"].value == pytest.approx(total, abs=6)  # rounded in each layer


@pytest.mark.parametrize("case", [c for c in CASES if c.form.name == "random" and c.model == "linear"], ids=str)
def test_another_seed_chooses_otherwise(case: Case) -> None:
    from dataclasses import replace

    context = case.context()
    made = [contents(case.recipe().apply_in(replace(context, seed=seed))) for seed in (0, 0, 1)]
    assert made[0] == made[1]
    if case.method.name != "layer_pruning":
        assert made[0] != made[2]

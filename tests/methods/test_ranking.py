"""Which weights are the smallest: by rank and by threshold the same, and as a plain sort says."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import engine.edit.ranking as ranking
import engine.edit.smallest as smallest
from engine import Recipe
from engine.edit.ranking import JointThreshold, Threshold, in_turn, joint_ranks, ranks
from engine.edit.surgery import weights
from tests.contract.cases import CASES, Case
from tests.states import contents

PRUNING = [case for case in CASES if case.method.name == "weight_pruning" and "amount" in case.form.coefficients]
PRUNING = [case for case in PRUNING if "training" not in case.form.needs]


def few_values(seed: int, *shape: int) -> Tensor:
    """Numbers of which many are equal."""
    return torch.randint(0, 7, shape, generator=torch.Generator().manual_seed(seed)).float()


@given(seed=st.integers(0, 10_000), n=st.integers(1, 60), share=st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_rank_and_threshold_say_what_a_stable_sort_says(seed: int, n: int, share: float) -> None:
    sizes = few_values(seed, n)
    goes = round(share * n)
    wanted = torch.ones(n, dtype=torch.bool)
    wanted[sizes.argsort(stable=True)[:goes]] = False
    assert torch.equal(ranks(sizes) >= goes, wanted)
    assert torch.equal(Threshold.at(in_turn([sizes]), goes).stays(sizes), wanted)


@given(seed=st.integers(0, 10_000), counts=st.lists(st.integers(1, 40), min_size=1, max_size=4), share=st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_of_several_tensors_together_too(seed: int, counts: list[int], share: float) -> None:
    sizes = [few_values(seed + i, n) for i, n in enumerate(counts)]
    kept = [min(1, n) for n in counts]
    goes = round(share * (sum(counts) - sum(kept)))
    held = []
    for one, n in zip(sizes, kept, strict=True):
        held.append(one.clone())
        held[-1][one.argsort(stable=True)[len(one) - n :]] = torch.inf
    order = torch.cat(held).argsort(stable=True)
    wanted = torch.ones(sum(counts), dtype=torch.bool)
    wanted[order[:goes]] = False
    assert torch.equal(torch.cat(joint_ranks(sizes, kept)) >= goes, wanted)
    limit = JointThreshold(goes, JointThreshold.floors_of(in_turn(sizes), kept)).find(in_turn(sizes))
    assert torch.equal(torch.cat([limit.stays(i, one) for i, one in enumerate(sizes)]), wanted)


@pytest.mark.parametrize("order", ["as drawn", "sorted", "misleading"])
def test_a_sample_that_says_little_still_leads_to_the_limit(order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "SAMPLE", 16)
    monkeypatch.setattr(ranking, "MARGIN", 1)
    numbers = torch.randn(5000, generator=torch.Generator().manual_seed(0))
    if order == "sorted":
        numbers = numbers.sort().values
    if order == "misleading":
        numbers[::313] += 100  # all that is looked at
    for goes in (1, 2, 1700, 4999, 5000):
        stays = Threshold.at(in_turn([numbers]), goes)
        assert stays.limit == numbers.sort().values[goes - 1]


@pytest.mark.parametrize("case", PRUNING, ids=str)
@pytest.mark.parametrize("amount", [0.0, 0.2, 0.9, 0.995])
def test_a_model_too_large_for_ranks_is_pruned_the_same(
    case: Case, amount: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = case.recipe(amount=amount)
    by_rank = contents(recipe.apply_in(case.context()))
    monkeypatch.setattr(smallest, "MOST", 0)
    monkeypatch.setattr(ranking, "SAMPLE", 8)
    assert contents(recipe.apply_in(case.context())) == by_rank


@pytest.mark.parametrize("form", ["magnitude_global", "magnitude_layer", "magnitude_adaptive", "random"])
def test_the_points_of_a_sweep_are_what_each_would_be_alone(form: str) -> None:
    case = next(case for case in PRUNING if case.form.name == form and case.model == "residual")
    shared = case.context()
    for amount in (0.9, 0.1, 0.999, 0.5):
        recipe = case.recipe(amount=amount)
        assert contents(recipe.apply_in(shared)) == contents(recipe.apply_in(case.context()))


@pytest.mark.parametrize("form", ["magnitude_global", "magnitude_layer"])
def test_ranks_are_those_of_the_model_that_the_step_is_given(form: str) -> None:
    case = next(case for case in PRUNING if case.form.name == form and case.model == "conv")
    context, step = case.context(), ["weight_pruning", {"form": form, "amount": 0.5}]
    Recipe.of([step]).apply_in(context)
    shrunk = Recipe.of([["weight_clipping", {"form": "clamp", "limit": 0.05}], step])
    variant = shrunk.apply_in(context)
    assert contents(variant) == contents(shrunk.apply_in(case.context()))
    assert max(float(w.detach().abs().max()) for _, w in weights(variant)) <= 0.0500001

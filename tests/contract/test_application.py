"""What holds whenever a form is applied to a model."""

from __future__ import annotations

import copy
import re

import pytest
import torch

from engine import CannotApply, Recipe
from engine.copying import structural_copy
from tests.contract.cases import ALL_CASES, CASES, REFUSALS, Case, every_case
from tests.devices import DEVICES
from tests.states import Held, bits, contents, global_state, modules, places

NEUTRAL = [(case, key) for case in ALL_CASES for key in case.form.neutral or {}]


def neutral(pairs: list[tuple[Case, str]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("case", "key"), pairs, ids=[f"{case}-{key}" for case, key in pairs])


@neutral(NEUTRAL)
def test_a_neutral_value_leaves_the_model_untouched(case: Case, key: str) -> None:
    context = case.context()
    recipe = case.recipe(**{key: case.form.neutral[key]})
    variant = recipe.apply_in(context)
    assert recipe.steps[0].neutral
    assert Held.of(variant) == Held.of(context.original)


@neutral([(case, key) for case, key in NEUTRAL if not case.refused])
def test_a_neutral_value_changes_nothing_even_where_the_step_is_not_left_out(case: Case, key: str) -> None:
    context = case.context()
    step = case.recipe(**{key: case.form.neutral[key]}).steps[0]
    edited = step.edit(structural_copy(context.original), context)
    assert contents(edited) == contents(context.original)
    assert modules(edited) == modules(context.original)


@pytest.mark.parametrize("device", DEVICES)
@every_case
def test_the_original_is_untouched(case: Case, device: str) -> None:
    context = case.context(device)
    before, data = Held.of(context.original), [bits(t) for t in (*context.train, *context.validation)]
    case.recipe().apply_in(context)
    assert Held.of(context.original) == before
    assert [bits(t) for t in (*context.train, *context.validation)] == data
    assert contents(case.workload.model()) == before.contents


# An optimizer writes in place, so a trained model owns all its tensors.
@pytest.mark.parametrize("case", [case for case in CASES if "training" not in case.form.needs], ids=str)
def test_what_did_not_change_is_shared_with_the_original(case: Case) -> None:
    context = case.context()
    variant = case.recipe().apply_in(context)
    was, where, now = contents(context.original), places(context.original), places(variant)
    held = contents(variant)
    same = [name for name in held if held[name] == was.get(name)]
    assert {name: now[name] for name in same} == {name: where[name] for name in same}
    moved = [name for name in held if name not in was and held[name] in was.values()]
    assert {now[name] for name in moved} <= set(where.values())


@pytest.mark.parametrize("device", DEVICES)
@every_case
def test_the_variant_is_ready_to_use(case: Case, device: str) -> None:
    variant = case.recipe().apply(case.workload, device=device)
    inputs = case.workload.train[0][:7].to(device)
    with torch.no_grad():
        outputs = variant(inputs)
        assert outputs.shape == case.workload.model().to(device)(inputs).shape
    assert outputs.isfinite().all()
    assert not any(module.training for module in variant.modules())
    assert {p.device.type for p in variant.parameters()} == {device}
    assert type(variant) is type(case.workload.model())
    assert Held.of(variant).hooks == 0
    assert all(p.requires_grad and p.grad is None and p.is_leaf for p in variant.parameters())


@every_case
def test_the_same_seed_gives_the_same_bits(case: Case) -> None:
    context = case.context()
    recipe = case.recipe()
    torch.manual_seed(1)
    first, again = recipe.apply_in(context), recipe.apply_in(context)  # the second one from the context's memo
    torch.manual_seed(2)  # the process's own seed is nothing to it
    afresh = case.variant()
    assert contents(first) == contents(again) == contents(afresh)


@every_case
def test_a_caller_without_gradients_gets_the_same(case: Case) -> None:
    with torch.no_grad():
        variant = case.variant()
    assert contents(variant) == contents(case.variant())


@pytest.mark.parametrize("case", [case for case in CASES if case.model == "tied"], ids=str)
def test_tied_weights_stay_tied(case: Case) -> None:
    variant = case.variant()
    assert variant.out.weight is variant.embed.weight
    assert len({id(p) for p in variant.parameters()}) == len(list(variant.parameters()))


@pytest.mark.parametrize("device", DEVICES)
@every_case
def test_global_state_is_left_as_it_was(case: Case, device: str) -> None:
    before = global_state()
    case.recipe().apply(case.workload, device=device)
    assert global_state() == before


class Untouchable:
    """A split that ends the test as soon as anything is asked of it; no `except Exception` can hide that."""

    def _touched(self, *_: object) -> None:
        pytest.fail("the test split was read")

    __len__ = __iter__ = __getitem__ = __getattribute__ = _touched  # type: ignore[assignment]


@every_case
def test_the_test_split_is_never_read(case: Case) -> None:
    workload = copy.copy(case.workload)
    workload.test = (Untouchable(), Untouchable())  # type: ignore[assignment]
    variant = case.recipe().apply(workload, device="cpu")
    assert contents(variant) == contents(case.variant())


@pytest.mark.parametrize("case", [case for case in ALL_CASES if case.refused], ids=str)
def test_a_refusal_is_one_sentence_that_says_what_must_hold(case: Case) -> None:
    with pytest.raises(CannotApply) as caught:
        case.variant()
    assert re.fullmatch(rf"{case.method.name} must [^.\n]+, got [^.\n]+", str(caught.value))


def test_the_table_of_refusals_names_only_what_there_is() -> None:
    assert set(REFUSALS) <= {(case.method.name, case.form.name, case.model) for case in ALL_CASES}


@pytest.mark.parametrize("device", DEVICES)
def test_the_empty_recipe_is_the_original(device: str) -> None:
    case = CASES[0]
    variant = Recipe().apply(case.workload, device=device)
    assert contents(variant) == contents(case.workload.model())

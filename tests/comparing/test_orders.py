"""Every order of a recipe's steps."""

from __future__ import annotations

from itertools import permutations

import pytest

from engine import Failed, InvalidInput, Measured, Measurer, Recipe, measured_orders, orders, ranked
from tests.comparing.points import taught
from tests.engine.quick import CountingStore, quick

PRUNE, NODES = ["weight_pruning", {"amount": 0.6}], ["node_pruning", {"amount": 0.5}]
REPAIR = ["repair", {"examples": 64}]
STILL = ["weight_pruning", {"amount": 0.0}]
FAILS = ["parameter_optimization", {"form": "formula", "alpha": 10.0, "steps": 500}]


def names(found) -> list[tuple[str, ...]]:
    return [tuple(step.name for step in one) for one in found]


@pytest.mark.parametrize("steps", [[], [PRUNE], [PRUNE, NODES], [PRUNE, NODES, REPAIR]])
def test_all_orders_each_once_the_own_first(steps: list[object]) -> None:
    got = orders(steps)
    assert sorted(map(str, got)) == sorted(str(Recipe.of(list(one))) for one in permutations(steps))
    assert str(got[0]) == str(Recipe.of(steps))


def test_four_have_twenty_four_and_five_are_refused() -> None:
    four = [PRUNE, NODES, REPAIR, ["layer_pruning", {}]]
    assert len(orders(four)) == 24
    assert len(orders([*four, STILL])) == 24
    with pytest.raises(InvalidInput, match="at most 4 active steps, got 5: leave steps out"):
        orders([*four, PRUNE])


def test_equal_steps_make_no_second_order() -> None:
    assert len(orders([PRUNE, PRUNE, NODES])) == 3


def test_they_are_measured_and_ranked_by_score_then_parameters() -> None:
    store = CountingStore()
    measurer = Measurer(taught(), protocol=quick(), store=store)
    found = list(measured_orders(measurer, [PRUNE, NODES, REPAIR]))
    assert len(found) == 6
    assert all(isinstance(one, Measured) for one in found)
    got = [(-one.variant["accuracy"].value, one.variant["parameters"].value) for one in ranked(found[::-1])]
    assert got == sorted(got)
    assert len({score for score, _ in got}) > 1  # the order matters
    assert [str(one.recipe) for one in ranked(found)] == [str(one.recipe) for one in ranked(found[::-1])]
    store.count()
    list(measured_orders(measurer, [PRUNE, NODES, REPAIR]))
    assert store.count() == {"size": 0, "score": 0, "latency": 0}


def test_an_order_that_cannot_be_measured_is_a_value_and_comes_last() -> None:
    measurer = Measurer(taught(), protocol=quick())
    failed = list(measured_orders(measurer, [FAILS, PRUNE]))
    assert {type(one) for one in failed} == {Failed}
    found = ranked([*failed, measurer.measure([PRUNE])])
    assert [type(one) for one in found] == [Measured, Failed, Failed]
    assert "must leave finite weights" in str(found[-1].error)


def test_too_many_steps_are_refused_before_anything_is_measured() -> None:
    with pytest.raises(InvalidInput):
        measured_orders(Measurer(taught(), protocol=quick()), [PRUNE] * 5)

"""Coefficients as widgets: stops, counts and grids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.forms import amount_of, grid, kept_of, series, spread
from engine import Coefficient, available_methods
from engine.edit.scores import removed_of

NUMBERS = [(kind, c) for kind in available_methods().values() for c in kind.coefficients if c.numeric]
SPREAD = [(kind, c) for kind, c in NUMBERS if spread(c)]
COUNTED = [(kind, c) for kind, c in NUMBERS if c.counts]
MOST_POINTS = 24


def names(pairs: list[tuple[type, Coefficient]]) -> list[str]:
    return [f"{kind.name}.{c.name}" for kind, c in pairs]


def test_a_count_becomes_a_share_and_comes_back() -> None:
    pairs = [(kept, n) for n in range(1, 201) for kept in range(1, n + 1)]
    assert [(kept_of(amount_of(kept, n), n), n) for kept, n in pairs] == pairs


@given(st.integers(1, 100_000), st.data())
def test_a_count_comes_back_from_many(n: int, data: st.DataObject) -> None:
    kept = data.draw(st.integers(1, n))
    assert kept_of(amount_of(kept, n), n) == kept


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 2000))
def test_the_slider_counts_as_the_methods_do(amount: float, n: int) -> None:
    assert kept_of(amount, n) == n - removed_of(amount, n)
    assert 1 <= kept_of(amount, n) <= n


@pytest.mark.parametrize(("kind", "coefficient"), COUNTED, ids=names(COUNTED))
@pytest.mark.parametrize("n", [2, 11, 24, 1152])
def test_every_count_of_the_slider_is_allowed(kind: type, coefficient: Coefficient, n: int) -> None:
    for kept in range(1, n + 1):
        coefficient.validate(amount_of(kept, n), kind.name)


@pytest.mark.parametrize(("kind", "coefficient"), SPREAD, ids=names(SPREAD))
@given(st.data())
def test_the_stops_hold_the_current_value_and_are_allowed(
    kind: type, coefficient: Coefficient, data: st.DataObject
) -> None:
    low, high = coefficient.low, coefficient.high
    if coefficient.kind == "count":
        current = data.draw(st.integers(int(low), int(high)))
    else:
        current = data.draw(st.floats(low, high))
    stops = series(coefficient, current)
    assert current in stops
    assert stops == sorted(set(stops))
    assert [coefficient.validate(stop, kind.name) for stop in stops] == stops
    assert (stops[0], stops[-1]) == (low, high)
    assert len(stops) <= 40


def test_counts_have_whole_stops() -> None:
    steps = available_methods()["parameter_optimization"].coefficient("steps")
    stops = series(steps, 137)
    assert all(type(stop) is int for stop in stops)
    assert stops[:6] == [0, 1, 2, 5, 10, 20]
    assert 137 in stops


@pytest.mark.parametrize(("kind", "coefficient"), NUMBERS, ids=names(NUMBERS))
@pytest.mark.parametrize("things", [None, 1, 2, 11, 24, 25, 1152])
def test_a_grid_is_short_rising_and_allowed(kind: type, coefficient: Coefficient, things: int | None) -> None:
    assert isinstance(coefficient.default, int | float)
    values = grid(coefficient, coefficient.default, things)
    assert sorted(set(values)) == sorted(values)
    assert 2 <= len(values) <= MOST_POINTS
    assert [coefficient.validate(value, kind.name) for value in values] == values
    assert coefficient.low in values


@pytest.mark.parametrize("things", [2, 4, 11, 24])
def test_where_there_are_few_every_count_is_on_the_curve(things: int) -> None:
    amount = available_methods()["layer_pruning"].coefficient("amount")
    assert [kept_of(value, things) for value in grid(amount, 0.3, things)] == list(range(things, 0, -1))


def test_where_there_are_many_the_curve_has_eleven_points() -> None:
    amount = available_methods()["node_pruning"].coefficient("amount")
    for things in (None, 25, 408):
        assert len(grid(amount, 0.3, things)) == 11


def test_the_curve_of_steps_does_not_run_far_beyond_the_current_value() -> None:
    steps = available_methods()["parameter_optimization"].coefficient("steps")
    assert grid(steps, 100, None)[-1] <= 400
    assert grid(steps, 0, None)[-1] <= 20
    assert 100 in grid(steps, 100, None)

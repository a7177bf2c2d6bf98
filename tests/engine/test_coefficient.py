from __future__ import annotations

import json
import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import Coefficient, InvalidCoefficient, InvalidInput
from engine.coefficient import count, fraction

BOUND = st.floats(-1000, 1000).map(lambda x: round(x, 3))
SHARE = fraction("share", 0.5, "A share.")
STRICT = fraction("amount", 0.5, "A share below one.", below=True)
WHOLE = count("steps", 5, "Steps.", 0, 40)
REAL = Coefficient("alpha", "real", 0.1, "A real.", -2.0, 3.0)
LOG = Coefficient("rate", "real", 0.001, "A rate.", 1e-6, 1.0, scale="log")
CHOICE = Coefficient("keep", "choice", "yes", "Keep?", choices=("yes", "no"))
LAYERS = Coefficient("protect", "layers", (), "Layers.")
NUMERIC = [SHARE, STRICT, WHOLE, REAL, LOG]
ALL = [*NUMERIC, CHOICE, LAYERS]


@st.composite
def reals(draw: st.DrawFn) -> Coefficient:
    low = draw(BOUND)
    width = draw(st.floats(0.01, 1000))
    return Coefficient("x", "real", low, "A real.", low, low + max(width, abs(low) / 100), below=draw(st.booleans()))


@st.composite
def counts(draw: st.DrawFn) -> Coefficient:
    low = draw(st.integers(-100, 100))
    return count("n", low, "A count.", low, low + draw(st.integers(1, 10_000)))


@given(knob=reals(), points=st.integers(2, 50))
def test_a_grid_of_reals_has_exactly_as_many_values_as_asked(knob: Coefficient, points: int) -> None:
    _check_grid(knob.grid(points), knob, points)


@given(knob=counts(), data=st.data())
def test_a_grid_of_counts_has_exactly_as_many_values_as_asked(knob: Coefficient, data: st.DataObject) -> None:
    points = data.draw(st.integers(2, min(200, int(knob.high - knob.low) + 1)))
    grid = knob.grid(points)
    _check_grid(grid, knob, points)
    assert all(isinstance(value, int) for value in grid)


def _check_grid(grid: list, knob: Coefficient, points: int) -> None:
    assert len(grid) == len(set(grid)) == points
    assert grid == sorted(grid)
    assert (grid[0], grid[-1]) == (knob.low, knob.top)
    assert [knob.validate(value, "test") for value in grid] == grid


@pytest.mark.parametrize("knob", NUMERIC, ids=lambda k: k.name)
@pytest.mark.parametrize("points", [1, 2, 3, 11, 41])
def test_the_knobs_grid_starts_low_and_ends_at_the_top(knob: Coefficient, points: int) -> None:
    grid = knob.grid(points)
    assert len(set(grid)) == points
    assert grid[0] == knob.low
    assert grid[-1] == (knob.top if points > 1 else knob.low)


def test_a_range_with_many_digits_is_kept_to_the_last() -> None:
    assert REAL.grid(3, 0.1234561, 0.7654321)[::2] == [0.1234561, 0.7654321]


def test_spacing_follows_the_scale() -> None:
    assert SHARE.grid(5) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert STRICT.grid(2) == [0.0, 0.95]
    assert LOG.grid(7) == pytest.approx([1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0])
    assert all(b / a == pytest.approx(10 ** (6 / 20), rel=1e-4) for a, b in pairwise(LOG.grid(21)))


@pytest.mark.parametrize(
    ("knob", "points", "low", "high"),
    [(WHOLE, 42, None, None), (WHOLE, 3, 4, 5), (SHARE, 2, 0.5, 0.5), (SHARE, 2, 0.6, 0.5), (SHARE, 2, -0.1, 0.5),
     (STRICT, 2, 0.0, 1.0), (SHARE, 2, 0.0, math.nan), (WHOLE, 2, 0.5, 3), (CHOICE, 2, None, None),
     (LAYERS, 2, None, None)],
)  # fmt: skip
def test_a_grid_that_cannot_be_is_refused(
    knob: Coefficient, points: int, low: float | None, high: float | None
) -> None:
    with pytest.raises(InvalidInput, match=r"^test: .*must .+, got .+|^test: .*must .+; got .+"):
        knob.grid(points, low, high, owner="test")


@given(
    value=st.one_of(st.floats(), st.integers(), st.booleans(), st.text(), st.none(), st.lists(st.text()), st.binary())
)
@pytest.mark.parametrize("knob", ALL, ids=lambda k: k.name)
def test_what_is_valid_once_is_valid_again_and_the_same(knob: Coefficient, value: object) -> None:
    try:
        once = knob.validate(value, "test")
    except InvalidCoefficient as error:
        assert str(error).startswith(f"test: {knob.name} must ")  # noqa: PT017
        return
    again = knob.validate(once, "test")
    assert again == once
    assert type(again) is type(once)


@pytest.mark.parametrize("knob", ALL, ids=lambda k: k.name)
def test_the_default_is_valid_and_what_is_just_outside_is_not(knob: Coefficient) -> None:
    assert knob.validate(knob.default, "test") == knob.default
    for value in knob.just_outside():
        with pytest.raises(InvalidCoefficient):
            knob.validate(value, "test")


@pytest.mark.parametrize(
    ("knob", "value", "said"),
    [
        (STRICT, 1.0, "m: amount must be at least 0 and below 1, got 1.0"),
        (SHARE, -0.5, "m: share must be at least 0 and at most 1, got -0.5"),
        (SHARE, math.nan, "m: share must be finite, got nan"),
        (SHARE, "much", "m: share must be a number, got 'much'"),
        (SHARE, True, "m: share must be a number, got True"),
        (WHOLE, 2.5, "m: steps must be a whole number, got 2.5"),
        (CHOICE, "maybe", "m: keep must be one of yes, no, got 'maybe'"),
        (LAYERS, "stem", "m: protect must be a list of layer names, got 'stem'"),
    ],
)
def test_the_sentence_says_what_must_hold_and_what_was_got(knob: Coefficient, value: object, said: str) -> None:
    with pytest.raises(InvalidCoefficient) as caught:
        knob.validate(value, "m")
    assert str(caught.value) == said


HUGE = {
    "whole": 10**400,
    "below zero": -(10**400),
    "not for print": 10**6000,
    "list": [1] * 10_000,
    "text": "x" * 10_000,
}


@pytest.mark.parametrize("value", HUGE.values(), ids=HUGE)
@pytest.mark.parametrize("knob", ALL, ids=lambda k: k.name)
def test_a_huge_value_is_refused_in_a_short_sentence(knob: Coefficient, value: object) -> None:
    with pytest.raises(InvalidCoefficient) as caught:
        knob.validate(value, "m")
    assert len(str(caught.value)) < 200


def test_there_is_one_zero() -> None:
    assert math.copysign(1, SHARE.validate(-0.0, "m")) == 1  # else equal recipes would have two texts


def test_layers_are_a_sorted_set() -> None:
    assert LAYERS.validate(["b", "a", "b"], "m") == ("a", "b")
    assert LAYERS.validate((), "m") == ()


@pytest.mark.parametrize("knob", ALL, ids=lambda k: k.name)
def test_as_plain_data(knob: Coefficient) -> None:
    plain = json.loads(json.dumps(knob.to_dict()))
    assert (plain["name"], plain["kind"], plain["help"]) == (knob.name, knob.kind, knob.help)
    assert (plain["low"], plain["high"]) == ((knob.low, knob.high) if knob.numeric else (None, None))
    assert plain["default"] == (list(knob.default) if isinstance(knob.default, tuple) else knob.default)

"""An adaptive curve has its points where it bends."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from engine.coefficient import Coefficient, count, fraction
from engine.refining import COARSE, MOST_REFINED, Refining

AMOUNT = fraction("amount", 0.5, "how much")


def curve(height: Callable[[float], float | None], coefficient: object = AMOUNT, half: float = 0.0) -> list[float]:
    """The values that are chosen for a curve of that height, in order."""
    refining = Refining(coefficient, coefficient.low, coefficient.high, "test")  # type: ignore[attr-defined,arg-type]
    values = []
    while (value := refining.next()) is not None:
        values.append(value)
        refining.heard(value, height(float(value)), half)
        assert len(values) <= MOST_REFINED
    assert len(set(values)) == len(values)
    return values  # type: ignore[return-value]


@pytest.mark.parametrize("slope", [0.0, -0.04])
def test_ends_and_middle_come_first_and_a_flat_curve_has_few(slope: float) -> None:
    values = curve(lambda x: 0.9 + slope * x)
    assert values[:3] == [0.0, 1.0, 0.5]
    assert sorted(values) == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_a_straight_line_needs_no_more_however_steep() -> None:
    assert len(curve(lambda x: 0.9 - 0.8 * x)) == 5


@pytest.mark.parametrize("edge", [0.13, 0.61, 0.9])
def test_a_fall_is_found_and_drawn_closely(edge: float) -> None:
    values = sorted(curve(lambda x: 0.9 if x < edge else 0.1))
    around = [(a, b) for a, b in pairwise(values) if a < edge <= b]
    assert around[0][1] - around[0][0] <= 1 / 32
    far = [x for x in values if abs(x - edge) > 0.3]
    assert len(far) < len(values) / 2


def test_no_gap_is_wide_and_a_bend_has_more_points_than_a_flat_stretch() -> None:
    values = sorted(curve(lambda x: 0.9 - 0.8 * max(0.0, x - 0.7) ** 2 / 0.09))
    assert max(b - a for a, b in pairwise(values)) <= COARSE
    assert sum(x >= 0.7 for x in values) / 0.3 > 2 * sum(x < 0.7 for x in values) / 0.7


def test_what_may_be_noise_is_not_looked_into() -> None:
    def bumpy(x: float) -> float:
        return 0.8 + (0.03 if 0.4 < x < 0.6 else 0.0)

    assert len(curve(bumpy, half=0.05)) == 5
    assert len(curve(bumpy, half=0.0)) > 5


def test_whole_numbers_each_once() -> None:
    steps = count("steps", 2, "how many", low=0, high=3)
    assert sorted(curve(lambda x: x * x, steps)) == [0, 1, 2, 3]
    assert curve(lambda x: x, count("steps", 1, "how many", low=4, high=4)) == [4]
    assert all(isinstance(value, int) for value in curve(lambda x: x, count("steps", 1, "many", low=0, high=900)))


def test_an_axis_of_powers_of_ten_is_halved_there() -> None:
    rate = Coefficient("rate", "real", 0.01, "how fast", 1e-4, 1.0, scale="log")
    values = curve(lambda x: 0.5, rate)
    assert sorted(values) == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1.0])


def test_the_edge_of_what_fails_is_found() -> None:
    values = sorted(curve(lambda x: None if x > 0.6 else 0.9))
    good, bad = max(x for x in values if x <= 0.6), min(x for x in values if x > 0.6)
    assert bad - good <= COARSE / 4
    assert curve(lambda x: None) == [0.0, 1.0, 0.5]

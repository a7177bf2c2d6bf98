"""Laws of frontier, knee and dominated points."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import Estimate, InvalidInput, tradeoff

numbers = st.one_of(st.integers(0, 6).map(float), st.floats(-1e6, 1e6))
places = st.lists(st.tuples(numbers, numbers, st.sampled_from([0.0, 0.5, 2.0])), min_size=1, max_size=12)
Places = list[tuple[float, float, float]]


def standing(found: Places):
    around = [
        [Estimate(place[axis], place[axis] - place[2], place[axis] + place[2], 9, "") for place in found]
        for axis in (0, 1)
    ]
    return tradeoff(*around)


def at(found: Places, chosen) -> list[tuple[float, float]]:
    return sorted(found[i][:2] for i in chosen)


def beats(one, other) -> bool:
    return one[0] <= other[0] and one[1] >= other[1] and one[:2] != other[:2]


@given(places)
def test_a_point_is_on_the_frontier_exactly_where_no_other_beats_it(found: Places) -> None:
    got = standing(found)
    free = {i for i, one in enumerate(found) if not any(beats(other, one) for other in found)}
    assert set(got.frontier) == free
    assert set(got.frontier) | set(got.dominated) == set(range(len(found)))
    assert not set(got.frontier) & set(got.dominated)
    assert [found[i][0] for i in got.frontier] == sorted(found[i][0] for i in got.frontier)


@given(places)
def test_every_dominated_point_has_a_dominator_on_the_frontier(found: Places) -> None:
    got = standing(found)
    for i, beaten in got.dominated.items():
        assert beaten.by
        assert set(beaten.by) <= set(got.frontier)
        assert set(beaten.by) == {f for f in got.frontier if beats(found[f], found[i])}


@given(places)
def test_certain_is_where_the_worst_of_one_beats_the_best_of_it(found: Places) -> None:
    got = standing(found)
    for i, beaten in got.dominated.items():
        x, y, half = found[i]
        sure = any(beats((a + h, b - h), (x - half, y + half)) for a, b, h in found)
        assert beaten.certain == sure


@given(places, st.randoms(use_true_random=False))
def test_the_order_of_points_does_not_matter(found: Places, random) -> None:
    shuffled = random.sample(found, len(found))
    one, two = standing(found), standing(shuffled)
    assert at(found, one.frontier) == at(shuffled, two.frontier)
    assert at(found, one.dominated) == at(shuffled, two.dominated)
    assert (one.knee is None) == (two.knee is None)
    if one.knee is not None:
        assert found[one.knee][:2] == shuffled[two.knee][:2]


@given(places, st.floats(0, 100), st.floats(0, 100), st.integers(0, 11))
def test_a_dominated_point_more_changes_neither_frontier_nor_knee(found: Places, x, y, near: int) -> None:
    base = found[near % len(found)]
    more = (base[0] + x, base[1] - y, 0.0)
    if not beats(base, more):
        return
    one, two = standing(found), standing([*found, more])
    assert (one.frontier, one.knee) == (two.frontier, two.knee)
    assert len(found) in two.dominated


@given(places)
def test_the_knee_is_the_farthest_from_the_chord(found: Places) -> None:
    got = standing(found)
    if got.knee is None:
        return
    (x0, y0), (x1, y1) = (found[i][:2] for i in (got.frontier[0], got.frontier[-1]))
    scaled = {i: ((found[i][0] - x0) / (x1 - x0), (found[i][1] - y0) / (y1 - y0)) for i in got.frontier}
    far = {i: (y - x) / math.sqrt(2) for i, (x, y) in scaled.items()}
    assert far[got.knee] == pytest.approx(max(far.values()))
    assert far[got.knee] > 0


def test_a_knee_worked_out_by_hand() -> None:
    found = [(0.0, 0.0, 0.0), (100.0, 0.8, 0.0), (500.0, 0.95, 0.0), (1000.0, 1.0, 0.0), (600.0, 0.5, 0.0)]
    got = standing(found)
    assert got.frontier == (0, 1, 2, 3)
    assert got.knee == 1  # 0.8 − 0.1 against 0.95 − 0.5
    assert got.dominated[4].by == (1, 2)


@pytest.mark.parametrize("xs", [[1.0], [1.0, 2.0], [1.0, 2.0, 3.0]])
def test_a_straight_frontier_has_no_knee(xs: list[float]) -> None:
    assert standing([(x, x, 0.0) for x in xs]).knee is None


def test_a_frontier_below_its_chord_has_no_knee() -> None:
    assert standing([(0.0, 0.0, 0.0), (8.0, 0.1, 0.0), (10.0, 1.0, 0.0)]).knee is None


def test_what_lacks_a_figure_is_said_to() -> None:
    there, gone = Estimate.exact(1.0, ""), Estimate.missing("not finite", "")
    got = tradeoff([there, gone, None, there], [there, there, there, Estimate.exact(math.nan, "")])
    assert (got.frontier, got.missing) == ((0,), (1, 2, 3))
    assert tradeoff([], []).frontier == ()


def test_figures_must_be_as_many() -> None:
    with pytest.raises(InvalidInput, match="as many x as y, got 1 and 0"):
        tradeoff([None], [])

"""Bounds that points must keep."""

from __future__ import annotations

import pytest

from engine import Bound, Estimate, InvalidInput, UnknownName
from engine.comparing.bounds import checked
from tests.comparing.points import otherwise, point


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("latency<=3", Bound("latency_ms", True, 3.0)),
        (" latency_ms <= 0.003 s ", Bound("latency_ms", True, 3.0)),
        ("accuracy>=92%", Bound("accuracy", False, 0.92)),
        ("size<=1.5MB", Bound("size_bytes", True, 1.5e6)),
        ("parameters<=2e5", Bound("parameters", True, 2e5)),
        ("score>=-0.5", Bound("score", False, -0.5)),
    ],
)
def test_a_bound_is_read(text: str, wanted: Bound) -> None:
    got = Bound.parse(text)
    assert (got.figure, got.most) == (wanted.figure, wanted.most)
    assert got.limit == pytest.approx(wanted.limit)


@pytest.mark.parametrize(
    "text", ["", "latency", "latency<3", "latency<=x", "a<=1e999", "a<=nan", "a<=1 parsec", "a" * 999]
)
def test_what_is_no_bound_is_one_sentence(text: str) -> None:
    with pytest.raises(InvalidInput, match="a bound must be FIGURE<=NUMBER") as caught:
        Bound.parse(text)
    assert len(str(caught.value)) < 200


def test_which_point_fails_which() -> None:
    ms = {"latency_ms": Estimate(2.0, 1.0, 4.0, 9, "ms")}
    points = [otherwise(point("original"), ms), otherwise(point("heavy"), {"latency_ms": Estimate.missing("no", "ms")})]
    got = checked(points, [Bound.parse(text) for text in ("latency<=3", "latency<=5", "accuracy>=0.5", "latency>=3")])
    assert [[kept.holds for kept in one] for one in got] == [[True, True, True, False], [False, False, False, False]]
    assert [kept.certain for kept in got[0]] == [False, True, True, False]
    assert got[1][0].value is None


def test_a_figure_that_is_not_there_is_named() -> None:
    with pytest.raises(UnknownName, match="did you mean 'latency_ms'"):
        checked([point("original")], [Bound.parse("latency_m<=3")])


def test_score_stands_for_the_tasks_own_and_so_does_accuracy() -> None:
    assert Bound.parse("score>=0").of(point("heavy")) == Bound.parse("accuracy>=0").of(point("heavy"))

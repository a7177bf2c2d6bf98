"""The tradeoff chart: a record first, then its picture."""

from __future__ import annotations

from dataclasses import replace

import plotly.graph_objects as go
import pytest

from dashboard import charts
from dashboard.charts import (
    LABELS,
    OKABE_ITO,
    CurveData,
    CurvePoint,
    curve_point,
    faint,
    figures_of,
    method_colour,
    one_way,
)
from dashboard.live_chart import MUTED
from dashboard.view import AXES
from dashboard.views.tradeoff import rests_on
from engine import Estimate, available_methods

from .points import ORIGINAL, measured

HOVER = (
    "90.0 % (88.0 % to 92.0 %), n = 500<br>1,000 parameters<br>1,000 nonzero<br>2.00 M multiply adds<br>"
    "4.00 MB size bytes<br>2 ms (1.5 to 3 ms) at batch 1<br>cpu, 2 threads, torch 2.13.0"
)


def at(value: float, x: float, y: float) -> CurvePoint:
    return CurvePoint(value, x, x - 0.1, x + 0.2, y, y - 0.05, y + 0.04, f"point {value}")


DATA = CurveData(
    name="amount",
    x="coefficient",
    score="accuracy",
    colour="#0072B2",
    points=(at(0.0, 0.0, 0.9), at(0.5, 0.5, 0.8), at(0.9, 0.9, 0.2)),
    here=at(0.5, 0.5, 0.8),
    original=at(0.0, 0.0, 0.9),
    chance=0.1,
    span=(0.0, 0.95),
)


def curve_chart(data: CurveData) -> go.Figure:
    """The chart as Plotly takes it: what it would refuse is an error here."""
    return go.Figure(charts.curve_chart(data).to_dict())


def traces(figure: go.Figure) -> dict[str, go.Scatter]:
    return {trace.name: trace for trace in figure.data}


def levels(figure: go.Figure) -> dict[float, str]:
    """The horizontal lines: height to dash."""
    return {shape.y0: shape.line.dash for shape in figure.layout.shapes if shape.y0 == shape.y1}


@pytest.mark.parametrize(
    ("axis", "things", "place"),
    [
        ("coefficient", None, (0.25, 0.25, 0.25)),
        ("coefficient", 8, (6.0, 6.0, 6.0)),
        ("parameters", None, (1000, 1000, 1000)),
        ("multiply_adds", None, (2e6, 2e6, 2e6)),
        ("size_bytes", None, (4.0, 4.0, 4.0)),
        ("latency_ms", None, (2.0, 1.5, 3.0)),
        ("latency_ms_64", None, (20.0, 15.0, 30.0)),
    ],
)
def test_a_measured_point_becomes_a_record(axis: str, things: int | None, place: tuple[float, ...]) -> None:
    assert curve_point(measured(), 0.25, axis, things) == CurvePoint(0.25, *place, 0.9, 0.88, 0.92, HOVER)


def test_a_point_is_the_variant_and_not_the_original() -> None:
    point = curve_point(measured(parameters=Estimate.exact(400, "parameters")), 0.6, "parameters")
    assert point is not None
    assert point.x == 400
    assert figures_of(measured(), "original") == ORIGINAL


@pytest.mark.parametrize("name", ["accuracy", "multiply_adds"])
def test_a_missing_figure_is_no_point(name: str) -> None:
    result = measured(**{name: Estimate.missing("it cannot be had", "x")})
    assert curve_point(result, 0.5, "multiply_adds") is None


def test_a_missing_figure_that_is_not_on_an_axis_is_told_on_hover() -> None:
    point = curve_point(measured(multiply_adds=Estimate.missing("no such operator", "")), 0.5, "parameters")
    assert point is not None
    assert "multiply adds: no such operator" in point.hover


def test_the_chart_has_curve_band_original_chance_and_recipe() -> None:
    figure = curve_chart(DATA)
    found = traces(figure)
    assert set(found) == {"amount", "original", "this recipe", "95 % interval"}
    curve, band = found["amount"], found["95 % interval"]
    assert (curve.x, curve.y) == ((0.0, 0.5, 0.9), (0.9, 0.8, 0.2))
    assert curve.customdata == (0.0, 0.5, 0.9)
    assert curve.hovertext == ("point 0.0", "point 0.5", "point 0.9")
    assert band.x == (0.0, 0.5, 0.9, 0.9, 0.5, 0.0)
    assert band.y == pytest.approx((0.94, 0.84, 0.24, 0.15, 0.75, 0.85))
    assert band.fillcolor == faint("#0072B2") == "rgba(0,114,178,0.18)"
    assert levels(figure) == {0.9: "dash", 0.1: "dot"}
    assert [a.text for a in figure.layout.annotations] == ["chance"]
    assert (found["original"].x, found["original"].y) == ((0.0,), (0.9,))
    assert (found["this recipe"].x, found["this recipe"].y) == ((0.5,), (0.8,))


def test_only_points_of_the_curve_can_be_picked() -> None:
    assert [name for name, trace in traces(curve_chart(DATA)).items() if trace.customdata is not None] == ["amount"]


def test_one_accent_for_the_recipe_and_grey_for_the_original() -> None:
    found = traces(curve_chart(DATA))
    assert found["original"].marker.color == MUTED
    assert {found["amount"].line.color, found["amount"].marker.color, found["this recipe"].marker.color} == {"#0072B2"}


def test_a_method_has_the_same_colour_everywhere_and_no_other_has_it() -> None:
    names = list(available_methods())
    colours = {name: method_colour(name) for name in names}
    assert colours == {name: method_colour(name) for name in reversed(names)}
    assert set(colours.values()) <= set(OKABE_ITO)
    assert len(set(colours.values())) == len(names)


def test_what_is_not_measured_is_not_drawn() -> None:
    figure = curve_chart(replace(DATA, points=(), here=None, original=None))
    assert set(traces(figure)) == {"amount"}
    assert len(traces(figure)["amount"].x) == 0
    assert levels(figure) == {0.1: "dot"}


def test_a_band_is_drawn_only_where_the_axis_goes_one_way() -> None:
    back = (at(0.0, 3.0, 0.9), at(0.5, 1.0, 0.8), at(0.9, 2.0, 0.2))
    assert not one_way(back)
    assert one_way(tuple(sorted(back, key=lambda p: -p.x)))
    assert "95 % interval" not in traces(curve_chart(replace(DATA, points=back)))
    assert "95 % interval" not in traces(curve_chart(replace(DATA, points=DATA.points[:1])))


def test_every_interval_is_drawn_somewhere() -> None:
    """Accuracy as a band or as bars, latency as bars."""
    back = (at(0.0, 3.0, 0.9), at(0.5, 1.0, 0.8), at(0.9, 2.0, 0.2))
    figure = curve_chart(replace(DATA, x="latency_ms", span=None, points=back))
    curve = traces(figure)["amount"]
    assert curve.error_x.array == pytest.approx((0.2, 0.2, 0.2))
    assert curve.error_x.arrayminus == pytest.approx((0.1, 0.1, 0.1))
    assert curve.error_y.array == pytest.approx((0.04, 0.04, 0.04))
    assert traces(curve_chart(DATA))["amount"].error_x.array is None


@pytest.mark.parametrize("axis", AXES)
def test_each_axis_has_its_name_and_unit(axis: str) -> None:
    layout = curve_chart(replace(DATA, x=axis)).layout
    assert layout.xaxis.title.text == LABELS.get(axis, "amount")
    assert layout.yaxis.title.text == "accuracy"


def test_counts_have_their_own_name_on_the_axis() -> None:
    layout = curve_chart(replace(DATA, axis="layers kept, of 11", span=(0, 11))).layout
    assert layout.xaxis.title.text == "layers kept, of 11"
    assert layout.xaxis.range[0] < 0 < 11 < layout.xaxis.range[1]


def test_axes_do_not_move_as_points_arrive() -> None:
    few = replace(DATA, points=DATA.points[:1], here=None)
    for x in ("coefficient", "parameters"):
        span = DATA.span if x == "coefficient" else None
        one, other = (curve_chart(replace(d, x=x, span=span, original=at(0.0, 5.0, 0.9))).layout for d in (DATA, few))
        assert one.xaxis.range == other.xaxis.range
        assert one.yaxis.range == other.yaxis.range == (0, 1.03)
        assert one.uirevision == other.uirevision


def test_the_view_is_kept_until_the_axis_is_another() -> None:
    revisions = {curve_chart(replace(DATA, x=x)).layout.uirevision for x in AXES}
    assert len(revisions) == len(AXES)
    assert curve_chart(replace(DATA, name="rank")).layout.uirevision not in revisions


def test_another_score_has_its_own_range() -> None:
    layout = curve_chart(replace(DATA, score="R²", unit="R²")).layout
    assert layout.yaxis.range is None
    assert layout.yaxis.title.text == "R²"


def test_it_is_said_on_how_many_examples_points_rest() -> None:
    results = [{"evaluated": {"examples": n, "of": 2000}} for n in (512, 2000, 1024)]
    assert rests_on(results) == (
        "2 of 3 points rest on 512 to 1,024 of 2,000 examples: until the difference from the original is known to "
        "± 1 point."
    )
    assert rests_on(results[1:2]) == rests_on([]) == ""

"""The charts of a report: one figure against the score, one colour a method, the frontier drawn."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from dashboard.charts import FRAME, LABELS, SCALE, recipe_colour
from dashboard.picture import Picture
from dashboard.words import interval, quantity, t, title
from engine import Estimate, Point, Tradeoff, recipe_in_words

# Names of colours that the page's script looks up, for they hang on light and dark.
TEXT, MUTED = "--text", "--muted"
SYMBOLS = ("circle", "square", "triangle-up", "cross", "star", "hexagon", "x", "pentagon")
FADED = 0.3
WIDE = 110  # characters of a recipe in a hover


def chart(points: Sequence[Point], standing: Tradeoff, x: str) -> Picture:
    """The points of one tradeoff; their numbers are those of the report's tables, counted from 1."""
    figure = Picture()
    shown = [*standing.frontier, *standing.dominated]
    first = points[min(shown)]
    _add_frontier(figure, points, standing, x)
    for number, name in enumerate(sorted({kind_of_recipe(points[i]) for i in shown})):
        chosen = sorted(i for i in shown if kind_of_recipe(points[i]) == name)
        _add_points(figure, points, chosen, (name, x, SYMBOLS[number % len(SYMBOLS)]), standing)
    before = first.original.get(x), first.original[first.score]
    shows_it = any(not points[i].recipe and not points[i].content for i in shown)
    if not shows_it and before[0] is not None and before[0].value is not None and before[1].value is not None:
        figure.add_scatter(
            x=[SCALE.get(x, 1.0) * before[0].value], y=[before[1].value], mode="markers", name=t("original"),
            marker={"size": 12, "color": MUTED, "symbol": "diamond-open"}, hoverinfo="name",
        )  # fmt: skip
    if standing.knee is not None:
        at = points[standing.knee]
        figure.add_annotation(
            x=SCALE.get(x, 1.0) * _value(at.variant[x]), y=_value(at.variant[at.score]), text=t("knee"),
            showarrow=True, ax=24, ay=28, font={"color": TEXT, "size": 12}, arrowcolor=MUTED,
        )  # fmt: skip
    figure.update_layout(_layout(first, x))
    return figure


def kind_of_recipe(point: Point) -> str:
    """The methods of a point's recipe, in order: what the chart's legend says."""
    if point.made_elsewhere:
        return t("made elsewhere")
    return " + ".join(title(step.name) for step in point.recipe) or t("original")


def _add_frontier(figure: Picture, points: Sequence[Point], standing: Tradeoff, x: str) -> None:
    places = [points[i].variant for i in standing.frontier]
    figure.add_scatter(
        x=[SCALE.get(x, 1.0) * _value(one[x]) for one in places],
        y=[_value(points[i].variant[points[i].score]) for i in standing.frontier],
        mode="lines", name=t("frontier"), line={"color": MUTED, "width": 1.5, "shape": "hv"}, hoverinfo="skip",
    )  # fmt: skip


def _add_points(
    figure: Picture, points: Sequence[Point], chosen: Sequence[int], how: tuple[str, str, str], standing: Tradeoff
) -> None:
    name, x, symbol = how
    colour = MUTED if points[chosen[0]].made_elsewhere else recipe_colour(points[chosen[0]].recipe, None)
    look: dict[str, Any] = {"mode": "markers", "name": escape(name), "legendgroup": escape(name)}
    marker = {"size": 9, "color": colour, "symbol": symbol}
    figure.add_scatter(x=[None], y=[None], marker=marker, **look)  # for the legend alone: all others may be faded
    for faded in (False, True):
        some = [i for i in chosen if (i in standing.dominated) == faded]
        if some:
            more = {"showlegend": False, "marker": marker, "opacity": FADED if faded else 1.0}
            _add_markers(
                figure,
                points,
                some,
                x,
                {**look, **more, "hovertext": [_hover(points[i], i, x, standing) for i in some]},
            )


def _add_markers(figure: Picture, points: Sequence[Point], chosen: Sequence[int], x: str, look: dict[str, Any]) -> None:
    k, colour = SCALE.get(x, 1.0), look["marker"]["color"]
    across, along = [points[i].variant[x] for i in chosen], [points[i].variant[points[i].score] for i in chosen]
    figure.add_scatter(
        x=[k * _value(one) for one in across], y=[_value(one) for one in along],
        hovertemplate="%{hovertext}<extra></extra>",
        error_x=_errors(across, k, colour) if any(one.low != one.high for one in across) else None,
        error_y=_errors(along, 1.0, colour), **look,
    )  # fmt: skip


def _errors(found: Sequence[Estimate], k: float, colour: str) -> dict[str, object]:
    return {
        "type": "data", "symmetric": False, "thickness": 1, "width": 2, "color": colour,
        "array": [k * (_end(one.high, one) - _value(one)) for one in found],
        "arrayminus": [k * (_value(one) - _end(one.low, one)) for one in found],
    }  # fmt: skip


def _hover(point: Point, index: int, x: str, standing: Tradeoff) -> str:
    """What stands beside a point: Plotly reads tags in it, so every text of others is escaped."""
    score = point.variant[point.score]
    words = point.label if point.made_elsewhere else recipe_in_words(point.recipe)
    lines = [
        f"<b>{index + 1}</b> {escape(words[:WIDE])}",
        f"{escape(title(point.score))} {said(score)}",
        f"{escape(title(x))} {said(point.variant[x])}",
        escape(standing_in_words(standing, index)),
    ]
    return "<br>".join(lines)


def standing_in_words(standing: Tradeoff, index: int) -> str:
    """Where a point stands, points counted from 1: "knee of the frontier", "dominated by 3"."""
    if index == standing.knee:
        return t("knee of the frontier")
    if index in standing.frontier:
        return t("on the frontier")
    if index not in standing.dominated:
        return t("a figure is missing")
    beaten = standing.dominated[index]
    by = ", ".join(str(i + 1) for i in beaten.by)
    if beaten.certain:
        return t("dominated by {by}, beyond the intervals", by=by)
    return t("dominated by {by}, within the intervals", by=by)


def said(one: Estimate) -> str:
    """A figure with its interval, escaped."""
    if one.value is None:
        return escape(one.reason)
    return escape(f"{quantity(one.value, one.unit)} ({interval(one)})")


def _value(one: Estimate) -> float:
    return float(one.value or 0.0)


def _end(end: float | None, one: Estimate) -> float:
    return _value(one) if end is None else end


def _layout(first: Point, x: str) -> dict[str, Any]:
    across = escape(t(LABELS.get(x, title(x))))
    vertical: dict[str, object] = {"title": {"text": escape(title(first.score))}, "gridcolor": "--grid"}
    if first.variant[first.score].unit == "fraction":
        vertical["tickformat"] = ".0%"
    return {
        **FRAME, "xaxis": {"title": {"text": across}, "gridcolor": "--grid", "rangemode": "tozero"}, "yaxis": vertical,
        "font": {"color": TEXT, "family": "system-ui, sans-serif"}, "paper_bgcolor": "--page", "plot_bgcolor": "--page",
        "height": 420, "hoverlabel": {"align": "left"},
    }  # fmt: skip

"""Numbers to figures: first a frozen record, then the picture of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from dashboard.forms import kept_of
from dashboard.live_chart import MUTED, TEXT
from dashboard.picture import Picture
from dashboard.words import interval, quantity, t, title
from engine import Estimate, Recipe, available_methods

# Okabe and Ito's colours, told apart by everybody, their yellow darkened to show on white; a method has the same one
# everywhere.
OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#A6761D", "#AA4466")
LABELS = {
    "parameters": "Parameters",
    "nonzero": "Parameters that are not zero",
    "multiply_adds": "Multiply-adds for one example",
    "size_bytes": "Size in MB",
    "latency_ms": "Latency in ms, batch of 1",
    "latency_ms_64": "Latency in ms, batch of 64",
}
SCALE = {"size_bytes": 1e-6}
FRAME = {
    "template": "none",
    "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    "margin": {"l": 56, "r": 12, "t": 36, "b": 48},
}


def method_colour(name: str) -> str:
    """The colour of a method."""
    names = sorted(available_methods())
    return OKABE_ITO[names.index(name) % len(OKABE_ITO)]


def recipe_colour(recipe: Recipe, vary: tuple[int, str] | None) -> str:
    """The colour of the step that is varied, or of the first."""
    return method_colour(recipe.step(vary[0] if vary else 0).name) if len(recipe) else OKABE_ITO[0]


@dataclass(frozen=True)
class CurvePoint:
    """One measured point: the coefficient's value, the place, and both intervals."""

    value: float
    x: float
    x_low: float
    x_high: float
    y: float
    y_low: float
    y_high: float
    hover: str


@dataclass(frozen=True)
class CurveData:
    """All that the tradeoff chart shows.

    points      of the curve, by rising coefficient
    here        the current recipe, original the model before it; None while they are not measured
    span        the range of the coefficient, where it is the horizontal axis
    random      the curve of the same step choosing at random
    bare        the curve without its repair
    baselines   the original in other numbers, by name
    axis        what it is called there, where not by its name
    unit        of the score
    """

    name: str
    x: str
    score: str
    colour: str
    points: tuple[CurvePoint, ...]
    here: CurvePoint | None
    original: CurvePoint | None
    chance: float
    span: tuple[float, float] | None
    axis: str = ""
    unit: str = "fraction"
    random: tuple[CurvePoint, ...] = ()
    bare: tuple[CurvePoint, ...] = ()
    baselines: tuple[tuple[str, CurvePoint], ...] = ()


def figures_of(result: Mapping[str, object], side: str) -> dict[str, Estimate]:
    """One side of a measured point, from plain data."""
    plain = cast("Mapping[str, Mapping[str, object]]", result[side])
    return {name: Estimate(**cast("dict[str, object]", e)) for name, e in plain.items()}  # type: ignore[arg-type]


def score_of(result: Mapping[str, object], side: str) -> Estimate:
    """The task's score of one side of a measured point, whatever it is called."""
    return figures_of(result, side)[str(result.get("score", "accuracy"))]


def curve_point(result: Mapping[str, object], value: float, axis: str, things: int | None = None) -> CurvePoint | None:
    """A measured point on the chart; None where its accuracy or place is missing.

    value     of the coefficient
    things    how many layers or nodes it is a share of: then its place is how many are kept
    """
    figures = figures_of(result, "variant")
    y, place = score_of(result, "variant"), figures.get(axis)
    if place is None:
        at = float(kept_of(value, things)) if things else value
        place = Estimate.exact(at, "")
    if None in (y.value, place.value):
        return None
    k = SCALE.get(axis, 1.0)
    xs = [k * cast("float", v) for v in (place.value, place.low, place.high)]
    ys = [cast("float", v) for v in (y.value, y.low, y.high)]
    hover = _hover(figures, y, cast("Mapping[str, object]", result["protocol"]))
    return CurvePoint(value, xs[0], xs[1], xs[2], ys[0], ys[1], ys[2], hover)


def _hover(figures: Mapping[str, Estimate], y: Estimate, protocol: Mapping[str, object]) -> str:
    ms = figures["latency_ms"]
    low, high = (quantity(cast("float", v), y.unit) for v in (y.low, y.high))
    lines = [f"{quantity(cast('float', y.value), y.unit)} ({low} to {high}), n = {y.n:,}"]
    for name in ("parameters", "nonzero", "multiply_adds", "size_bytes"):
        e = figures[name]
        lines.append(
            f"{quantity(e.value, e.unit)} {title(name)}" if e.value is not None else f"{title(name)}: {e.reason}"
        )
    if ms.value is not None:
        lines.append(f"{quantity(ms.value, 'ms')} ({interval(ms)}) at batch 1")
    lines.append(
        t(
            "{device}, {threads} threads, torch {version}",
            device=protocol["device"],
            threads=protocol["threads"],
            version=protocol["torch_version"],
        )
    )
    return "<br>".join(lines)


def curve_chart(data: CurveData) -> Picture:
    """The tradeoff chart: curve with its band, original, chance, and the current recipe."""
    figure = Picture()
    _add_band(figure, data)
    placed = [p for p in data.points if p]
    figure.add_scatter(
        x=[p.x for p in placed], y=[p.y for p in placed], customdata=[p.value for p in placed],
        mode="lines+markers", name=title(data.name), hovertext=[p.hover for p in placed],
        hovertemplate=f"<b>{title(data.name)} = %{{customdata:.4g}}</b><br>%{{hovertext}}<extra></extra>",
        line={"color": data.colour, "width": 2}, marker={"size": 7, "color": data.colour},
        error_x=errors(placed, data.colour, "x") if data.x.startswith("latency") else None,
        error_y=None if one_way(placed) else errors(placed, data.colour),
    )  # fmt: skip
    _add_other(figure, data, data.bare, t("without repair"), {"color": data.colour, "width": 1.5, "dash": "dash"})
    _add_other(figure, data, data.random, t("chosen at random"), {"color": MUTED, "width": 1.5, "dash": "dot"})
    for (name, point), symbol in zip(data.baselines, ("triangle-up-open", "square-open"), strict=False):
        _add_single(
            figure, point, t("original in {numbers}", numbers=name), {"size": 11, "color": MUTED, "symbol": symbol}
        )
    if data.original is not None:
        _add_single(figure, data.original, t("original"), {"size": 13, "color": MUTED, "symbol": "diamond"})
        figure.add_hline(y=data.original.y, line={"color": MUTED, "width": 1, "dash": "dash"})
    if data.here is not None:
        ring = {"size": 17, "color": data.colour, "line": {"color": TEXT, "width": 2}}
        _add_single(figure, data.here, t("this recipe"), ring, meta="here")
    figure.add_hline(y=data.chance, line={"color": MUTED, "width": 1, "dash": "dot"})
    figure.add_annotation(
        x=0.5, xref="paper", y=data.chance, yanchor="bottom", xanchor="center", showarrow=False, text=t("chance"),
        font={"color": MUTED, "size": 12},
    )  # fmt: skip
    figure.update_layout(_layout(data))
    return figure


def _add_band(figure: Picture, data: CurveData) -> None:
    ordered = sorted(data.points, key=lambda p: p.x)
    if len(ordered) < 2 or not one_way(data.points):
        return
    figure.add_scatter(
        x=[p.x for p in ordered] + [p.x for p in reversed(ordered)],
        y=[p.y_high for p in ordered] + [p.y_low for p in reversed(ordered)],
        fill="toself", fillcolor=faint(data.colour), line={"width": 0}, mode="lines", hoverinfo="skip",
        name=t("95 % interval"), showlegend=True,
    )  # fmt: skip


def _add_other(
    figure: Picture, data: CurveData, points: Sequence[CurvePoint], name: str, line: dict[str, object]
) -> None:
    """Another curve over the same values: thin, beside the one that is followed."""
    if not points:
        return
    figure.add_scatter(
        x=[p.x for p in points], y=[p.y for p in points], mode="lines+markers", name=name,
        hovertext=[f"{title(data.name)} = {p.value:.4g}<br>{p.hover}" for p in points],
        hovertemplate=f"<b>{name}</b><br>%{{hovertext}}<extra></extra>",
        line=line, marker={"size": 4, "color": line["color"]},
        error_y=errors(points, str(line["color"])),
    )  # fmt: skip


def one_way(points: Sequence[CurvePoint]) -> bool:
    """Whether the horizontal axis only rises, or only falls, along the curve: then a band can be drawn."""
    places = [p.x for p in points]
    return places in (sorted(places), sorted(places, reverse=True))


def faint(colour: str) -> str:
    """The colour of a band around a line."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"


def errors(points: Sequence[CurvePoint], colour: str, along: str = "y") -> dict[str, object]:
    """The intervals of points as bars in that colour."""
    ends = [(p.x_low, p.x, p.x_high) if along == "x" else (p.y_low, p.y, p.y_high) for p in points]
    return {
        "type": "data", "symmetric": False, "thickness": 1, "width": 3, "color": colour,
        "array": [high - at for _, at, high in ends], "arrayminus": [at - low for low, at, _ in ends],
    }  # fmt: skip


def _add_single(
    figure: Picture, point: CurvePoint, name: str, marker: dict[str, object], meta: str | None = None
) -> None:
    figure.add_scatter(
        x=[point.x], y=[point.y], mode="markers", name=name, marker=marker, hovertext=[point.hover], meta=meta,
        hovertemplate=f"<b>{name}</b><br>%{{hovertext}}<extra></extra>",
        error_y={
            "type": "data", "symmetric": False, "color": MUTED, "thickness": 1.5, "width": 4,
            "array": [point.y_high - point.y], "arrayminus": [point.y - point.y_low],
        },
    )  # fmt: skip


def _layout(data: CurveData) -> dict[str, object]:
    axis: dict[str, object] = {"title": {"text": t(LABELS.get(data.x, data.axis or title(data.name)))}}
    if data.span is not None:
        low, high = data.span
        margin = 0.03 * (high - low or 1)
        axis["range"] = [low - margin, high + margin]
    elif data.original is not None:
        beside = [*data.random, *data.bare, *(point for _, point in data.baselines)]
        shown = [data.original, *([data.here] if data.here else []), *data.points, *beside]
        axis["range"] = [0, 1.06 * max(p.x_high for p in shown)]
    vertical: dict[str, object] = {"title": {"text": t(data.score)}}
    if data.unit == "fraction":
        vertical |= {"tickformat": ".0%", "range": [0, 1.03]}
    return {**FRAME, "xaxis": axis, "yaxis": vertical, "uirevision": f"{data.x} {data.name}"}

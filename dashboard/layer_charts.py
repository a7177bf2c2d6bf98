"""Layers and batch sizes as numbers and as figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from dashboard.charts import FRAME
from dashboard.live_chart import MUTED, TEXT
from dashboard.words import share, t

SIDES = ("original", "variant")


@dataclass(frozen=True)
class LayersData:
    """Every layer at one batch size: its part of the time, and what is lost where it is treated alone.

    falls     (value, low, high) of the score, None where the step does not treat the layer
    """

    names: tuple[str, ...]
    shares: tuple[float, ...]
    falls: tuple[tuple[float, float, float] | None, ...]
    score: str
    colour: str


def layers_data(result: Mapping[str, Any], batch: str, score: str, colour: str) -> LayersData:
    """From the plain data of a job."""
    rows = [row for row in result["layers"] if row["shape"] is not None]
    falls = [row["sensitivity"] for row in rows]
    known = [None if f is None or f["value"] is None else (f["value"], f["low"], f["high"]) for f in falls]
    shares = tuple(row["batches"][batch]["share"] for row in rows)
    return LayersData(tuple(row["layer"] or t("(all)") for row in rows), shares, tuple(known), score, colour)


def layers_chart(data: LayersData) -> go.Figure:
    """Two bars a layer, side by side: the time that it takes, and the fall of the score, with its interval."""
    figure = go.Figure()
    figure.add_bar(
        y=data.names, x=data.shares, orientation="h", name=t("share of the time"), marker={"color": MUTED},
        xaxis="x", hovertemplate="%{y}: %{x:.1%}<extra></extra>",
    )  # fmt: skip
    treated = [(name, fall) for name, fall in zip(data.names, data.falls, strict=True) if fall is not None]
    figure.add_scatter(
        y=[name for name, _ in treated], x=[fall[0] for _, fall in treated], mode="markers", xaxis="x2",
        name=t("fall of {score} where treated alone", score=data.score), marker={"color": data.colour, "size": 8},
        error_x={
            "type": "data", "symmetric": False, "thickness": 1.5, "width": 3, "color": data.colour,
            "array": [fall[2] - fall[0] for _, fall in treated],
            "arrayminus": [fall[0] - fall[1] for _, fall in treated],
        },
        hovertemplate="%{y}: %{x:.4f}<extra></extra>",
    )  # fmt: skip
    figure.add_vline(x=0, line={"color": MUTED, "width": 1}, xref="x2")
    order = {"autorange": "reversed", "automargin": True, "categoryorder": "array", "categoryarray": data.names}
    figure.update_layout(
        {**FRAME, "yaxis": order, "uirevision": "layers"},
        xaxis={"domain": [0, 0.42], "tickformat": ".0%", "title": {"text": t("share of the time")}},
        xaxis2={"domain": [0.5, 1], "anchor": "y", "title": {"text": t("fall of {score}", score=data.score)}},
    )
    return figure


@dataclass(frozen=True)
class RooflineData:
    """Every layer against the ceilings of the machine.

    points      side -> (layer, multiply-adds per byte, multiply-adds a second, milliseconds)
    products    multiply-adds a second of the best matrix product
    copies      bytes a second of the best copy
    """

    points: Mapping[str, tuple[tuple[str, float, float, float], ...]]
    products: float
    copies: float


def roofline_data(result: Mapping[str, Any], batch: str) -> RooflineData:
    """From the plain data of a job; layers without products or time are left out."""
    found: dict[str, tuple[tuple[str, float, float, float], ...]] = {}
    for side, name in zip(("before", "after"), SIDES, strict=True):
        rows = [(row["layer"], row["batches"][batch][side]) for row in result["layers"]]
        found[name] = tuple(
            (layer, c["multiply_adds"] / c["moved_bytes"], c["multiply_adds"] / c["time_ms"] * 1e3, c["time_ms"])
            for layer, c in rows
            if c is not None and c["multiply_adds"] and c["moved_bytes"] and c["time_ms"]
        )
    machine = result["machine"]
    return RooflineData(found, machine["multiply_adds_per_s"], machine["bytes_per_s"])


def roofline_chart(data: RooflineData, colour: str) -> go.Figure:
    """Multiply-adds a second over multiply-adds per byte, on two log axes, below the machine's roof."""
    figure = go.Figure()
    ridge = data.products / data.copies
    across = [x for points in data.points.values() for _, x, _, _ in points] or [ridge]
    ends = sorted({min(*across, ridge) / 2, ridge, max(*across, ridge) * 2})
    figure.add_scatter(
        x=ends, y=[min(x * data.copies, data.products) for x in ends], mode="lines", hoverinfo="skip",
        name=t("what this machine can do: a copy, a matrix product"), line={"color": TEXT, "width": 1.5},
    )  # fmt: skip
    most = max((ms for points in data.points.values() for *_, ms in points), default=1.0)
    for (side, points), fill in zip(data.points.items(), (MUTED, colour), strict=True):
        figure.add_scatter(
            x=[x for _, x, _, _ in points], y=[y for _, _, y, _ in points], mode="markers", name=t(side),
            marker={"color": fill, "size": [6 + 18 * (ms / most) ** 0.5 for *_, ms in points], "opacity": 0.75},
            text=[f"{layer or t('(all)')}<br>{ms:.3g} ms" for layer, *_, ms in points],
            hovertemplate=f"<b>{t(side)}</b> %{{text}}<br>%{{y:.3g}} multiply-adds a second<extra></extra>",
        )  # fmt: skip
    figure.update_layout(FRAME, uirevision="roofline")
    figure.update_xaxes(type="log", title_text=t("multiply-adds per byte moved"))
    figure.update_yaxes(type="log", title_text=t("multiply-adds a second"))
    return figure


@dataclass(frozen=True)
class BatchesData:
    """Latency in milliseconds at every batch size, (value, low, high), by side."""

    batches: tuple[int, ...]
    times: Mapping[str, tuple[tuple[float, float, float], ...]]


def batches_data(result: Mapping[str, Any]) -> BatchesData:
    """From the plain data of a point that was timed at many batch sizes."""
    sizes = tuple(result["protocol"]["batches"])
    names = ["latency_ms" if size == 1 else f"latency_ms_{size}" for size in sizes]
    times = {side: tuple(tuple(result[side][n][k] for k in ("value", "low", "high")) for n in names) for side in SIDES}
    return BatchesData(sizes, times)


def batches_chart(data: BatchesData, colour: str, throughput: bool) -> go.Figure:
    """Latency, or examples a second, over the batch size, with 95 % bands."""
    figure = go.Figure()
    for side, line in zip(SIDES, (MUTED, colour), strict=True):
        rows = [
            _per_second(row, size) if throughput else row
            for row, size in zip(data.times[side], data.batches, strict=True)
        ]
        figure.add_scatter(
            x=data.batches, y=[value for value, _, _ in rows], mode="lines+markers", name=t(side),
            line={"color": line, "width": 2}, marker={"size": 6, "color": line}, error_y=_ends(rows, line),
            hovertemplate=f"<b>{t(side)}</b>, batch %{{x}}: %{{y:.4g}}<extra></extra>",
        )  # fmt: skip
    figure.update_layout(FRAME, uirevision=f"batches {throughput}")
    figure.update_xaxes(type="log", title_text=t("batch size"), tickvals=data.batches)
    figure.update_yaxes(type="log", title_text=t("examples a second") if throughput else t("latency in ms"))
    return figure


def _per_second(row: tuple[float, float, float], size: int) -> tuple[float, float, float]:
    value, low, high = (1e3 * size / ms for ms in row)
    return value, high, low


def _ends(rows: Sequence[tuple[float, float, float]], colour: str) -> dict[str, object]:
    return {
        "type": "data", "symmetric": False, "thickness": 1, "width": 3, "color": colour,
        "array": [high - value for value, _, high in rows], "arrayminus": [value - low for value, low, _ in rows],
    }  # fmt: skip


def in_words(data: BatchesData) -> str:
    """The chart for who does not see it."""
    ratios = [b[0] / a[0] for a, b in zip(data.times["original"], data.times["variant"], strict=True)]
    said = ", ".join(f"{size}: {share(r, 0)}" for size, r in zip(data.batches, ratios, strict=True))
    return t("The variant's time as a share of the original's, by batch size: {said}", said=said)

"""Pins on the tradeoff chart: what is kept to compare, with the line of those that no other one beats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.charts import CurvePoint, errors
from dashboard.live_chart import MUTED, TEXT
from dashboard.picture import Picture
from dashboard.words import t

FADED = 0.35


@dataclass(frozen=True)
class Pinned:
    """One pin with its place.

    beaten    another one is as small and as good, and better in one of both
    knee      of those that are not, it lies farthest from the line between the first and the last
    """

    letter: str
    name: str
    colour: str
    point: CurvePoint
    beaten: bool = False
    knee: bool = False


def add_pins(figure: Picture, pins: Sequence[Pinned]) -> None:
    """Draw them over the curve: the letter of each, and the frontier; a click on one opens it."""
    if not pins:
        return
    best = sorted((pin for pin in pins if not pin.beaten), key=lambda pin: pin.point.x)
    if len(best) > 1:
        figure.add_scatter(
            x=[pin.point.x for pin in best], y=[pin.point.y for pin in best], mode="lines", hoverinfo="skip",
            name=t("frontier of the pins"), line={"color": MUTED, "width": 1.5, "dash": "dashdot"},
        )  # fmt: skip
    points = [pin.point for pin in pins]
    figure.add_scatter(
        x=[p.x for p in points], y=[p.y for p in points], mode="markers+text", name=t("pins"),
        text=[f"<b>{pin.letter}</b>" for pin in pins], textposition="top center", textfont={"color": TEXT, "size": 14},
        customdata=[pin.letter for pin in pins],
        hovertext=[f"<b>{pin.letter}: {pin.name}</b>{_said(pin)}<br>{pin.point.hover}" for pin in pins],
        hovertemplate="%{hovertext}<extra></extra>",
        marker={
            "size": [14 if pin.knee else 11 for pin in pins], "color": [pin.colour for pin in pins],
            "symbol": ["star" if pin.knee else "circle" for pin in pins],
            "opacity": [FADED if pin.beaten else 1.0 for pin in pins], "line": {"color": TEXT, "width": 1},
        },
        error_y=errors(points, MUTED),
    )  # fmt: skip


def _said(pin: Pinned) -> str:
    if pin.beaten:
        return "<br>" + t("another pin is at least as small and as good")
    return "<br>" + t("the knee of the frontier") if pin.knee else ""

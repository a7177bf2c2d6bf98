"""The weights of one layer before and after, as numbers and as figures."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.charts import FRAME, faint
from dashboard.live_chart import MUTED, theme_color
from dashboard.picture import Picture
from dashboard.words import t


@dataclass(frozen=True)
class WeightsData:
    """The weights of one layer before and after: bins, counts and pairs (w, f(w))."""

    edges: tuple[float, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    curve: tuple[tuple[float, float], ...]
    colour: str

    @property
    def middles(self) -> list[float]:
        """The middle of each bin."""
        return [(a + b) / 2 for a, b in zip(self.edges, self.edges[1:], strict=False)]


def histogram_chart(data: WeightsData) -> Picture:
    """How many weights have which size, before and after."""
    figure = Picture()
    for name, counts, colour, fill, meta in (
        (t("before"), data.before, MUTED, theme_color("muted", 0.25), None),
        (t("after"), data.after, data.colour, faint(data.colour), "weights"),  # which follows a slider's drag
    ):
        if counts:
            figure.add_scatter(
                x=data.middles, y=list(counts), name=name, meta=meta, mode="lines", fill="tozeroy", fillcolor=fill,
                line={"color": colour, "width": 1.5, "shape": "hvh"},
                hovertemplate=f"{name}: %{{y:,}} weights near %{{x:.3g}}<extra></extra>",
            )  # fmt: skip
    across, up = {"title": {"text": t("weight")}}, {"title": {"text": t("how many, log scale")}, "type": "log"}
    figure.update_layout(FRAME, uirevision="histogram", xaxis=across, yaxis=up)
    return figure


def transfer_chart(data: WeightsData) -> Picture:
    """What became of each weight: w against f(w), beside the line of no change."""
    figure = Picture()
    if data.curve:
        ends = [data.curve[0][0], data.curve[-1][0]]
        figure.add_scatter(
            x=ends,
            y=ends,
            mode="lines",
            name=t("no change"),
            line={"color": MUTED, "width": 1, "dash": "dash"},
            hoverinfo="skip",
        )
        figure.add_scatter(
            x=[w for w, _ in data.curve], y=[f for _, f in data.curve], mode="markers", name="f(w)",
            marker={"color": data.colour, "size": 4}, hovertemplate="w = %{x:.4g}<br>f(w) = %{y:.4g}<extra></extra>",
        )  # fmt: skip
    figure.add_hline(y=0, line={"color": MUTED, "width": 0.5})
    axes = {"xaxis": t("weight w before"), "yaxis": t("weight f(w) after")}
    figure.update_layout(
        FRAME, uirevision="transfer", **{name: {"title": {"text": text}} for name, text in axes.items()}
    )
    return figure

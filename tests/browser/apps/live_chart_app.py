"""A page with one live chart: a curve with its interval, a line in the theme's colour, what was picked."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from dashboard.live_chart import MUTED, PRIMARY, TEXT, live_chart, theme_color


def figure(points: int) -> go.Figure:
    x = np.linspace(0, 1, points)
    y = 1 - x**2
    band = go.Scatter(
        x=np.concatenate([x, x[::-1]]),
        y=np.concatenate([y - 0.05, (y + 0.05)[::-1]]),
        fill="toself",
        fillcolor=theme_color("primary", 0.2),
        line_width=0,
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
    )
    curve = go.Scatter(
        x=x, y=y, mode="lines+markers", name="accuracy", customdata=list(range(points)), marker={"color": PRIMARY}
    )
    other = go.Scatter(x=x, y=y / 2, mode="lines", name="half of it", line={"color": "#D55E00"})
    chart = go.Figure([band, curve, other])
    chart.add_hline(y=0.1, line={"color": TEXT, "dash": "dot"}, annotation={"text": "chance", "font": {"color": MUTED}})
    return chart.update_layout(
        template="none",
        title="Accuracy over amount",
        xaxis={"title": "amount", "range": [-0.05, 1.05]},
        yaxis={"title": "accuracy", "range": [0, 1.1]},
    )


def remember() -> None:
    st.session_state["called_back"] = st.session_state["chart"]["picked"]["customdata"]


def main() -> None:
    points = st.slider("points", 5, 50, 10, key="points")
    if st.checkbox("shown", value=True, key="shown"):
        picked = live_chart(figure(points), key="chart", alt="Accuracy falls as more is removed", on_pick=remember)
        st.text(f"picked: {picked['customdata'] if picked else None}")
    st.text(f"called back: {st.session_state.get('called_back')}")


if __name__ == "__main__":
    main()

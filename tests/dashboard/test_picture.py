"""A plain figure is the one that Plotly would have built by the same calls."""

from __future__ import annotations

import json
import math

import plotly.graph_objects as go

from dashboard.picture import Picture


def drawn(figure: go.Figure | Picture) -> go.Figure | Picture:
    """All calls that a chart makes."""
    figure.add_scatter(x=[0, 1], y=[2.0, 3.0], name="a", mode="lines", line={"color": "#0072B2"}, error_y=None)
    figure.add_scatter(x=[0.5], y=[2.5], customdata=[7], marker={"size": 3})
    figure.add_hline(y=2.2, line={"dash": "dot", "width": 1})
    figure.add_hline(y=2.8, line={"color": "var(--st-muted)"})
    figure.add_annotation(x=0.5, xref="paper", y=2.2, text="chance", showarrow=False)
    figure.update_layout({"template": "none", "margin": {"l": 5}}, uirevision="one", yaxis={"type": "log"})
    return figure


def test_the_same_calls_give_the_same_figure() -> None:
    ours, theirs = (json.loads(drawn(kind()).to_json(validate=False)) for kind in (Picture, go.Figure))
    assert theirs["layout"].pop("template") == {"data": {"scatter": [{"type": "scatter"}]}}  # it decides nothing
    assert ours == theirs


def test_what_json_has_no_word_for_is_null() -> None:
    figure = Picture()
    figure.add_scatter(x=[math.inf, 1.0], y=[math.nan, 2.0])
    (trace,) = json.loads(figure.to_json())["data"]
    assert (trace["x"], trace["y"]) == ([None, 1.0], [None, 2.0])

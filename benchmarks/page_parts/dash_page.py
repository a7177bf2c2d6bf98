"""The same chart and the same figures in Dash: `python dash_page.py PORT NUMBERS built|ready`.

It reads no store: all that it will show lies in its memory, as plain data. With "built" the callback makes Plotly's
figure of it, as a page in Dash is written; with "ready" it hands the plain data on, which is the least that it can do.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from dash import Dash, Input, Output, dcc, html


def make(numbers: dict[str, Any], build: bool) -> Dash:
    """The page: a slider, six figures, a chart."""
    app = Dash(__name__, update_title=None)
    amounts, start = [float(amount) for amount in numbers], "0.5"

    def shown(amount: str) -> tuple[Any, list[html.Div]]:
        point = numbers[amount]
        cards = [html.Div(text, className="figure") for text in point["texts"]]
        return (built(point["figure"]) if build else point["figure"]), cards

    figure, cards = shown(start)
    app.layout = html.Div(
        [
            dcc.Slider(min(amounts), max(amounts), 0.01, value=float(start), id="amount", marks=None),
            html.Div(cards, id="figures"),
            dcc.Graph(id="curve", figure=figure, style={"height": 400}),
        ]
    )

    @app.callback(Output("curve", "figure"), Output("figures", "children"), Input("amount", "value"))
    def move(amount: float) -> tuple[Any, list[html.Div]]:
        return shown(f"{amount:g}")

    return app


def built(plain: dict[str, Any]) -> go.Figure:
    """Plotly's own figure of the traces and the layout."""
    figure = go.Figure()
    for trace in plain["data"]:
        figure.add_trace(go.Scatter(**trace))
    figure.update_layout(**plain["layout"])
    return figure


if __name__ == "__main__":
    port, file, how = sys.argv[1:]
    page = make(json.loads(Path(file).read_text("utf-8")), how == "built")
    page.run(port=port, debug=False)

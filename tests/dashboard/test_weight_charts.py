"""The weights of one layer, drawn."""

from __future__ import annotations

from dataclasses import replace

import plotly.graph_objects as go

from dashboard import weight_charts
from dashboard.live_chart import MUTED
from dashboard.weight_charts import WeightsData

DATA = WeightsData(
    edges=(-1.0, 0.0, 1.0, 2.0),
    before=(3, 0, 5),
    after=(1, 6, 1),
    curve=((-0.5, 0.0), (1.5, 1.4)),
    colour="#009E73",
)


def histogram_chart(data: WeightsData) -> go.Figure:
    """The chart as Plotly takes it: what it would refuse is an error here."""
    return go.Figure(weight_charts.histogram_chart(data).to_dict())


def transfer_chart(data: WeightsData) -> go.Figure:
    """The chart as Plotly takes it."""
    return go.Figure(weight_charts.transfer_chart(data).to_dict())


def traces(figure: go.Figure) -> dict[str, go.Scatter]:
    return {trace.name: trace for trace in figure.data}


def test_each_bin_stands_at_its_middle() -> None:
    assert DATA.middles == [-0.5, 0.5, 1.5]
    assert len(DATA.middles) == len(DATA.before)


def test_the_histogram_shows_before_in_grey_and_after_in_the_methods_colour() -> None:
    figure = histogram_chart(DATA)
    found = traces(figure)
    assert set(found) == {"before", "after"}
    assert (found["before"].x, found["before"].y) == ((-0.5, 0.5, 1.5), (3, 0, 5))
    assert found["after"].y == (1, 6, 1)
    assert found["before"].line.color == MUTED
    assert found["after"].line.color == "#009E73"
    assert figure.layout.yaxis.type == "log"
    assert figure.layout.xaxis.title.text == "weight"


def test_a_layer_that_is_gone_has_no_after() -> None:
    assert set(traces(histogram_chart(replace(DATA, after=(), curve=())))) == {"before"}


def test_the_transfer_curve_stands_beside_the_line_of_no_change() -> None:
    figure = transfer_chart(DATA)
    found = traces(figure)
    assert (found["f(w)"].x, found["f(w)"].y) == ((-0.5, 1.5), (0.0, 1.4))
    assert found["f(w)"].mode == "markers"  # measured points are not joined
    assert found["no change"].x == found["no change"].y == (-0.5, 1.5)
    assert found["f(w)"].marker.color == "#009E73"


def test_without_a_curve_nothing_is_drawn() -> None:
    assert len(transfer_chart(replace(DATA, curve=())).data) == 0

"""A Plotly figure as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Picture:
    """Built by some of the calls that Plotly's own figure has, but nothing is checked or copied on the way.

    Plotly takes 5 to 20 ms to build one of the page's charts, and a move of a slider draws several. What it would
    find is found by the tests: each chart is held against its checks there.
    """

    def __init__(self) -> None:
        self.data: list[dict[str, Any]] = []
        self.layout: dict[str, Any] = {}

    def add_scatter(self, **trace: object) -> None:
        """Add points or a line; what is None is left out."""
        self.data.append({"type": "scatter", **{name: value for name, value in trace.items() if value is not None}})

    def add_hline(self, y: float, line: Mapping[str, object]) -> None:
        """Add a line from one side to the other."""
        ends = {"x0": 0, "x1": 1, "xref": "x domain", "y0": y, "y1": y, "yref": "y"}
        self.layout.setdefault("shapes", []).append({"type": "line", **ends, "line": line})

    def add_annotation(self, **annotation: object) -> None:
        """Add a text."""
        self.layout.setdefault("annotations", []).append(annotation)

    def update_layout(self, layout: Mapping[str, object], **more: object) -> None:
        """Set parts of the layout, each as a whole; no template is kept: the theme of the page is the only one."""
        self.layout |= {**layout, **more}
        self.layout.pop("template", None)

    def to_dict(self) -> dict[str, Any]:
        """What Plotly calls a figure."""
        return {"data": self.data, "layout": self.layout}

    def to_json(self, validate: bool = False) -> str:
        """The same as text; what JSON has no word for, like infinity, is null."""
        from plotly.io import json as plotly_json

        return str(plotly_json.to_json_plotly(self.to_dict()))

"""Our one Streamlit component: a Plotly chart whose node outlives the reruns of the script.

`st.plotly_chart` builds a new node whenever the data change, and with it goes the zoom. This one redraws in place.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dashboard.live_chart.bundle import ensure_bundle

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from dashboard.picture import Picture

__all__ = ["BACKGROUND", "MUTED", "PRIMARY", "TEXT", "live_chart", "theme_color"]


def theme_color(name: str, opacity: float = 1.0) -> str:
    """Name a colour of the page's theme ("text", "muted", "primary", "background"); the browser looks it up."""
    # Plotly for Python refuses what it does not know as a colour, but lets any var(--…) pass.
    return f"var(--st-{name})" if opacity == 1.0 else f"var(--st-{name}, {opacity:g})"


TEXT = theme_color("text")
MUTED = theme_color("muted")
PRIMARY = theme_color("primary")
BACKGROUND = theme_color("background")


def live_chart(
    figure: Figure | Picture, *, key: str, height: int = 420, alt: str = "", on_pick: Callable[[], None] | None = None
) -> dict[str, Any] | None:
    """Draw a figure in the node that `key` had in the last run; return the point clicked just before this run."""
    data = {
        "figure": figure.to_json(validate=False),
        "library": _library(),
        "name": key,
        "height": height,
        "alt": alt,
    }
    result = _component()(key=key, data=data, height=height, on_picked_change=on_pick or _nothing)
    picked: dict[str, Any] | None = result.get("picked")
    return picked


@lru_cache(maxsize=1)
def _library() -> str:
    # Once for the server: which version is installed takes a search of the disk.
    return ensure_bundle().name


@lru_cache(maxsize=1)
def _component() -> Callable[..., Any]:
    # Registered at the first drawing and not at import: without a running app Streamlit finds no manifest and raises.
    import streamlit as st

    # Plotly puts its styles into the head of the document, where a shadow root would not see them.
    return st.components.v2.component("secateur.live_chart", js="index.js", css="index.css", isolate_styles=False)


def _nothing() -> None:
    """Stand in for a callback: Streamlit reports only the triggers that have one."""

"""Our one Streamlit component: Plotly charts and figures whose nodes outlive the reruns of the script.

`st.plotly_chart` builds a new node whenever the data change, and with it goes the zoom. This one redraws in place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dashboard.live_chart.bundle import ensure_bundle
from dashboard.words import t

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from dashboard.picture import Picture

__all__ = ["ADDRESS", "BACKGROUND", "MUTED", "PRIMARY", "TEXT", "live_chart", "live_figures", "theme_color"]


NAME = "secateur.live_chart"
ADDRESS = f"/_stcore/bidi-components/{NAME}/"  # where Streamlit serves our files


def theme_color(name: str, opacity: float = 1.0) -> str:
    """Name a colour of the page's theme ("text", "muted", "primary", "background"); the browser looks it up."""
    # Plotly for Python refuses what it does not know as a colour, but lets any var(--…) pass.
    return f"var(--st-{name})" if opacity == 1.0 else f"var(--st-{name}, {opacity:g})"


TEXT = theme_color("text")
MUTED = theme_color("muted")
PRIMARY = theme_color("primary")
BACKGROUND = theme_color("background")


def live_chart(
    figure: Figure | Picture,
    *,
    key: str,
    height: int = 420,
    alt: str = "",
    on_pick: Callable[[], None] | None = None,
    follow: Mapping[str, object] | None = None,
) -> dict[str, Any] | None:
    """Draw a figure in the node that `key` had in the last run; return the point clicked just before this run.

    follow    the curve along which this chart, the figures and the histogram go while a slider is dragged
    """
    data = {
        "figure": figure.to_json(validate=False),
        "library": _library(),
        "name": key,
        "height": height,
        "alt": alt,
        "follow": follow,
    }
    result = _component()(key=key, data=data, height=height, on_picked_change=on_pick or _nothing)
    picked: dict[str, Any] | None = result.get("picked")
    return picked


def live_figures(cards: Sequence[Mapping[str, object]], *, key: str) -> None:
    """Draw figures in a row, where they can follow a slider that is dragged.

    cards    of each: name, unit, label, value, delta, tone ("good", "bad" or none), arrow ("up", "down" or none), note,
             help, open (whether its value is still to come)
    """
    words = {"between": t("between two points"), "beyond": t("beyond the last point")}
    _component()(key=key, data={"cards": list(cards), "words": words, "name": key}, on_picked_change=_nothing)


@lru_cache(maxsize=1)
def _library() -> str:
    # Once for the server: which version is installed takes a search of the disk.
    return ensure_bundle().name


@lru_cache(maxsize=1)
def _component() -> Callable[..., Any]:
    # Registered at the first drawing and not at import: without a running app Streamlit finds no manifest and raises.
    import streamlit as st

    # Plotly puts its styles into the head of the document, where a shadow root would not see them.
    return st.components.v2.component(NAME, js="index.js", css="index.css", isolate_styles=False)


def _nothing() -> None:
    """Stand in for a callback: Streamlit reports only the triggers that have one."""

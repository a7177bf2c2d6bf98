"""All methods on one chart: the page of a model to which nothing has been done yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import streamlit as st

from dashboard import cache, pinning, state
from dashboard.charts import curve_point
from dashboard.live_chart import live_chart
from dashboard.measuring import Wishes
from dashboard.overview import TRAINED_BY, Along, axis_of, mark_of, overview_chart
from dashboard.pin_chart import add_pins
from dashboard.view import View, first_vary
from dashboard.views import pins
from dashboard.words import plain, t
from engine import Recipe, SecateurError, available_methods


def show(view: View, wishes: Wishes) -> None:
    """Draw the chart, what is missing on it and why, and the button for what trains."""
    axis, first = axis_of(view), cache.runner().outcome(wishes.original)
    original = curve_point(first.result, 0.0, axis) if first.status == "done" else None
    outcomes = {job.key: cache.runner().outcome(job) for one in wishes.overview for job in one.jobs}
    results = {key: outcome.result for key, outcome in outcomes.items() if outcome.status == "done"}
    chart = overview_chart(wishes.overview, results, view, original)
    add_pins(chart, pins.pinned(replace(view, x=axis), wishes))
    done, of = len(results), len(outcomes)
    words = t("All methods on one chart, {done} of {n} points measured", done=done, n=of)
    live_chart(chart, key="overview", height=460, alt=words, on_pick=_pick)
    st.caption(t("Each method in its default form, from little to much. A click on a point opens it with its slider."))
    for method, why in _refused(wishes.overview, {key: o.error for key, o in outcomes.items() if o.error}).items():
        st.caption(t("{method}: {why}", method=t(available_methods()[method].title), why=plain(why)))
    trains = [t(available_methods()[one.method].title) for one in wishes.overview if one.trains]
    if trains and not state.marked("paid", mark_of(view)):
        st.button(
            t("Also what trains: {methods}", methods=", ".join(trains)), key="pay-overview",
            icon=":material/play_arrow:", on_click=lambda: state.mark("paid", mark_of(view)),
        )  # fmt: skip


def _refused(along: tuple[Along, ...], errors: Mapping[str, str]) -> dict[str, str]:
    """Of each method that could not be measured somewhere the first reason."""
    return {one.method: errors[key] for one in along for key in [j.key for j in one.jobs if j.key in errors][:1]}


def _pick() -> None:
    """A click on a point opens its recipe, with the curve of that method."""
    picked = st.session_state["overview"].get("picked")
    told = picked.get("customdata") if isinstance(picked, dict) else None
    if not isinstance(told, str):
        return
    if len(told) == 1:
        pinning.open_pin(told)
        return
    try:
        recipe = Recipe.parse(told)
    except SecateurError as error:
        state.complain(str(error))
        return
    vary = (0, TRAINED_BY) if recipe.trains else first_vary(recipe)
    state.show(replace(state.view(), recipe=recipe, off=frozenset(), vary=vary))

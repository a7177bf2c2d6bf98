"""Pins: what is kept to compare, whatever the sliders do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import streamlit as st

from dashboard import cache
from dashboard.charts import curve_point, figures_of, recipe_colour, score_of
from dashboard.measuring import Wishes
from dashboard.pin import LETTERS, MOST_PINS, Pin
from dashboard.pin_chart import Pinned
from dashboard.pinning import hold_beside, open_pin, pin, unpin
from dashboard.view import View
from dashboard.words import interval, plain, quantity, t, title
from engine import Estimate, Job, recipe_in_words, tradeoff


def pinned(view: View, wishes: Wishes) -> list[Pinned]:
    """The pins that have a place on the chart: those that are measured, and scored in the same way."""
    scores = cache.workload(view.model).task.figure
    found = []
    for letter, one, job in zip(LETTERS, view.pins, wishes.pins, strict=False):
        outcome = cache.runner().outcome(job)
        if outcome.status != "done" or outcome.result.get("score", "accuracy") != scores:
            continue
        point = curve_point(outcome.result, 0.0, view.x)
        if point is not None:
            found.append(Pinned(letter, _name(one), recipe_colour(one.recipe, None), point))
    return judged(found)


def judged(pins: Sequence[Pinned]) -> list[Pinned]:
    """The same with those that are beaten, and the knee of the others."""
    points = [pin.point for pin in pins]
    xs = [Estimate(p.x, p.x_low, p.x_high, 1, "") for p in points]
    found = tradeoff(xs, [Estimate(p.y, p.y_low, p.y_high, 1, "") for p in points])
    return [replace(pin, beaten=i in found.dominated, knee=i == found.knee) for i, pin in enumerate(pins)]


def _name(one: Pin) -> str:
    return f"{cache.model_title(one.model)}, {recipe_in_words(one.recipe)}"


def show(view: View, wishes: Wishes) -> None:
    """The button that pins, and a row for each pin with its figures."""
    with st.container(horizontal=True, vertical_alignment="center", key="pins"):
        full, there = len(view.pins) >= MOST_PINS, view.pin in view.pins
        note = "Keep this recipe on the chart, to compare it with whatever comes next. Pins are part of the link."
        st.button(
            t("Pin this recipe"), key="pin", icon=":material/keep:", on_click=pin, disabled=full or there, help=t(note)
        )
        if view.pins and view.x == "coefficient" and not wishes.overview:
            st.caption(t("Pins are drawn where the horizontal axis is parameters, size or latency."))
    for index, (one, job) in enumerate(zip(view.pins, wishes.pins, strict=True)):
        with st.container(horizontal=True, vertical_alignment="center", key=f"pin{index}"):
            st.markdown(f"**{LETTERS[index]}** {plain(_name(one))}", width="stretch")
            st.caption(_figures(job, one))
            st.button(
                t("Open"), key=f"open-pin{index}", type="tertiary", on_click=partial(open_pin, LETTERS[index]),
                disabled=one == view.pin,
            )  # fmt: skip
            st.button(
                t("Compare"), key=f"beside{index}", type="primary" if view.beside == LETTERS[index] else "tertiary",
                on_click=partial(hold_beside, LETTERS[index]),
            )  # fmt: skip
            st.button(
                t("Remove pin {letter}", letter=LETTERS[index]), key=f"unpin{index}", type="tertiary",
                icon=":material/close:", on_click=partial(unpin, index),
            )  # fmt: skip


def _figures(job: Job, one: Pin) -> str:
    outcome = cache.runner().outcome(job)
    if outcome.status == "failed":
        return plain(outcome.error)
    if outcome.status != "done":
        return t("not measured here: open it to train it") if one.recipe.trains else t("is being measured …")
    figures, score = figures_of(outcome.result, "variant"), score_of(outcome.result, "variant")
    told = [f"{quantity(score.value, score.unit)} ({interval(score)})"] if score.value is not None else []
    for name in ("parameters", "latency_ms"):
        value = figures[name].value
        if value is not None:
            told.append(f"{quantity(value, figures[name].unit)} {title(name) if name == 'parameters' else ''}".strip())
    return " · ".join(told)

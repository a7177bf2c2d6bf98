"""A training under way: its loss so far, and a button that ends it; and what is left of one that was ended."""

from __future__ import annotations

from typing import cast

import streamlit as st

from dashboard import cache
from dashboard.words import quantity, t
from engine import Job, Outcome, Task

HEIGHT = 160  # of the chart, pixels


def ended(outcome: Outcome) -> bool:
    """Whether the figures are those of a training that somebody ended, and not the recipe's."""
    return "ended" in outcome.result


def show(here: Job, outcome: Outcome, task: Task) -> None:
    """Draw the loss of the training that runs, or say where one was ended."""
    queue = cache.runner()
    if ended(outcome):
        at = cast("dict[str, int]", outcome.result["ended"])
        text = t(
            "The training was ended after step {step} of {steps}: these figures are not kept.",
            step=at["step"],
            steps=at["steps"],
        )
        st.info(text, icon=":material/info:")
        st.button(t("Train to the end"), key="to-the-end", on_click=lambda: queue.forget([here]))
        return
    partial = queue.partial(here)
    if outcome.status != "running" or not partial.get("losses") or partial["step"] == partial["steps"]:
        return
    steps, losses = zip(*cast("list[tuple[int, float]]", partial["losses"]), strict=True)
    with st.container(border=True, key="training"):
        seen = cast("float | None", partial.get("validation"))
        told = "" if seen is None else t(" · validation {value}", value=quantity(seen, task.unit))
        st.caption(t("Loss of the training: {loss}", loss=f"{losses[-1]:.4g}") + told)
        st.line_chart({"step": steps, "loss": losses}, x="step", y="loss", height=HEIGHT)
        st.button(
            t("Stop here, keep what it has"), key="enough", icon=":material/stop_circle:",
            on_click=lambda: queue.finish(here),
        )  # fmt: skip

"""The microscope: the weights of one layer before and after."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from dashboard import cache, state
from dashboard.charts import recipe_colour
from dashboard.live_chart import live_chart
from dashboard.measuring import Wishes
from dashboard.view import View
from dashboard.weight_charts import WeightsData, histogram_chart, transfer_chart
from dashboard.words import plain, sentence, share, t


def show(view: View, wishes: Wishes, asked: bool) -> None:
    """Draw the card of one layer's weights.

    asked    the recipe waits for a word of the reader, since it takes long
    """
    if wishes.weights is None:
        return
    job = wishes.weights
    with st.container(border=True, key="weights"):
        _picker(view, job.detail)
        outcome = cache.runner().outcome(job)
        if outcome.status == "failed":
            st.warning(sentence(outcome.error), icon=":material/warning:")
            return
        if outcome.status != "done":
            waits = t("The weights are shown once the recipe is measured.") if asked else t("Looking at the weights …")
            st.caption(waits)
            return
        _counts(outcome.result)
        data = weights_data(view, outcome.result)
        left, right = st.columns(2)
        with left:
            live_chart(
                histogram_chart(data), key="histogram", height=300, alt=t("Histogram of the weights before and after")
            )
        with right:
            if data.curve:
                live_chart(transfer_chart(data), key="transfer", height=300, alt=t("Each weight before against after"))
            else:
                st.info(t("No transfer curve: {why}.", why=plain(str(outcome.result["reason"]))))


def weights_data(view: View, result: dict[str, Any]) -> WeightsData:
    """The weights' record from plain data."""
    colour = recipe_colour(view.active, view.active_vary)
    curve = tuple((w, f) for w, f in result["curve"])
    return WeightsData(tuple(result["edges"]), tuple(result["before"]), tuple(result["after"]), curve, colour)


def _picker(view: View, layer: str) -> None:
    def changed(name: str) -> None:
        state.show(replace(state.view(), layer=name))

    state.put("layer", layer)
    st.selectbox(
        t("Weights of the layer"), cache.layers(view.model), key="layer", on_change=state.on_move("layer", changed)
    )


def _counts(result: dict[str, Any]) -> None:
    (n_before, n_after), (zeros_before, zeros_after) = result["n"], result["zeros"]
    parts = [
        t("{n} weights before, {m} after", n=f"{n_before:,}", m=f"{n_after:,}"),
        t("zeros: {a} before, {b} after", a=f"{zeros_before:,}", b=f"{zeros_after:,}"),
    ]
    if n_after:
        parts[1] += f" ({share(zeros_after / n_after)})"
    flipped = result["flipped"]
    if flipped is not None:
        parts.append(t("sign flipped: {n} ({share})", n=f"{flipped:,}", share=share(flipped / n_before)))
    st.markdown(" · ".join(parts))

"""A closer look: example by example, every layer, every batch size, what can be done. One click, nothing before it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import cache, state
from dashboard.charts import recipe_colour
from dashboard.layer_charts import (
    batches_chart,
    batches_data,
    in_words,
    layers_chart,
    layers_data,
    roofline_chart,
    roofline_data,
)
from dashboard.live_chart import live_chart
from dashboard.measuring import Wishes
from dashboard.view import CLOSER, View
from dashboard.views import examples, treatable
from dashboard.words import sentence, share, signed, t
from engine import Outcome

LABELS = {
    "accuracy": "Example by example", "layers": "Every layer", "batches": "Every batch size", "map": "What can be done",
}  # fmt: skip


def show(view: View, wishes: Wishes, here: Outcome) -> None:
    """Draw the four buttons, and what the pressed one shows."""

    def changed(closer: str | None) -> None:
        state.show(replace(state.view(), closer=closer or ""))

    with st.container(border=True, key="closer"):
        state.put("look-closer", view.closer or None)
        st.segmented_control(
            t("A closer look"), CLOSER, key="look-closer", on_change=state.on_move("look-closer", changed),
            format_func=lambda name: t(LABELS[name]),
        )  # fmt: skip
        if not view.closer:
            return
        outcome = here if wishes.closer is None else cache.runner().outcome(wishes.closer)
        if outcome.status == "failed":
            st.warning(sentence(outcome.error), icon=":material/warning:")
        elif outcome.status != "done":
            st.caption(_so_far(wishes))
        else:
            looks = {"accuracy": examples.show, "layers": _layers, "batches": _batches, "map": treatable.show}
            looks[view.closer](view, outcome.result)


def _so_far(wishes: Wishes) -> str:
    partial = cache.runner().partial(wishes.closer) if wishes.closer else {}
    if "layer" in partial:
        return t("Layer {n} of {of} is treated alone …", n=partial["layer"], of=partial["of"])
    return t("Being measured …")


def _colour(view: View) -> str:
    return recipe_colour(view.active, view.active_vary)


def _layers(view: View, result: dict[str, Any]) -> None:
    batches = list(result["layers"][0]["batches"]) if result["layers"] else []
    if not batches:
        st.info(t("The model has no layers with weights."))
        return
    score = cache.workload(view.model).task.scores
    _what_layers_say(result, score)
    batch = str(st.segmented_control(t("Batch size"), batches, default=batches[-1], key="layers-batch", required=True))
    data = layers_data(result, batch, score, _colour(view))
    height = 120 + 22 * len(data.names)
    live_chart(
        layers_chart(data), key="layers", height=height, alt=t("Each layer's part of the time, and its sensitivity")
    )
    st.dataframe(pd.DataFrame([_row(row, batch) for row in result["layers"]]), hide_index=True, key="layers-table")
    st.markdown(t("**Roofline**: a layer below the slope waits for memory, below the flat part for the processor."))
    live_chart(
        roofline_chart(roofline_data(result, batch), _colour(view)), key="roofline", height=380,
        alt=t("Each layer's speed against what this machine can do"),
    )  # fmt: skip


def _what_layers_say(result: dict[str, Any], score: str) -> None:
    step, n = result["step"], f"{result['examples']:,}"
    if step is None:
        st.caption(t("The recipe has no step, so no layer is treated."))
        return
    key = "Sensitivity: the fall of {score} on {n} validation examples where step {step} treats one layer alone."
    st.caption(t(key, score=score, n=n, step=step + 1))


def _row(row: dict[str, Any], batch: str) -> dict[str, object]:
    costs = row["batches"][batch]
    together = t("goes with {layers}", layers=", ".join(row["treated_with"])) if row["treated_with"] else ""
    after = row["after"]
    return {
        t("layer"): row["layer"],
        t("share of time"): share(costs["share"]),
        t("sensitivity"): signed(row["sensitivity"]) or t("not treated"),
        t("why not, or with what"): row["reason"] or together,
        t("kind"): row["kind"],
        t("shape"): _shape(row["shape"]) if row["shape"] else t("new"),
        t("after"): " + ".join(map(_shape, after["shapes"])) if after else t("gone"),
        t("parameters"): row["parameters"],
        t("multiply-adds"): row["multiply_adds"],
        t("ms before"): round(costs["before"]["time_ms"], 4) if costs["before"] else None,
        t("ms after"): round(costs["after"]["time_ms"], 4) if costs["after"] else None,
    }


def _shape(shape: list[int]) -> str:
    return " × ".join(map(str, shape))


def _batches(view: View, result: dict[str, Any]) -> None:
    data = batches_data(result)
    left, right = st.columns(2)
    with left:
        live_chart(
            batches_chart(data, _colour(view), throughput=False), key="latencies", height=340, alt=in_words(data)
        )
    with right:
        rate = t("Examples a second by batch size")
        live_chart(batches_chart(data, _colour(view), throughput=True), key="throughput", height=340, alt=rate)
    said = [f"{batch}: {t(found['verdict']['speed'])}" for batch, found in result["speed"].items()]
    st.caption(t("Verdict by batch size: {said}.", said=" · ".join(said)))

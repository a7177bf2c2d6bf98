"""Whether the recipe is faster, and why: a phrase, and the evidence one click away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.words import plain, share, t
from engine import Outcome

ICONS = {"faster": ":material/trending_up:", "slower": ":material/trending_down:"}
LEVEL = ":material/trending_flat:"


def show(here: Outcome) -> None:
    """Draw a line for each batch size; nothing while the recipe is not measured."""
    speeds: Mapping[str, Any] = here.result.get("speed", {}) if here.status == "done" else {}  # type: ignore[assignment]
    if not speeds:
        return
    with st.container(border=True, key="verdict"):
        for batch, found in speeds.items():
            verdict, ratio = found["verdict"], found["ratio"]
            said = t("**Batch {batch}: {speed}**", batch=batch, speed=t(verdict["speed"]))
            times = t("{value} × the original's time", value=f"{ratio['value']:.3g}")
            busy = t(" The machine was busy: the interval is wider than its noise.") if found["busy"] else ""
            icon = ICONS.get(verdict["speed"], LEVEL)
            st.markdown(f"{icon} {said} ({times}). {plain(_sentence(verdict['cause']))}.{busy}")
        for found in here.result.get("elsewhere", []):  # type: ignore[attr-defined]
            st.markdown(_elsewhere(found))
        with st.popover(t("Evidence"), type="tertiary", icon=":material/query_stats:"):
            _evidence(speeds)


def _elsewhere(found: Mapping[str, Any]) -> str:
    """What another machine measured of the same pair, in a line."""
    said = []
    for batch, times in found["batches"].items():
        ratio = f"{times['ratio']['median']['value']:.3g}"
        said.append(
            t("batch {batch}: {speed} ({ratio} ×)", batch=batch, speed=t(times["verdict"]["speed"]), ratio=ratio)
        )
    machine = f"{found['machine']}, {found['device_name']}"
    return plain(f":material/devices_other: **{machine}**: {'; '.join(said)}.")


def _evidence(speeds: Mapping[str, Any]) -> None:
    machine = next(iter(speeds.values()))["verdict"]["evidence"]["machine"]
    facts = {
        "floor": share(machine["noise_floor"]), "launch": f"{1e3 * machine['launch_ms']:.3g}",
        "products": f"{machine['multiply_adds_per_s'] / 1e9:.3g}", "copies": f"{machine['bytes_per_s'] / 1e9:.3g}",
    }  # fmt: skip
    key = (
        "This machine: noise floor {floor} (two identical models lie no farther apart), {products} G multiply-adds a "
        "second in a matrix product, {copies} GB a second in a copy, {launch} µs for a call with nothing to do."
    )
    st.caption(t(key, **facts))
    for batch, found in speeds.items():
        evidence, ratio = found["verdict"]["evidence"], found["ratio"]
        key = (
            "**Batch {batch}**: ratio {low} to {high} (99 % interval, {n} rounds), noise floor {floor}; timed on {on}."
        )
        ends = {name: f"{ratio[name]:.3f}" for name in ("low", "high")}
        floor = share(evidence["machine"]["noise_floor"])
        on = t("a copy of the original") if found["measured_on"] == "[]" else f"`{found['measured_on']}`"
        st.markdown(t(key, batch=batch, n=ratio["n"], floor=floor, on=on, **ends))
        rows = [_row(row) for row in evidence["layers"]]
        if rows:
            st.dataframe(pd.DataFrame(rows), hide_index=True)
        else:
            st.caption(t("No layer has another shape than before."))


def _row(row: Mapping[str, Any]) -> dict[str, object]:
    """A layer that changed, before and after."""

    def total(name: str) -> float:
        return float(sum(layer[name] for layer in row["after"]))

    before = row["before"]
    return {
        t("layer"): row["layer"],
        t("shape before"): " × ".join(map(str, before["shape"])),
        t("after"): " + ".join(" × ".join(map(str, layer["shape"])) for layer in row["after"]) or t("gone"),
        t("ms before"): round(before["time_ms"], 4),
        t("ms after"): round(total("time_ms"), 4),
        t("multiply-adds before"): before["multiply_adds"],
        t("multiply-adds after"): int(total("multiply_adds")),
    }


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]

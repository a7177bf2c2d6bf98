"""What each method can do to each layer of the original, and if not, why."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from dashboard.view import View
from dashboard.words import t, title
from engine import available_methods

CAN, CANNOT = "✓", "–"


def show(view: View, result: dict[str, Any]) -> None:
    """Draw the layers with a column for each method, then what goes together, then the reasons."""
    names = [name for name in available_methods() if any(name in row["methods"] for row in result["layers"])]
    st.caption(
        t(
            "Each method in its default form, at its strongest, tried on the original: what is treated alone must run "
            "at {batches} examples.",
            batches=t(" and ").join(map(str, result["batches"])),
        )
    )
    st.dataframe(pd.DataFrame([_row(row, names) for row in result["layers"]]), hide_index=True, key="map-layers")
    if result["together"]:
        st.markdown(t("**What goes together**: nodes that hang together, and layers that can be taken out."))
        st.dataframe(pd.DataFrame([_group(row) for row in result["together"]]), hide_index=True, key="map-together")
    if why := _reasons(result, names):
        st.markdown(t("**Why not**"))
        st.dataframe(pd.DataFrame(why), hide_index=True, key="map-reasons")


def _row(row: dict[str, Any], names: list[str]) -> dict[str, object]:
    facts = {t("layer"): row["layer"], t("kind"): row["kind"], t("parameters"): row["parameters"]}
    marks = {name: CAN if row["methods"][name]["treatable"] else CANNOT for name in names if name in row["methods"]}
    return {**facts, **{t(title(name)): mark for name, mark in marks.items()}}


def _group(row: dict[str, Any]) -> dict[str, object]:
    return {
        t("method"): t(title(row["method"])),
        t("of"): row["root"],
        t("nodes"): row["nodes"],
        t("places each"): row["each"],
        t("can be done"): CAN if row["treatable"] else CANNOT,
        t("layers"): ", ".join(row["layers"]),
    }


def _reasons(result: dict[str, Any], names: list[str]) -> list[dict[str, object]]:
    """Each reason once, with the layers that it holds for."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in result["layers"]:
        for name in names:
            verdict = row["methods"].get(name)
            if verdict and not verdict["treatable"]:
                found.setdefault((name, verdict["reason"]), []).append(row["layer"])
    return [
        {t("method"): t(title(name)), t("reason"): reason, t("layers"): ", ".join(layers)}
        for (name, reason), layers in found.items()
    ]

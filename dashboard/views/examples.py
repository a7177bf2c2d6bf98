"""Original against variant on the same examples: the paired test, each class, and the examples that turned."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st
import torch

from dashboard import cache
from dashboard.view import View
from dashboard.words import interval, plain, quantity, share, t
from engine import Estimate

SHOWN = 8  # of the examples that turned, a kind
LEVEL = 0.05


def show(view: View, result: dict[str, Any]) -> None:
    """Draw what the paired comparison found."""
    paired, score = result["paired"], cache.workload(view.model).task.scores
    st.markdown(_sentence(paired, score))
    rows = [_calibration(result)]
    agreement = Estimate(**paired["agreement"])
    if agreement.value is not None:
        same, ends = share(agreement.value), interval(agreement)
        both = t("Both say the same for {value} of the examples ({ends}).", value=same, ends=ends)
        rows.insert(0, both)
    st.caption(" ".join(row for row in rows if row))
    for kind, title in (("lost", t("Newly wrong")), ("gained", t("Newly right"))):
        _turned(view, paired, kind, title)
    if result["classes"]:
        st.dataframe(pd.DataFrame([_class(one) for one in result["classes"]]), hide_index=True, key="classes-table")


def _sentence(paired: dict[str, Any], score: str) -> str:
    difference, p = Estimate(**paired["difference"]), paired["p"]
    if difference.value is None:
        return t("No comparison: {why}.", why=plain(difference.reason))
    points = difference.unit == "fraction"
    known = [float(v or 0.0) for v in (difference.value, difference.low, difference.high)]
    value, low, high = (f"{100 * v:+.1f}" if points else f"{v:+.3g}" for v in known)
    fields = {"value": value, "low": low, "high": high, "unit": t("points") if points else difference.unit}
    verdict = t("**differs**") if p < LEVEL else t("**cannot be told apart**")
    key = "{score} {verdict} from the original's: {value} {unit} ({low} to {high}), p {p}."
    said = t(
        key, score=score[:1].upper() + score[1:], verdict=verdict, p=f"= {p:.2g}" if p >= 0.001 else "< 0.001", **fields
    )
    if paired["gained"] is None:
        return said + " " + t("By a bootstrap over examples.")
    turned = t(
        "{lost} examples became wrong, {gained} became right.",
        lost=f"{paired['lost']:,}",
        gained=f"{paired['gained']:,}",
    )
    return f"{said} {turned} " + t("By the exact test on these (McNemar).")


def _calibration(result: dict[str, Any]) -> str:
    sides = [Estimate(**result["calibration_error"][side]) for side in ("original", "variant")]
    if any(side.value is None for side in sides):
        return ""
    told = [f"{quantity(side.value or 0.0, side.unit)} ({interval(side)})" for side in sides]
    return t("Calibration error {before} before, {after} after.", before=told[0], after=told[1])


def _class(one: dict[str, Any]) -> dict[str, object]:
    sides = [Estimate(**one[side]) for side in ("original", "variant")]
    told = [t("not measured") if e.value is None else f"{share(e.value)} ({interval(e)})" for e in sides]
    return {t("class"): one["name"], t("examples"): one["n"], t("recall before"): told[0], t("recall after"): told[1]}


def _turned(view: View, paired: dict[str, Any], kind: str, title: str) -> None:
    """The first examples that turned, as pictures where they are some."""
    places = paired["examples"][kind] or []
    if not places:
        return
    workload = cache.workload(view.model)
    names = workload.classes
    pairs = paired["said"].get(kind) or [[-1, -1]] * len(places)
    st.markdown(t("**{title}**, {shown} of {n}", title=title, shown=min(SHOWN, len(places)), n=f"{len(places):,}"))
    for column, place, (before, after) in zip(st.columns(SHOWN), places, pairs, strict=False):
        with column:
            if (seen := picture(workload.test[0], place)) is not None:
                st.image(seen, width=72)
            said = [names[n] if 0 <= n < len(names) else str(n) for n in (before, after)]
            st.caption(plain(t("no. {place}: {before} → {after}", place=place, before=said[0], after=said[1])))


def picture(inputs: object, place: int) -> Any:
    """An example of one or three channels as a picture, None where it is none: (height, width) or (..., 3), bytes."""
    if not isinstance(inputs, torch.Tensor) or inputs.dim() != 4 or inputs.shape[1] not in (1, 3):
        return None
    one = inputs[place].float()
    low, high = float(one.min()), float(one.max())
    scaled = ((one - low) / max(high - low, 1e-9) * 255).byte().permute(1, 2, 0).contiguous().numpy()
    return scaled[:, :, 0] if scaled.shape[2] == 1 else scaled

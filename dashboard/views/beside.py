"""What is on the screen beside one of the pins: what differs in the recipes, in the figures, and example by example."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import cache
from dashboard.measuring import Wishes
from dashboard.pin import LETTERS
from dashboard.view import View
from dashboard.views.examples import picture
from dashboard.words import interval, plain, quantity, say, sentence, t, title
from engine import Estimate, InvalidInput, Point, beside

SHOWN = 8  # of the examples that one of both alone gets right
VERDICTS = {
    "higher": "higher", "lower": "lower", "same": "same, within the interval", "not comparable": "not comparable",
    "missing": "not measured",
}  # fmt: skip


def show(view: View, wishes: Wishes) -> None:
    """Draw it, where a pin was chosen for it."""
    if not view.beside:
        return
    pin, queue = LETTERS.index(view.beside), cache.runner()
    results = [queue.outcome(job) for job in (wishes.pins[pin], wishes.here)]
    with st.container(border=True, key="beside"):
        st.markdown(t("**This recipe beside {letter}**", letter=view.beside))
        if any(outcome.status != "done" for outcome in results):
            st.caption(t("Compared as soon as both are measured."))
            return
        try:
            found = beside(*(Point.of_plain(outcome.result) for outcome in results))
        except InvalidInput as error:
            st.caption(sentence(str(error)))
            return
        st.markdown(plain(" ".join(sentence(say(one)) for one in found.summary)))
        if found.recipes:
            st.markdown("\n".join(f"- {plain(say(one))}" for one in found.recipes))
        if (basis := found.basis.message) is not None:
            st.warning(sentence(say(basis)), icon=":material/warning:")
        rows = [_row(one, view.beside) for one in found.figures]
        st.dataframe(pd.DataFrame(rows), hide_index=True, key="beside-table")
        if found.answers is not None and view.pins[pin].model == view.model:
            _answers(view, found.answers)


def _row(one: Any, letter: str) -> dict[str, str]:
    return {
        t("figure"): title(one.name),
        letter: _told(one.first),
        t("this recipe"): _told(one.second),
        t("change"): _change(one.change, one.first),
        t("verdict"): t(VERDICTS[one.verdict]),
    }


def _told(one: Estimate) -> str:
    return one.reason if one.value is None else f"{quantity(one.value, one.unit)} ({interval(one)})"


def _change(change: Estimate, first: Estimate) -> str:
    """A difference in the figure's unit, or how many times as long."""
    if change.value is None or change.low is None or change.high is None:
        return ""
    if change.low == change.high == 0 and first.unit != "ms":
        return t("unchanged")
    if first.unit == "ms":
        return f"× {change.value:.3g} ({change.low:.3g} to {change.high:.3g})"
    k = 100 if change.unit == "fraction" else 1
    ends = "" if change.low == change.high else f" ({k * change.low:+.3g} to {k * change.high:+.3g})"
    return f"{k * change.value:+,.3g}{ends}" if ends or k == 100 else f"{change.value:+,.0f}"


def _answers(view: View, answers: Any) -> None:
    key = "Of {n} examples {one} are right by {letter} alone, {two} by this recipe alone: p {p} (McNemar's exact test)."
    p = f"= {answers.p:.2g}" if answers.p >= 0.001 else "< 0.001"
    one, two = (f"{len(places):,}" for places in (answers.only_first, answers.only_second))
    st.markdown(t(key, n=f"{answers.n:,}", one=one, two=two, letter=view.beside, p=p))
    _examples(view, answers.only_first, t("Right by {letter} alone", letter=view.beside))
    _examples(view, answers.only_second, t("Right by this recipe alone"))
    if answers.classes:
        st.dataframe(
            pd.DataFrame([_class(one, view.beside) for one in answers.classes]), hide_index=True, key="beside-classes"
        )


def _examples(view: View, places: Sequence[int], label: str) -> None:
    """The first of them, as pictures where they are some."""
    inputs = cache.workload(view.model).test[0]
    shown = [(place, seen) for place in places[:SHOWN] if (seen := picture(inputs, place)) is not None]
    if not shown:
        return
    st.markdown(t("**{title}**, {shown} of {n}", title=label, shown=len(shown), n=f"{len(places):,}"))
    for column, (place, seen) in zip(st.columns(SHOWN), shown, strict=False):
        with column:
            st.image(seen, width=72)
            st.caption(t("no. {place}", place=place))


def _class(one: Any, letter: str) -> dict[str, object]:
    """One class as a row."""
    return {
        t("class"): one.name,
        letter: _told(one.first),
        t("this recipe"): _told(one.second),
        t("right by {letter} alone", letter=letter): one.only_first,
        t("right by this recipe alone"): one.only_second,
        t("change"): _change(one.difference, one.first),
    }

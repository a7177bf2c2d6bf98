"""How it is measured: batch size, threads, numbers and device."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from dashboard import cache, state
from dashboard.how import MOST_BATCH, How, devices, most_threads
from dashboard.view import View
from dashboard.words import t
from engine import SecateurError


def show(view: View) -> None:
    """Draw the button that opens the choices."""
    habit = cache.protocol()
    with st.popover(t("How it is measured"), type="tertiary", icon=":material/timer:"):
        st.caption(t("Latency is always timed at a batch of 1 and of 64, original and variant in turn."))
        _number("batch", t("A further batch size (0: none)"), MOST_BATCH, view.how.batch)
        _number("threads", t("Threads (0: {n}, as usual here)", n=habit.threads), most_threads(), view.how.threads)
        _choice("dtype", t("Numbers"), habit.dtypes, view.how.dtype or cache.workload(view.model).dtype)
        _choice("device", t("Device"), tuple(devices()), view.how.device or _device(habit.device))


def _number(name: str, label: str, most: int, value: int) -> None:
    key = f"how-{name}"
    state.put(key, value)
    st.number_input(label, 0, most, key=key, step=1, on_change=state.on_move(key, lambda new: _change(name, new)))


def _choice(name: str, label: str, choices: tuple[str, ...], value: str) -> None:
    key = f"how-{name}"
    state.put(key, value if value in choices else None)
    moved = state.on_move(key, lambda new: _change(name, new or ""))
    st.segmented_control(label, choices, key=key, on_change=moved)


def _device(name: str) -> str:
    return "cuda:0" if name == "cuda" else name


def _change(name: str, value: object) -> None:
    view = state.view()
    usual = {"dtype": cache.workload(view.model).dtype, "device": _device(cache.protocol().device)}.get(name)
    try:
        how = How.of({**view.how.to_dict(), name: "" if value == usual else value})
    except SecateurError as error:
        state.complain(str(error))
        return
    state.show(replace(view, how=how))

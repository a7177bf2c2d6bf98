"""A line written by the original and by the variant, side by side."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from dashboard import cache, state
from dashboard.measuring import Wishes
from dashboard.words import sentence, t


def show(wishes: Wishes, asked: bool) -> None:
    """Draw the card of a language model's line; nothing for another model.

    asked    the recipe waits for a word of the reader, since it takes long
    """
    if wishes.line is None:
        return
    outcome = cache.runner().outcome(wishes.line)
    with st.container(border=True, key="line"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(t("**A line**, begun by a validation text, each character drawn with the same random number."))
            st.button(t("Another line"), key="another-line", on_click=_next, icon=":material/casino:")
        if outcome.status == "failed":
            st.warning(sentence(outcome.error), icon=":material/warning:")
            return
        if outcome.status != "done":
            st.caption(t("Written once the recipe is measured.") if asked else t("Writing …"))
            return
        for column, side, label in zip(
            st.columns(2), ("original", "variant"), (t("The original"), t("This recipe")), strict=True
        ):
            with column:
                st.caption(label)
                st.code(str(outcome.result[side]) or t("(nothing)"), language=None, wrap_lines=True)


def _next() -> None:
    state.show(replace(state.view(), line=state.view().line + 1))

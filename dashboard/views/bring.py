"""Bring your own: weights and data for a known model, uploaded; how to bring anything else in Python."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from dashboard import models, state, uploads
from dashboard.view import View
from dashboard.words import t
from engine import SecateurError

HOW = """
Upload **weights** (`.safetensors`) for this model's architecture, or labelled **test data** (`.npz` with arrays `x` and
`y`, or `.csv` with a column `label`). Files are checked before anything in them is used; pickled ones (`.pt`, `.pth`,
`.bin`, `.ckpt`) are refused.
"""
PYTHON = """
Any other model is brought in Python: a function that returns a `Workload`, and
`secateur run --workload package.module:function`; one of transformers with `--hub NAME --data FOLDER`.
"""


def show(view: View) -> None:
    """Draw the button that opens the uploads."""
    with st.popover(t("Bring your own"), type="tertiary", icon=":material/upload:"):
        if models.settings().uploads:
            st.markdown(t(HOW))
            key = f"upload{state.uploads()}"
            st.file_uploader(t("Weights or data"), key=key, on_change=lambda: _take(view, key))
        else:
            st.markdown(t("Uploads are switched off on this server."))
        st.markdown(t(PYTHON))


def _take(view: View, key: str) -> None:
    file = st.session_state[key]
    if file is None:
        return
    state.next_upload()
    base, *old = uploads.parts(view.model)
    try:
        weights, data = uploads.take_in(models.reference(base), file.name, file.getvalue(), (old[0], old[1]))
    except SecateurError as error:
        state.complain(str(error))
        return
    model = uploads.named(base, weights, data)
    state.remember_model(model)
    state.show(replace(state.view(), model=model, layer=""))

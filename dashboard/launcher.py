"""The dashboard as an ASGI app: what is heavy is imported and warmed before the first visitor.

Streamlit collects garbage after every run of the script; with torch imported that costs some 200 ms, and a
hundredth of one once the heap is frozen.
"""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import streamlit as st

APP = Path(__file__).with_name("app.py")


@asynccontextmanager
async def lifespan(_: object) -> AsyncIterator[None]:
    """Warm up before the first visitor, stop the worker after the last."""
    # Here and not above: the server answers while these are read.
    import plotly.graph_objects  # noqa: F401

    from dashboard import cache
    from dashboard.views import explore  # noqa: F401

    cache.runner()
    gc.collect()
    gc.freeze()
    yield
    cache.stop()


app = st.App(APP, lifespan=lifespan)

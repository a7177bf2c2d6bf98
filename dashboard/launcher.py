"""The dashboard as an ASGI app: what is heavy is imported and warmed before the first visitor.

Streamlit collects garbage after every run of the script; with torch imported that costs some 200 ms, and a
hundredth of one once the heap is frozen.
"""

from __future__ import annotations

import gc
import importlib
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from streamlit.file_util import get_static_dir

from dashboard import nodelay
from dashboard.compressing import Compressing, packed
from dashboard.live_chart import ADDRESS
from dashboard.live_chart.bundle import ensure_bundle

APP = Path(__file__).with_name("app.py")
LATER = ("altair", "pandas", "plotly.graph_objects", "pyarrow")  # what Streamlit and the page import when first needed


@asynccontextmanager
async def lifespan(_: object) -> AsyncIterator[None]:
    """Warm up before the first visitor, stop the worker after the last."""
    warm_up()
    gc.collect()
    gc.freeze()
    yield
    from dashboard import cache

    cache.stop()


def warm_up() -> None:
    """Do once what the first page would wait for."""
    from dashboard import cache

    cache.runner()  # first: its process does its own imports while these go on
    threading.Thread(target=packed, args=(ensure_bundle().resolve(),), daemon=True).start()  # some 0.2 s, beside them
    for name in LATER:
        importlib.import_module(name)
    from dashboard import measuring, models, picture
    from dashboard.view import first_view
    from dashboard.views import explore  # noqa: F401

    for model in models.available():
        cache.model_title(model)
    wishes = measuring.wishes_of(first_view())
    cache.runner().look_up([wishes.original, wishes.here, *wishes.points])
    picture.Picture().to_json()


def served() -> Middleware:
    """What lies between the browser and Streamlit: Streamlit's own scripts, and Plotly's beside our component."""
    base = "".join(f"/{part}" for part in st.get_option("server.baseUrlPath").split("/") if part)
    library = ensure_bundle()
    early = f"{base}{ADDRESS}{library.name}"
    places = {f"{base}/static/": Path(get_static_dir()) / "static", early: library}
    return Middleware(Compressing, places=places, early=early)


nodelay.send_at_once()
app = st.App(APP, lifespan=lifespan, middleware=[served()])

"""From a cold start to the first page."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser

from benchmarks.page_parts.browser import painted_s, tab
from benchmarks.page_parts.served import free_port, process, up

CHART = "document.querySelector('.st-key-curve .live-chart')?.dataset.drawn >= 1"
SCORED = "document.querySelectorAll('.st-key-figures .live-figure-value')[5]?.innerText.includes('%')"
HELLO = "document.querySelector('h1')?.innerText.includes('Welcome to Streamlit')"
HELLO_WITH_TORCH = (
    "import torch, sys; from streamlit.web.cli import main; sys.argv = ['streamlit', *sys.argv[1:]]; main()"
)


class Start(NamedTuple):
    """Seconds from the start of the process.

    up        until the health page answers
    painted   until the first page has painted: the chart, or the greeting
    scored    until the six figures of a model that was never measured are there
    """

    up: float
    painted: float
    scored: float = float("nan")


def ours(browser: Browser, store: str | None = None) -> Start:
    """`secateur run` with an empty store, and a browser that comes when it is there."""
    with tempfile.TemporaryDirectory() as folder, tab(browser) as page:
        port = free_port()
        url = store or f"sqlite:///{Path(folder) / 'records.sqlite'}"
        code = "import sys; from secateur import main; sys.exit(main(sys.argv[1:]))"
        began = time.perf_counter()
        with process(
            [sys.executable, "-c", code, "run", "--port", str(port)],
            SECATEUR_STORE=url,
            STREAMLIT_SERVER_HEADLESS="true",
        ):
            up(f"http://localhost:{port}/_stcore/health", b"ok")
            ready = time.perf_counter() - began
            painted = painted_s(page, f"http://localhost:{port}", CHART, began)
            page.wait_for_function(SCORED)
            return Start(ready, painted, time.perf_counter() - began)


def hello(browser: Browser) -> Start:
    """`streamlit hello` in a process that has imported torch."""
    with tab(browser) as page:
        port = free_port()
        began = time.perf_counter()
        told = ["--server.port", str(port), "--server.headless", "true", "--browser.gatherUsageStats", "false"]
        with process([sys.executable, "-c", HELLO_WITH_TORCH, "hello", *told]):
            up(f"http://localhost:{port}/_stcore/health", b"ok")
            ready = time.perf_counter() - began
            return Start(ready, painted_s(page, f"http://localhost:{port}", HELLO, began))

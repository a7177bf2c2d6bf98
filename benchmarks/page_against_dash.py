"""A slider that is let go of, until the exact point, which is in the store, has been painted; against Dash.

The same chart and the same six figures in both, in one Chromium, moves by turns. Ours has what the store holds along
the slider in the browser, and draws the exact point and figures from there; their intervals and changes, the curve
around them and the weights come from the server. Both times are given; the ratios rest on the first. Dash has all
numbers in its memory: "built" makes Plotly's figure in its callback, as such a page is written, "ready" hands plain
data on. Then the server's part alone, without a browser; a drag; and the first page from a cold start against
`streamlit hello` with torch imported. Times are medians and 95th percentiles.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from playwright.sync_api import Browser

from benchmarks.page_parts import start
from benchmarks.page_parts.browser import chromium, tab
from benchmarks.page_parts.client import Visitor
from benchmarks.page_parts.moves import PAUSE_S, Place, drag
from benchmarks.page_parts.served import ROOT, SLIDER, VIEW, fill, free_port, page, process, up
from benchmarks.page_parts.shown import numbers_of

MOVES, STARTS = 60, 3
BUILT, READY = "built", "ready"
STORED, OUR_PAGE = "ours, exact point and figures", "ours, with intervals and changes, by the server"
DASH = ROOT / "benchmarks" / "page_parts" / "dash_page.py"
OURS = (
    ".st-key-step0-magnitude_global-amount input[type=range]", ".st-key-curve .live-chart",
    ".st-key-figures .live-figure-value",
)  # fmt: skip
THEIRS = "#amount [role=slider]", "#curve .js-plotly-plot", "#figures .figure"
SETTLED = "document.querySelector('.st-key-histogram .live-chart')?.dataset.drawn >= 1"


def run() -> Iterator[str]:
    """Rows for a release, for the server's part, for a drag and for the first page."""
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        store = f"sqlite:///{Path(folder) / 'records.sqlite'}"
        fill(store)
        numbers = numbers_of(store)
        yield from _releases(browser, store, numbers, Path(folder))
        yield from _server(store)
        yield from _starts(browser)


def _releases(browser: Browser, store: str, numbers: dict[str, Any], folder: Path) -> Iterator[str]:
    (folder / "numbers.json").write_text(json.dumps(numbers), "utf-8")
    sent: list[object] = []
    with ExitStack() as stack:
        url = stack.enter_context(page(store, SECATEUR_BASELINES="off"))
        ours = stack.enter_context(tab(browser))
        ours.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
        ours.goto(f"{url}/?s={quote(json.dumps(VIEW))}")
        ours.wait_for_function(SETTLED)
        places = {OUR_PAGE: Place(ours, *OURS)}
        for how in (BUILT, READY):
            port, theirs = free_port(), stack.enter_context(tab(browser))
            stack.enter_context(process([sys.executable, str(DASH), str(port), str(folder / "numbers.json"), how]))
            up(f"http://localhost:{port}/")
            theirs.goto(f"http://localhost:{port}/")
            theirs.locator(THEIRS[0]).wait_for()
            places[f"Dash, {how}"] = Place(theirs, *THEIRS)
        times = _by_turns(places, numbers)
        yield "| release to painted point | p50, ms | p95, ms | ours, exact / this, p50 | p95 |\n|---|---|---|---|---|"
        mine = np.percentile(times[STORED], [50, 95])
        for name, found in times.items():
            p50, p95 = np.percentile(found, [50, 95])
            yield f"| {name} | {p50:.0f} | {p95:.0f} | {mine[0] / p50:.2f} | {mine[1] / p95:.2f} |"
        time.sleep(2 * PAUSE_S)
        ours.bring_to_front()
        steps, drawn, messages, rate = drag(places[OUR_PAGE], sent)
        yield f"\na drag: {steps} values, {drawn} drawn, {messages} messages, {rate:.0f} frames a second"


def _by_turns(places: dict[str, Place], numbers: dict[str, Any]) -> dict[str, list[float]]:
    """Milliseconds of each move, ten of one page after ten of the other; the first of each ten is not counted."""
    times: dict[str, list[float]] = {name: [] for name in (STORED, *places)}
    amounts = [amount for amount in numbers if 0.5 < float(amount) <= 0.61]
    for turn in range(MOVES // 10):
        key, ahead = ("ArrowRight", amounts) if turn % 2 == 0 else ("ArrowLeft", ["0.5", *amounts][-2::-1])
        for name, place in places.items():
            place.page.bring_to_front()
            found = [place.move(key, float(amount), numbers[amount]["texts"][1]) for amount in ahead]
            times[name] += [whole for _, whole in found[1:]]
            if name == OUR_PAGE:
                times[STORED] += [first for first, _ in found[1:]]
    return times


def _server(store: str) -> Iterator[str]:
    with page(store, SECATEUR_BASELINES="off") as url, Visitor(url, VIEW) as visitor:
        found = []
        for i in range(MOVES):
            end = time.perf_counter() + PAUSE_S
            while visitor.poll(end):
                visitor.finish()
            time.sleep(max(0.0, end - time.perf_counter()))
            found.append(visitor.move(SLIDER, round(0.51 + 0.01 * (i % 10), 2)))
    yield "\n| the server's part | p50, ms | p95, ms |\n|---|---|---|"
    for what, times in (("to the chart", [a.chart_s for a in found]), ("to the end", [a.end_s for a in found])):
        p50, p95 = 1e3 * np.percentile(times, [50, 95])
        yield f"| {what} | {p50:.1f} | {p95:.1f} |"
    sent, messages = (np.median([getattr(a, name) for a in found]) for name in ("sent", "messages"))
    yield f"\n{sent / 1e3:.0f} kB in {messages:.0f} messages a move"


def _starts(browser: Browser) -> Iterator[str]:
    yield "\n| a cold start | answers, s | first page painted, s | six figures measured, s |\n|---|---|---|---|"
    for what, begin in (("ours", start.ours), ("`streamlit hello`, torch imported", start.hello)):
        found = np.median([begin(browser) for _ in range(STARTS)], axis=0)
        yield f"| {what} | " + " | ".join("–" if np.isnan(s) else f"{s:.1f}" for s in found) + " |"

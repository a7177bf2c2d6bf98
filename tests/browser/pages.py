"""The page as tests read and move it."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import parse_qs, quote, urlsplit

from playwright.sync_api import Locator, Page, expect

from .conftest import ROOT, WAIT_MS, wait_idle

APP = ROOT / "dashboard" / "app.py"
SLIDER = ".st-key-step0-magnitude_global-amount input[type=range]"
VALUES = ".st-key-figures .live-figure-value"
PRUNE = ["weight_pruning", {"form": "magnitude_global", "amount": 0.5}]
LABELS = ["Parameters", "Non-zeros", "Multiply-adds", "Size", "Latency", "Accuracy"]
CHART = "document.querySelector('.st-key-curve .live-chart')"
CURVE = f"{CHART}?._fullData?.find(trace => trace.customdata?.length)?.x.length ?? 0"
MARKER = f"{CHART}?._fullData?.find(trace => trace.name === 'this recipe')?.x[0]"
AXIS = f"{CHART}?._fullLayout?.xaxis.title.text"

Link = Callable[..., str]


def link_to(url: str) -> Link:
    def make(recipe: list[object] | None = None, model: str = "digits_mlp", **parts: object) -> str:
        if recipe is None:
            return url
        view = {"v": 1, "model": model, "recipe": recipe, **parts}
        return f"{url}/?s={quote(json.dumps(view))}"

    return make


def view_of(page: Page) -> dict[str, object]:
    """What the address says."""
    return json.loads(parse_qs(urlsplit(page.url).query)["s"][0])


def amount_of(page: Page) -> float:
    return view_of(page)["recipe"][0][1]["amount"]


def chart_of(page: Page) -> Locator:
    return page.locator(".st-key-curve .live-chart")


def values_of(page: Page) -> list[str]:
    return page.locator(VALUES).all_inner_texts()


def until(page: Page, expression: str, wanted: object) -> None:
    """Wait until the expression gives what is wanted."""
    page.wait_for_function(f"wanted => ({expression}) === wanted", arg=wanted)


def more_than(page: Page, points: int) -> int:
    """Wait until the curve has more points; how many it then has."""
    page.wait_for_function(f"least => ({CURVE}) > least", arg=points)
    return page.evaluate(CURVE)


def measured(page: Page, amount: float | None = None) -> None:
    """Wait until everything is measured and drawn, with the recipe at that amount."""
    if amount is not None:
        until(page, MARKER, amount)
    expect(page.locator(VALUES).last).to_contain_text("%", timeout=WAIT_MS)
    expect(page.locator(VALUES).get_by_text("…")).to_have_count(0, timeout=WAIT_MS)  # a part of the score comes first
    until(page, CURVE, 11)
    expect(page.locator(".st-key-progress")).to_have_count(0, timeout=WAIT_MS)
    wait_idle(page)


def press(page: Page, key: str, times: int = 1) -> float:
    """Move the slider by keyboard, without waiting in between; the amount that the address then has."""
    slider = page.locator(SLIDER)
    expect(slider).not_to_have_value("0")  # where it stands for a moment, before its value comes
    before = slider.input_value()
    for _ in range(times):
        slider.press(key)
    expect(slider).not_to_have_value(before)
    amount = float(slider.input_value())
    page.wait_for_function("part => decodeURIComponent(location.search).includes(part)", arg=f'"amount":{amount}}}')
    wait_idle(page)
    return amount


LINES, LINES_MS = ".st-key-line code", 180_000  # a line waits for what is being measured


def lines_of(page: Page) -> list[str]:
    """The lines that a language model and its variant write, once they are written."""
    expect(page.locator(LINES)).to_have_count(2, timeout=LINES_MS)
    return page.locator(LINES).all_inner_texts()

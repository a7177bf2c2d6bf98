"""A report in a browser: drawn from the file alone, in light and dark, and nothing that others wrote runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from dashboard.report import write_report
from engine import compared
from tests.comparing.points import RECIPES, point

EVIL = (
    "</title><script>document.title = 'run'</script><img src=http://example.com/x onerror=\"document.title = 'run'\">"
)
Opened = Callable[[str], Page]


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Opened]:
    """Open the report of some points whose model is called so; it must ask for nothing and say nothing."""
    context = browser.new_context(color_scheme="light")
    asked: list[str] = []
    said: list[str] = []

    def start(model: str) -> Page:
        file = tmp_path / "report.html"
        write_report(file, compared([replace(point(name), model=model, source=model) for name in RECIPES]))
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(file.as_uri())
        page.wait_for_selector(".xtick text")
        return page

    yield start
    context.close()
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [(tmp_path / "report.html").as_uri()]
    assert said == []


def test_every_chart_is_drawn_and_follows_light_dark_and_print(opened: Opened) -> None:
    page = opened("taught")
    assert page.locator("figure .main-svg").count() >= 4
    assert page.locator(".scatterlayer .trace").count() > len(RECIPES)
    ink = page.locator(".xtick text").first
    expect(ink).to_have_css("fill", "rgb(26, 28, 32)")
    page.emulate_media(color_scheme="dark")
    expect(ink).to_have_css("fill", "rgb(236, 238, 242)")
    expect(page.locator("body")).to_have_css("background-color", "rgb(20, 22, 26)")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(ink).to_have_css("fill", "rgb(0, 0, 0)")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(ink).to_have_css("fill", "rgb(236, 238, 242)")


def test_nothing_that_others_wrote_runs_or_is_fetched(opened: Opened) -> None:
    page = opened(EVIL)
    page.locator(".scatterlayer .point").first.hover(force=True)
    assert page.title() != "run"
    assert EVIL in page.title()
    assert page.locator("img").count() == 0

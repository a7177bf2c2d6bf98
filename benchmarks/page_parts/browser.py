"""Chromium, and the moments at which a page has painted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Error, Page, sync_playwright

from tests.browser.chromium import find_chromium
from tests.browser.conftest import FLAGS

PATIENCE_MS = 120_000
SIZE = {"width": 1280, "height": 1200}


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), headless=True, args=list(FLAGS))
        yield browser
        browser.close()


@contextmanager
def tab(browser: Browser) -> Iterator[Page]:
    """An empty page with nothing in its cache."""
    context = browser.new_context(viewport=SIZE)
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


def painted_s(page: Page, url: str, condition: str, began: float) -> float:
    """Seconds from `began` (of time.perf_counter) until the page at that address has painted what the condition says.

    The address may not be served yet: it is asked again until it is.
    """
    while True:
        try:
            page.goto(url, wait_until="commit")
            break
        except Error:
            time.sleep(0.02)
    page.wait_for_function(condition, polling="raf")
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return time.perf_counter() - began

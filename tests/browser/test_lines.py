"""The line that a language model writes and that of its variant, side by side on the page."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from engine.lines import write_line
from sample_models import load

from .conftest import WAIT_MS, OpenPage, Serve
from .test_explore import APP, link_to, view_of

pytestmark = pytest.mark.browser


def lines_of(page: Page) -> list[str]:
    """The two lines, once they are written."""
    written = page.locator(".st-key-line code")
    expect(written).to_have_count(2, timeout=WAIT_MS)
    return written.all_inner_texts()


def test_two_lines_stand_side_by_side_and_another_pair_comes_on_a_click(serve: Serve, open_page: OpenPage) -> None:
    link = link_to(serve(APP, {"SECATEUR_STORE": "sqlite://"}))
    heavy = ["weight_pruning", {"form": "magnitude_layer", "amount": 0.9}]
    page = open_page(link([heavy], model="character_lm"))
    workload = load("character_lm")
    original, variant = lines_of(page)
    assert original == write_line(workload.model(), workload, 0)
    assert variant != original
    assert variant[:3] == original[:3]  # both begin as the same validation text
    page.locator(".st-key-another-line button").click()
    expect(page.locator(".st-key-line code").first).not_to_have_text(original, timeout=WAIT_MS)
    assert view_of(page)["line"] == 1
    assert lines_of(page)[0] == write_line(workload.model(), workload, 1)

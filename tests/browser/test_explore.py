"""The page in a real browser, served as `streamlit run dashboard/app.py` does: a small model, measured whole."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .conftest import WAIT_MS, OpenPage, wait_idle
from .pages import (
    AXIS,
    CHART,
    CURVE,
    MARKER,
    PRUNE,
    SLIDER,
    VALUES,
    Link,
    amount_of,
    chart_of,
    measured,
    press,
    until,
    values_of,
    view_of,
)

pytestmark = pytest.mark.browser


def test_the_slider_moves_figures_marker_and_address(link: Link, open_page: OpenPage) -> None:
    page = open_page(link([PRUNE]))
    measured(page)
    before, marker = values_of(page), page.evaluate(MARKER)
    assert marker == 0.5
    amount = press(page, "ArrowRight", times=3)
    assert amount == 0.53
    measured(page, amount)
    after = values_of(page)
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_a_copied_link_shows_the_same_in_another_browser(link: Link, open_page: OpenPage) -> None:
    page = open_page(link([PRUNE, ["structure_optimization", {"rank": 0.3}]], vary=[0, "amount"]))
    measured(page, press(page, "ArrowLeft"))
    page.locator(".st-key-axis").get_by_text("non-zeros", exact=True).click()
    until(page, AXIS, "Parameters that are not zero")
    measured(page)
    assert view_of(page)["x"] == "nonzero"
    other = open_page(page.url, scheme="dark")
    until(other, AXIS, "Parameters that are not zero")
    measured(other)
    assert values_of(other) == values_of(page)
    assert other.locator(SLIDER).input_value() == page.locator(SLIDER).input_value() == "0.49"
    assert view_of(other) == view_of(page)


def test_the_horizontal_axis_redraws_in_the_same_node(link: Link, open_page: OpenPage) -> None:
    page = open_page(link([PRUNE]))
    measured(page)
    chart = chart_of(page)
    chart.evaluate("node => { window.before = node; }")
    for label, title in (("latency × 1", "Latency in ms, batch of 1"), ("size", "Size in MB"), ("amount", "amount")):
        page.locator(".st-key-axis").get_by_text(label, exact=True).click()
        until(page, AXIS, title)
        assert page.evaluate(CURVE) == 11
    assert chart.evaluate("node => window.before === node")


def test_a_click_on_a_point_sets_the_slider(link: Link, open_page: OpenPage) -> None:
    page = open_page(link([PRUNE]))
    measured(page)
    for index, amount in ((2, 0.19), (8, 0.76), (2, 0.19)):  # the third time everything is known already
        box = chart_of(page).locator(".points path").nth(index).bounding_box()
        assert box is not None
        at = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(*at)
        expect(chart_of(page).locator(".hoverlayer .hovertext .nums")).to_contain_text(f"amount = {amount}")
        page.mouse.click(*at)
        expect(page.locator(SLIDER)).to_have_value(str(amount), timeout=WAIT_MS)
        until(page, MARKER, amount)
        assert amount_of(page) == amount
        wait_idle(page)
        page.mouse.move(5, 5)


def test_the_browsers_back_returns_to_the_view_before(link: Link, open_page: OpenPage) -> None:
    page = open_page(link([PRUNE]))
    measured(page)
    first = values_of(page)
    measured(page, press(page, "ArrowRight"))
    assert values_of(page) != first
    page.wait_for_timeout(800)  # an address that comes at once after a move is taken for a late one
    page.go_back()
    expect(page.locator(SLIDER)).to_have_value("0.5")
    measured(page, 0.5)
    assert amount_of(page) == 0.5
    assert values_of(page) == first


def test_a_closer_look_at_every_layer_and_in_other_numbers(link: Link, open_page: OpenPage) -> None:
    page = open_page(link([PRUNE]))
    measured(page)
    names = page.evaluate(f"{CHART}._fullData.map(trace => trace.name)")
    assert {"original", "this recipe"} <= set(names)
    page.locator(".st-key-look-closer").get_by_text("Every layer", exact=True).click()
    roofline = page.locator(".st-key-closer .live-chart").last
    expect(roofline.get_by_text("multiply-adds per byte moved")).to_be_visible(timeout=WAIT_MS)
    assert view_of(page)["closer"] == "layers"
    page.get_by_text("How it is measured").click()
    page.locator(".st-key-how-dtype").get_by_text("bfloat16", exact=True).click()
    page.wait_for_function('decodeURIComponent(location.search).includes(\'"how":{"dtype":"bfloat16"}\')')
    expect(page.locator(VALUES).nth(3)).to_have_text("548.2 kB", timeout=WAIT_MS)

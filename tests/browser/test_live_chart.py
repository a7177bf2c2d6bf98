"""The live chart in a real browser: what a visitor would lose if its node were built anew."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from .conftest import OpenPage, Serve, wait_idle

pytestmark = pytest.mark.browser

APP = Path(__file__).parent / "apps" / "live_chart_app.py"
SLIDER = ".st-key-points input[type=range]"


@pytest.fixture
def url(serve: Serve) -> str:
    return serve(APP)


def chart_of(page: Page) -> Locator:
    """The chart, drawn at least once."""
    chart = page.locator(".st-key-chart .live-chart")
    expect(chart).to_have_attribute("data-drawn", "1")
    return chart


def move_slider(page: Page, times: int = 1) -> None:
    """Move the slider to the right and wait until the chart has the points of its new place."""
    slider = page.locator(SLIDER)
    slider.focus()
    for _ in range(times):
        slider.press("ArrowRight")
    points = int(slider.input_value())
    expect(page.locator(".st-key-chart .live-chart")).to_have_attribute("data-points", str(4 * points))
    wait_idle(page)


def point_at(chart: Locator, index: int) -> tuple[float, float]:
    """Where on the screen the curve's point lies."""
    box = chart.locator(".points path").nth(index).bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def x_range(chart: Locator) -> list[float]:
    return chart.evaluate("node => [...node._fullLayout.xaxis.range]")


def tick_color(chart: Locator) -> list[int]:
    return chart.evaluate(
        "node => getComputedStyle(node.querySelector('.xtick text')).fill.match(/[\\d.]+/g).slice(0, 3).map(Number)"
    )


def luminance(color: list[int]) -> float:
    """Relative luminance as the accessibility guidelines define it."""
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in (part / 255 for part in color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: list[int], other: list[int]) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def background(page: Page) -> list[int]:
    return page.locator("[data-testid=stApp]").evaluate(
        "node => getComputedStyle(node).backgroundColor.match(/[\\d.]+/g).slice(0, 3).map(Number)"
    )


def test_new_data_are_drawn_in_the_same_node(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    chart = chart_of(page)
    chart.evaluate("node => { window.before = [node, node.querySelector('.main-svg')]; }")
    points = int(chart.get_attribute("data-points") or 0)
    assert points == 40
    move_slider(page, 3)
    assert int(chart.get_attribute("data-points") or 0) == points + 12
    assert chart.locator(".points path").count() == 13
    same = "node => window.before[0] === node && window.before[1] === node.querySelector('.main-svg')"
    assert chart.evaluate(same)


def test_zoom_is_kept_when_data_change(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    chart = chart_of(page)
    whole = x_range(chart)
    area = chart.locator(".nsewdrag").bounding_box()
    assert area is not None
    left, right = area["x"] + area["width"] * 0.25, area["x"] + area["width"] * 0.6
    middle = area["y"] + area["height"] / 2
    page.mouse.move(left, middle)
    page.mouse.down()
    page.mouse.move(right, middle, steps=8)
    page.mouse.up()
    page.wait_for_function("before => document.querySelector('.live-chart')._fullLayout.xaxis.range[0] > before", arg=0)
    zoomed = x_range(chart)
    assert zoomed[1] - zoomed[0] < 0.5 * (whole[1] - whole[0])
    move_slider(page, 2)
    assert x_range(chart) == zoomed


def test_a_click_returns_the_customdata_of_the_point(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    chart = chart_of(page)
    for index, label in ((6, "0.66"), (2, "0.222")):
        x, y = point_at(chart, index)
        page.mouse.move(x, y)
        # Plotly clicks what it hovers, and that follows the pointer a little later.
        expect(chart.locator(".hoverlayer .hovertext .nums")).to_contain_text(label)
        page.mouse.click(x, y)
        expect(page.get_by_text(f"picked: {index}", exact=True)).to_be_visible()
        expect(page.get_by_text(f"called back: {index}", exact=True)).to_be_visible()
    move_slider(page)
    expect(page.get_by_text("picked: None", exact=True)).to_be_visible()


def test_the_hover_label_outlives_new_data(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    chart = chart_of(page)
    page.mouse.move(*point_at(chart, 3))
    label = chart.locator(".hoverlayer .hovertext .nums")
    expect(label).to_contain_text("0.333")
    move_slider(page)
    expect(label).to_contain_text("0.3,")  # the fourth of eleven points, no longer of ten


def test_text_is_readable_in_both_schemes(url: str, open_page: OpenPage) -> None:
    colors = {}
    for scheme in ("light", "dark"):
        page = open_page(url, scheme=scheme)
        chart = chart_of(page)
        colors[scheme] = tick_color(chart)
        assert contrast(colors[scheme], background(page)) > 4.5
        line = chart.evaluate("node => node.querySelector('.shapelayer path').style.stroke.match(/\\d+/g).map(Number)")
        assert contrast(line, background(page)) > 7
    assert contrast(colors["light"], colors["dark"]) > 2


def test_colors_follow_the_scheme_of_an_open_page(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    chart = chart_of(page)
    named = "node => [...node.querySelectorAll('.scatterlayer .js-line')].at(-1).style.stroke"
    before, kept = tick_color(chart), chart.evaluate(named)
    chart.evaluate("node => { window.before = node; }")
    page.emulate_media(color_scheme="dark")
    expect(chart).to_have_attribute("data-drawn", "2")
    assert contrast(before, tick_color(chart)) > 2
    assert contrast(tick_color(chart), background(page)) > 4.5
    assert chart.evaluate(named) == kept == "rgb(213, 94, 0)"
    assert chart.evaluate("node => window.before === node")


def test_data_that_overtake_the_first_drawing_are_drawn(url: str, page: Page) -> None:
    held: list[Route] = []
    page.route("**/plotly-*.min.js", lambda route: held.append(route))  # the first drawing waits for its library
    page.goto(url)
    chart = page.locator(".st-key-chart .live-chart")
    expect(chart).to_have_attribute("data-drawn", "0")
    slider = page.locator(SLIDER)
    slider.press("ArrowRight")
    expect(slider).to_have_value("11")
    wait_idle(page)
    page.wait_for_timeout(500)  # time for the new data to reach the component; nothing shows that they have
    for route in held:
        route.continue_()
    expect(chart).to_have_attribute("data-points", "44")
    page.wait_for_timeout(200)
    expect(chart).to_have_count(1)


def test_a_chart_taken_away_before_its_first_drawing_leaves_nothing(url: str, page: Page) -> None:
    held: list[Route] = []
    page.route("**/plotly-*.min.js", lambda route: held.append(route))
    page.goto(url)
    expect(page.locator(".live-chart")).to_have_attribute("data-drawn", "0")
    page.locator(".st-key-shown label").click()
    expect(page.locator(".live-chart")).to_have_count(0)
    for route in held:
        route.continue_()
    page.locator(".st-key-shown label").click()
    chart_of(page)


def test_the_chart_fits_its_container(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    chart = chart_of(page)
    expect(chart).to_have_attribute("aria-label", "Accuracy falls as more is removed")
    page.set_viewport_size({"width": 600, "height": 900})
    page.wait_for_function(
        "() => { const node = document.querySelector('.live-chart');"
        " return node.clientWidth < 600 && node._fullLayout.width === node.clientWidth; }"
    )


def test_a_chart_can_be_taken_away_and_brought_back(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    chart = chart_of(page)
    chart.evaluate("node => { window.before = node; }")
    page.locator(".st-key-shown label").click()
    expect(chart).to_have_count(0)
    page.wait_for_function("() => window.before._fullLayout === undefined")  # Plotly has let go of it
    page.locator(".st-key-shown label").click()
    assert chart_of(page).get_attribute("data-points") == "40"


def test_the_picture_can_be_saved(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    chart = chart_of(page)
    chart.hover()
    with page.expect_download() as download:
        chart.locator(".modebar-btn[data-title='Download image']").click()
    assert download.value.suggested_filename == "secateur-chart.png"
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")

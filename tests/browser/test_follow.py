"""While a slider is dragged the page follows in the browser, and says nothing to the server."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from .conftest import OpenPage
from .pages import CHART, MARKER, PRUNE, SLIDER, VALUES, Link, amount_of, measured, press, until, values_of

pytestmark = pytest.mark.browser

GHOST = ".st-key-curve .live-ghost"
FOLLOWED = "Number(document.documentElement.dataset.followed ?? 0)"
HISTOGRAM = "document.querySelector('.st-key-histogram .live-chart')?._fullData?.find(t => t.meta === 'weights')?.y"
STOPS = f"{CHART}._fullData.find(trace => trace.customdata?.length)"
RANGE = f"{CHART}._fullLayout.xaxis.range"
STEPS = 60
LEAST_FPS = 15  # thirty on a machine of one's own: see benchmarks/README.md


@pytest.fixture
def explored(link: Link, open_page: OpenPage) -> Iterator[tuple[Page, list[object]]]:
    """The page with its curve measured, and all that it sends."""
    sent: list[object] = []
    page = open_page("about:blank")
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    page.goto(link([PRUNE]))
    measured(page)
    page.wait_for_function(f"({HISTOGRAM})?.length > 0")
    page.locator(SLIDER).evaluate("input => input.closest('[class*=st-key]').scrollIntoView({block: 'center'})")
    return page, sent


def thumb(page: Page) -> tuple[float, float]:
    """Where the slider is taken hold of."""
    box = page.locator(SLIDER).evaluate(
        "input => { const box = input.parentElement.parentElement.getBoundingClientRect();"
        " return [box.x + box.width / 2, box.y + box.height / 2] }"
    )
    return box[0], box[1]


def follow(page: Page, steps: int = STEPS) -> set[str]:
    """Drag to the right by a pixel and a half a step; the values that the slider has on the way."""
    x, y = thumb(page)
    page.mouse.move(x, y)
    page.mouse.down()
    values = set()
    for i in range(steps):
        page.mouse.move(x + 1.5 * (i + 1), y)
        values.add(page.locator(SLIDER).input_value())
    return values


def test_every_step_is_drawn_and_nothing_is_sent(explored: tuple[Page, list[object]]) -> None:
    page, sent = explored
    before, bins = values_of(page), page.evaluate(HISTOGRAM)
    page.evaluate(
        "() => { window.frames_ = 0; const f = () => { window.frames_ += 1; requestAnimationFrame(f) }; f() }"
    )
    sent.clear()
    began = time.monotonic()
    values = follow(page)
    frames = page.evaluate("window.frames_") / (time.monotonic() - began)
    assert len(values) >= 25
    assert page.evaluate(FOLLOWED) >= len(values) - 1  # the first is where it stood
    assert sent == []
    assert frames >= LEAST_FPS
    assert page.locator(GHOST).is_visible()
    assert page.locator(VALUES).nth(1).inner_text() != before[1]
    assert page.evaluate(HISTOGRAM) != bins
    page.mouse.up()
    expect(page.locator(GHOST)).to_have_count(0)
    measured(page, amount_of(page))
    assert sent


def test_between_two_points_it_lies_between_and_says_so(explored: tuple[Page, list[object]]) -> None:
    page, _ = explored
    x, y = thumb(page)
    follow(page)
    ghost, ahead = page.locator(GHOST), 90
    while ghost.get_attribute("data-guess") == "":  # back from what the store holds beside the curve
        ahead -= 1.5
        page.mouse.move(x + ahead, y)
    here = float(page.locator(SLIDER).input_value())
    xs, ys = page.evaluate(f"[{STOPS}.x, {STOPS}.y]")
    after = next(i for i, x in enumerate(xs) if x > here)
    low, high = sorted(ys[after - 1 : after + 1])
    assert low - 1e-4 <= float(ghost.get_attribute("data-y")) <= high + 1e-4
    assert ghost.get_attribute("data-guess") == "between"
    assert all(value.startswith("≈ ") for value in values_of(page))
    x, y = thumb(page)
    while abs(float(page.locator(SLIDER).input_value()) - xs[-3]) > 1e-9:  # on to a measured point
        x += 1 if float(page.locator(SLIDER).input_value()) < xs[-3] else -1
        page.mouse.move(x, y)
    assert ghost.get_attribute("data-guess") == ""
    assert float(ghost.get_attribute("data-y")) == pytest.approx(ys[-3], abs=1e-4)
    assert not any("≈" in value for value in values_of(page))
    page.mouse.up()


def test_back_where_it_was_all_is_as_before(explored: tuple[Page, list[object]]) -> None:
    page, sent = explored
    before, bins = values_of(page), page.evaluate(HISTOGRAM)
    x, y = thumb(page)
    follow(page, 20)
    sent.clear()
    for back in range(20, -1, -1):
        page.mouse.move(x + 1.5 * back, y)
    expect(page.locator(GHOST)).to_have_count(0)
    assert values_of(page) == before
    assert page.evaluate(HISTOGRAM) == bins
    page.mouse.up()
    assert sent == []


def test_the_zoom_outlives_a_drag(explored: tuple[Page, list[object]]) -> None:
    page, _ = explored
    whole = page.evaluate(RANGE)
    page.locator(".st-key-curve .live-chart").hover()
    page.locator(".st-key-curve .modebar-btn[data-title='Zoom in']").click()
    page.wait_for_function(f"whole => JSON.stringify({RANGE}) !== JSON.stringify(whole)", arg=whole)
    zoomed = page.evaluate(RANGE)
    follow(page, 20)
    page.mouse.up()
    measured(page, amount_of(page))
    assert page.evaluate(RANGE) == zoomed


HIDDEN = """
const find = Document.prototype.querySelector;
Document.prototype.querySelector = function (what) {
  return what.startsWith(".st-key-step") ? null : find.call(this, what);
};
"""


def test_where_the_slider_is_not_found_all_is_updated_on_release(link: Link, open_page: OpenPage) -> None:
    page = open_page("about:blank")
    page.add_init_script(HIDDEN)  # as if Streamlit named its sliders otherwise
    page.goto(link([PRUNE]))
    measured(page)
    amount = press(page, "ArrowRight", times=2)
    until(page, MARKER, amount)
    measured(page, amount)
    assert page.evaluate(FOLLOWED) == 0


def test_the_keyboard_moves_it_as_ever(explored: tuple[Page, list[object]]) -> None:
    page, _ = explored
    amount = press(page, "ArrowLeft", times=5)
    assert amount == 0.45
    measured(page, amount)
    expect(page.locator(GHOST)).to_have_count(0)

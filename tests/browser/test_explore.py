"""The page in a real browser, served as `streamlit run dashboard/app.py` does."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from engine.lines import write_line
from sample_models import load

from .conftest import WAIT_MS, OpenPage, Serve, wait_idle
from .pages import (
    APP,
    AXIS,
    CHART,
    CURVE,
    LABELS,
    LINES,
    LINES_MS,
    MARKER,
    PRUNE,
    SLIDER,
    VALUES,
    Link,
    amount_of,
    chart_of,
    lines_of,
    link_to,
    measured,
    more_than,
    press,
    until,
    values_of,
    view_of,
)

pytestmark = pytest.mark.browser

ASKING = Path(__file__).parent / "apps" / "asking_app.py"


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {"SECATEUR_STORE": f"sqlite:///{tmp_path_factory.mktemp('explore') / 'records.sqlite'}"}


@pytest.fixture
def link(serve: Serve, database: dict[str, str]) -> Link:
    """The address of a view: `link([PRUNE], model="digits_mlp", x="nonzero")`; of the page without a recipe."""
    return link_to(serve(APP, database))


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


def test_a_training_has_a_price_and_is_measured_once_it_is_agreed_to(serve: Serve, open_page: OpenPage) -> None:
    page = open_page(
        link_to(serve(ASKING, {"SECATEUR_STORE": "sqlite://"}))(
            [["parameter_optimization", {"steps": 200}], PRUNE], vary=[1, "amount"]
        )
    )
    button = page.locator(".st-key-pay-point button")
    expect(button).to_contain_text("Train and measure this recipe, about ", timeout=WAIT_MS)  # a worker warms up first
    page.wait_for_timeout(500)
    assert values_of(page) == ["–"] * 6
    assert page.evaluate(CURVE) == 0
    button.click()
    expect(button).to_have_count(0)
    measured(page)


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


# A point of the larger model takes a second, and what a closed page wanted is wanted for a minute: these come last.


FIRST = {"light": ("light", 1280), "dark": ("dark", 1920)}


@pytest.mark.parametrize("look", FIRST)
def test_the_first_page_measures_and_its_points_appear_one_after_another(
    link: Link, open_page: OpenPage, tmp_path: Path, look: str
) -> None:
    scheme, width = FIRST[look]
    layers = [["layer_pruning", {"form": "block_influence", "amount": 0.3}]]
    page = open_page(link(layers, "fashion_resnet") if look == "dark" else link(), scheme=scheme, width=width)
    expect(page.locator(".st-key-figures [data-testid=stMetricLabel]")).to_have_text(LABELS, timeout=WAIT_MS)
    seen = [0]
    while seen[-1] < 3:
        seen.append(more_than(page, seen[-1]))
        assert int(chart_of(page).get_attribute("data-points") or 0) > seen[-1]
    assert len(seen) >= 3  # not all at once
    expect(page.locator(VALUES).last).to_contain_text("%")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    box = chart_of(page).bounding_box()
    assert box is not None
    assert box["width"] > width / 2
    page.screenshot(path=tmp_path / f"{scheme}.png")


def test_a_sweep_can_be_cancelled_and_go_on(link: Link, open_page: OpenPage) -> None:
    page = open_page(link([["weight_clipping", {"form": "formula", "alpha": 0.1, "scale": "std"}]], "fashion_resnet"))
    more_than(page, 0)
    page.locator(".st-key-cancel button").click()
    expect(page.locator(".st-key-go-on")).to_be_visible()
    page.wait_for_timeout(600)  # what was on its way has arrived
    stopped = page.evaluate(CURVE)
    assert stopped < 11
    page.wait_for_timeout(2500)  # longer than a point takes
    assert page.evaluate(CURVE) == stopped
    page.locator(".st-key-go-on button").click()
    more_than(page, stopped)
    expect(page.locator(".st-key-cancel")).to_be_visible()


def test_a_nonsense_address_is_one_sentence_and_the_next_move_works(link: Link, open_page: OpenPage) -> None:
    page = open_page(f"{link()}/?s=nonsense")
    alert = page.locator("[data-testid=stAlert]")
    expect(alert).to_have_count(1)
    expect(alert).to_contain_text("The address must hold a view as JSON, got: ")
    assert view_of(page)["model"] == "fashion_resnet"
    assert press(page, "ArrowRight") == 0.51
    expect(alert).to_have_count(0)


def test_two_lines_stand_side_by_side_and_another_pair_comes_on_a_click(link: Link, open_page: OpenPage) -> None:
    page = open_page(link([["weight_pruning", {"form": "magnitude_layer", "amount": 0.9}]], model="character_lm"))
    page.set_default_timeout(LINES_MS)
    workload = load("character_lm")
    original, variant = lines_of(page)
    assert original == write_line(workload.model(), workload, 0)
    assert variant != original
    assert variant[:3] == original[:3]  # both begin as the same validation text
    page.locator(".st-key-another-line button").click()
    expect(page.locator(LINES).first).not_to_have_text(original, timeout=LINES_MS)
    assert view_of(page)["line"] == 1
    assert lines_of(page)[0] == write_line(workload.model(), workload, 1)


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

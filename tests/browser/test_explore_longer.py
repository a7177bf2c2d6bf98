"""The page in a real browser: what takes longer than a small model's curve."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from engine.lines import write_line
from sample_models import load

from .conftest import WAIT_MS, OpenPage, Serve
from .pages import (
    CURVE,
    LABELS,
    LINES,
    LINES_MS,
    PRUNE,
    VALUES,
    Link,
    chart_of,
    lines_of,
    link_to,
    measured,
    more_than,
    press,
    values_of,
    view_of,
)

pytestmark = pytest.mark.browser

ASKING = Path(__file__).parent / "apps" / "asking_app.py"


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


# A point of the larger model takes a second, and what a closed page wanted is wanted for a minute.


FIRST = {"light": ("light", 1280), "dark": ("dark", 1920)}


@pytest.mark.parametrize("look", FIRST)
def test_the_first_page_measures_and_its_points_appear_one_after_another(
    link: Link, open_page: OpenPage, tmp_path: Path, look: str
) -> None:
    scheme, width = FIRST[look]
    layers = [["layer_pruning", {"form": "block_influence", "amount": 0.3}]]
    page = open_page(link(layers, "fashion_resnet") if look == "dark" else link(), scheme=scheme, width=width)
    expect(page.locator(".st-key-figures .live-figure-label")).to_have_text(LABELS, timeout=WAIT_MS)
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

"""A training under way on the page: its loss, the button that ends it, and what is said of one that was ended."""

from __future__ import annotations

from .conftest import OpenPage

LONG = ["parameter_optimization", {"form": "adamw", "steps": 10_000, "patience": 100}]


def test_a_training_shows_its_loss_and_can_be_ended(open_page: OpenPage) -> None:
    page = open_page([LONG])
    page.until(lambda: "pay-point" in page.keys("button"))
    assert "enough" not in page.keys("button")
    page.move("button", "pay-point")
    page.until(lambda: "enough" in page.keys("button"))
    assert len(page.at.get("vega_lite_chart")) == 1
    page.until(lambda: "Loss of the training: " in page.texts("caption"))
    page.move("button", "enough")
    page.until(lambda: "to-the-end" in page.keys("button"))
    assert "The training was ended after step " in page.texts("info")
    assert page.figure("Accuracy").endswith(" %")
    assert "enough" not in page.keys("button")
    assert len(page.at.get("vega_lite_chart")) == 0
    assert "…" not in page.texts("figure", "caption")
    assert page.at.get("progress") == []
    page.move("button", "to-the-end")
    page.until(lambda: "enough" in page.keys("button"))
    assert "was ended" not in page.texts("info")

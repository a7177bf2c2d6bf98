"""Pins: kept beside what the sliders do, drawn with their frontier, part of the link."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.charts import CurvePoint
from dashboard.picture import Picture
from dashboard.pin import LETTERS, MOST_PINS, Pin, pins_of
from dashboard.pin_chart import Pinned, add_pins
from dashboard.view import View, first_view
from dashboard.views.pins import judged
from engine import Recipe, SecateurError

from .conftest import PRUNE, OpenPage, Page

AMOUNT = "step0-magnitude_global-amount"
places = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=MOST_PINS)


def at(x: float, y: float, letter: str = "A") -> Pinned:
    return Pinned(letter, "a pin", "#0072B2", CurvePoint(0.0, x, x, x, y, y - 0.1, y + 0.1, "figures"))


@given(places)
def test_a_pin_is_beaten_where_another_is_as_small_and_as_good_and_better_in_one(found: list[tuple[int, int]]) -> None:
    pins = judged([at(x, y) for x, y in found])
    best = [(pin.point.x, pin.point.y) for pin in pins if not pin.beaten]
    assert best
    for pin in pins:
        x, y = pin.point.x, pin.point.y
        better = [(a, b) for a, b in best if a <= x and b >= y and (a, b) != (x, y)]
        assert pin.beaten == bool(better)


@given(places)
def test_the_frontier_rises_with_what_it_costs(found: list[tuple[int, int]]) -> None:
    figure = Picture()
    add_pins(figure, judged([at(x, y) for x, y in found]))
    line, marks = ([trace for trace in figure.data if trace["mode"] == mode] for mode in ("lines", "markers+text"))
    assert len(marks[0]["x"]) == len(found)
    if line:
        assert line[0]["x"] == sorted(line[0]["x"])
        assert line[0]["y"] == sorted(line[0]["y"])


def test_pins_come_back_from_a_link() -> None:
    pins = (Pin("digits_mlp", Recipe.of([PRUNE])), Pin("fashion_resnet", Recipe()))
    for beside in ("", "A", "B"):
        view = replace(first_view(), pins=pins, beside=beside)
        assert View.from_text(view.to_text()) == view
    with pytest.raises(SecateurError, match="letter of a pin"):
        View.from_text(replace(first_view(), pins=pins, beside="C").to_text())
    assert "pins" not in json.loads(first_view().to_text())  # links from before stay what they were


@pytest.mark.parametrize(
    "wrong",
    [7, {"a": 1}, [7], [["digits_mlp"]], [[1, []]], [["nobody", []]], [["digits_mlp", [["unheard of", {}]]]],
     [["digits_mlp", []]] * (MOST_PINS + 1)],
)  # fmt: skip
def test_pins_that_are_none_are_refused_with_a_sentence(wrong: object) -> None:
    with pytest.raises(SecateurError, match=r"(?s)got .+|must be"):
        pins_of(wrong)


def drawn(page: Page) -> dict[str, float]:
    """The pins on the chart, by letter, with their heights."""
    marks = [trace for trace in page.chart()["data"] if trace["name"] == "pins"]
    return dict(zip(marks[0]["customdata"], marks[0]["y"], strict=True)) if marks else {}


def test_a_pin_stays_while_the_slider_moves_and_opens_again(open_page: OpenPage) -> None:
    page = open_page(x="parameters")
    page.wait()
    first, score = page.address["recipe"], page.figure("Accuracy")
    page.move("button", "pin")
    assert next(b for b in page.at.button if b.key == "pin").disabled
    page.move("slider", AMOUNT, 0.9)
    page.wait()
    page.move("button", "pin")
    page.wait()
    assert list(drawn(page)) == ["A", "B"]
    assert page.figure("Accuracy") != score
    page.move("button", "open-pin0")
    page.wait()
    assert page.address["recipe"] == first
    assert page.figure("Accuracy") == score
    assert next(s.value for s in page.at.slider if s.key == AMOUNT) == first[0][1]["amount"]
    again = Page(json.dumps(page.address))
    again.wait()
    assert drawn(again) == drawn(page)
    page.move("button", "unpin0")
    assert list(drawn(page)) == ["A"]  # the letters follow the order
    assert LETTERS[0] in page.texts("markdown")


def test_a_pin_of_another_model_stands_beside(open_page: OpenPage) -> None:
    page = open_page(x="parameters", pins=[["document_mlp", []], ["cancer_mlp", []]])
    page.wait()
    assert set(drawn(page)) == {"A", "B"}
    page.move("button", "open-pin1")
    page.wait()
    assert page.address["model"] == "cancer_mlp"
    assert page.address["recipe"] == []


def test_this_recipe_beside_a_pin_in_words_and_figures(open_page: OpenPage) -> None:
    page = open_page(x="parameters", pins=[["digits_mlp", []], ["document_mlp", []]])
    page.wait()
    page.move("button", "beside0")
    page.wait()
    assert page.address["beside"] == "A"
    said = page.texts("markdown")
    assert "This recipe beside A" in said
    assert "the same accuracy" in said.lower() or "accuracy" in said
    assert "weight_pruning" in said
    table = next(frame.value for frame in page.at.dataframe if "this recipe" in frame.value.columns)
    rows = table.set_index("figure")
    assert rows.loc["parameters", "A"] == rows.loc["parameters", "this recipe"]
    assert rows.loc["nonzero", "verdict"] == "lower"
    page.move("button", "unpin1")
    assert page.address["beside"] == "A"
    page.move("button", "beside0")
    assert "beside" not in page.address
    assert "This recipe beside" not in page.texts("markdown")

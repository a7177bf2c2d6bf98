"""Steps of a recipe through their widgets."""

from __future__ import annotations

import pytest

from dashboard.gallery import RECIPES
from engine import Recipe, available_methods

from .conftest import PRUNE, OpenPage, Page

CLIP = ["weight_clipping", {"form": "soft_threshold", "alpha": 0.5, "scale": "std"}]
RANK = ["structure_optimization", {"form": "low_rank", "rank": 0.3, "scheme": "kernel"}]
THREE = [PRUNE, CLIP, RANK]


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    return open_page(THREE, vary=[1, "alpha"])


def test_each_step_has_its_title_formula_form_and_sliders(page: Page) -> None:
    kinds = available_methods()
    toggles = [toggle.label for toggle in page.at.sidebar.toggle]
    assert toggles == [f"**{i}. {kinds[name].title}**" for i, (name, _) in enumerate(THREE, start=1)]
    steps = [kinds[name](values["form"]) for name, values in THREE]
    shown = [element.value for element in page.at.latex]
    assert len(shown) == 3
    assert all(step.how.latex in text for step, text in zip(steps, shown, strict=True))
    assert page.keys("slider") == {
        "step0-magnitude_global-amount", "step1-soft_threshold-alpha", "step2-low_rank-rank",
    }  # fmt: skip
    assert {"step0-form", "step1-form", "step2-form", "step1-soft_threshold-scale"} < page.keys("button_group")


@pytest.mark.parametrize("name", list(available_methods()))
def test_a_step_is_added_at_the_end_and_the_curve_follows_it(page: Page, name: str) -> None:
    page.move("selectbox", "add", name)
    assert page.steps == [*(name for name, _ in THREE), name]
    assert page.address["vary"][0] == 3
    assert page.at.selectbox(key="add").value is None
    assert "step3-remove" in page.keys("button")


@pytest.mark.parametrize(
    ("uid", "steps", "vary"),
    [
        (0, ["weight_clipping", "structure_optimization"], [0, "alpha"]),
        (1, ["weight_pruning", "structure_optimization"], [0, "amount"]),
        (2, ["weight_pruning", "weight_clipping"], [1, "alpha"]),
    ],
)
def test_a_step_is_removed(page: Page, uid: int, steps: list[str], vary: list[object]) -> None:
    page.move("button", f"step{uid}-remove")
    assert page.steps == steps
    assert page.address["vary"] == vary
    assert f"step{uid}-remove" not in page.keys("button")


def test_one_click_repairs_after_a_step_and_the_curve_is_drawn_with_and_without(open_page: OpenPage) -> None:
    page = open_page([["node_pruning", {"amount": 0.5}], PRUNE], vary=[0, "amount"])
    page.wait()
    page.move("button", "step0-repair")
    assert page.steps == ["node_pruning", "repair", "weight_pruning"]
    assert page.address["vary"] == [0, "amount"]
    dead = {b.key: b.disabled for b in page.at.button if b.key.endswith("-repair")}
    assert dead == {"step0-repair": True, "step2-repair": True, "step1-repair": False}
    page.wait()
    lines = {trace["name"]: trace for trace in page.chart()["data"]}
    with_it, without = lines["amount"], lines["without repair"]
    assert len(with_it["x"]) == len(without["x"]) == 11
    assert with_it["x"] == without["x"]
    assert sum(with_it["y"]) > sum(without["y"]) + 0.5


def test_without_steps_it_is_the_original(open_page: OpenPage) -> None:
    page = open_page([PRUNE])
    page.move("button", "step0-remove")
    assert page.steps == []
    assert "No steps: this is the original. Add one below." in page.texts("caption")
    page.wait()
    assert {card.delta for card in page.cards if card.label != "Latency"} == {"unchanged"}
    page.move("selectbox", "add", "layer_pruning")
    assert page.steps == ["layer_pruning"]


@pytest.mark.parametrize(
    ("button", "order", "vary"),
    [
        ("step1-up", [1, 0, 2], [0, "alpha"]),
        ("step1-down", [0, 2, 1], [2, "alpha"]),
        ("step0-down", [1, 0, 2], [0, "alpha"]),
        ("step2-up", [0, 2, 1], [2, "alpha"]),
    ],
)
def test_steps_change_places_and_the_curve_stays_on_its_step(
    page: Page, button: str, order: list[int], vary: list[object]
) -> None:
    page.move("button", button)
    assert page.steps == [THREE[i][0] for i in order]
    assert page.address["vary"] == vary
    assert page.at.slider(key="step1-soft_threshold-alpha").value == 0.5


def test_the_first_cannot_go_up_nor_the_last_down(page: Page) -> None:
    dead = {button.key for button in page.at.button if button.disabled}
    assert dead == {"step0-up", "step2-down"}


def test_a_step_is_switched_off_and_on(page: Page) -> None:
    page.wait()
    before = page.figure("Parameters")
    page.move("toggle", "step2-on", False)
    assert page.address["off"] == [2]
    assert page.address["recipe"][2] == RANK
    assert "Switched off." in page.texts("caption")
    assert "step2-low_rank-rank" not in page.keys("slider")
    page.wait()
    assert page.figure("Parameters") == "273,290" != before
    page.move("toggle", "step2-on", True)
    assert page.address["off"] == []
    page.wait()
    assert page.figure("Parameters") == before


def test_switching_all_off_shows_the_original(open_page: OpenPage) -> None:
    page = open_page([PRUNE], vary=[0, "amount"])
    page.move("toggle", "step0-on", False)
    page.wait()
    assert page.figure("Non-zeros") == "273,290"
    assert "cancel" not in page.keys("button")


def test_a_step_is_reset_to_its_defaults(page: Page) -> None:
    page.move("button", "step1-reset")
    assert page.address["recipe"][1] == Recipe.of(["weight_clipping"]).to_list()[0]


def test_another_form_has_its_own_widgets(page: Page) -> None:
    page.move("button_group", "step1-form", "formula")
    assert page.address["recipe"][1] == ["weight_clipping", {"form": "formula", "alpha": 0.5, "scale": "std"}]
    assert page.at.slider(key="step1-formula-alpha").value == 0.5
    page.move("button_group", "step0-form", "formula")
    assert page.address["recipe"][0] == ["weight_pruning", {"form": "formula", "alpha": 0.5}]
    assert page.address["vary"] == [1, "alpha"]


def test_the_curve_follows_the_slider_that_was_touched(page: Page) -> None:
    page.move("slider", "step2-low_rank-rank", 0.8)
    assert page.address["vary"] == [2, "rank"]
    assert page.chart()["layout"]["xaxis"]["title"]["text"] == "rank"
    page.move("slider", "step0-magnitude_global-amount", 0.25)
    assert page.address["vary"] == [0, "amount"]
    page.move("button_group", "step1-soft_threshold-scale", "absolute")
    assert page.address["vary"] == [0, "amount"]  # a choice has no curve


def test_many_powers_of_ten_are_a_slider_of_stops(open_page: OpenPage) -> None:
    page = open_page([["parameter_optimization", {"steps": 3, "learning_rate": 0.0037}]])
    rate = page.at.select_slider(key="step0-adamw-learning_rate")
    assert rate.value == 0.0037
    page.move("select_slider", "step0-adamw-learning_rate", 0.05)
    assert page.address["recipe"][0][1]["learning_rate"] == 0.05
    page.move("select_slider", "step0-adamw-steps", 10)
    assert page.address["recipe"][0][1]["steps"] == 10
    page.wait()
    assert page.figure("Accuracy").endswith(" %")


def test_a_layer_is_protected(open_page: OpenPage) -> None:
    page = open_page([["node_pruning", {"amount": 0.5}]])
    page.move("multiselect", "step0-group_norm-protect", ["blocks.0.up", "blocks.1.up"])
    assert page.address["recipe"][0][1]["protect"] == ["blocks.0.up", "blocks.1.up"]
    slider = page.at.slider(key="step0-group_norm-amount")
    assert (slider.label, slider.max, slider.value) == ("nodes kept, of 640", 640, 320)
    page.move("slider", "step0-group_norm-amount", 160)
    assert page.address["recipe"][0][1]["amount"] == 0.75
    assert page.at.slider(key="step0-group_norm-amount").value == 160


def test_a_count_stays_where_there_are_fewer_to_count(open_page: OpenPage) -> None:
    page = open_page([["layer_pruning", {"amount": 0.25}], ["layer_pruning", {"amount": 0.4}]], off=[0])
    for on, layers in ((False, 4), (True, 3), (False, 4)):
        page.move("toggle", "step0-on", on)
        slider = page.at.slider(key="step1-block_influence-amount")
        assert (slider.max, slider.value) == (layers, 2)


def test_a_slider_of_the_same_name_has_the_range_and_value_of_its_own_method(open_page: OpenPage) -> None:
    page = open_page([["weight_pruning", {"form": "formula", "alpha": 0.1}]])
    for title, high, value in (("Clipping by the formula", 3.0, 0.3), ("Pruning by the formula", 1.0, 0.1)):
        page.move("selectbox", "gallery", [start.title for start in RECIPES].index(title))
        slider = page.at.slider(key="step0-formula-alpha")
        assert (slider.max, slider.value) == (high, value)

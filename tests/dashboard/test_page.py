"""The page as a reader sees it, without a browser."""

from __future__ import annotations

import pytest

from .conftest import PRUNE, OpenPage, Page

AMOUNT = "step0-magnitude_global-amount"
LABELS = ["Parameters", "Non-zeros", "Multiply-adds", "Size", "Latency", "Accuracy"]


def traces(page: Page) -> dict[str, dict[str, object]]:
    return {trace["name"]: trace for trace in page.chart()["data"]}


def test_the_first_run_has_six_figures_and_a_chart(open_page: OpenPage) -> None:
    page = open_page()
    assert [card.label for card in page.cards] == LABELS
    assert page.at.title[0].value == "Digits MLP"
    assert page.keys("slider") == {AMOUNT}
    assert {"axis", "step0-form"} <= page.keys("button_group")
    assert page.chart()["layout"]["xaxis"]["title"]["text"] == "amount"
    assert page.texts("error", "warning") == ""


def test_figures_appear_with_interval_change_and_protocol(open_page: OpenPage) -> None:
    page = open_page()
    page.wait()
    shown = {card.label: card for card in page.cards}
    assert shown["Parameters"].value == "273,290"
    assert shown["Parameters"].delta == "unchanged"
    assert shown["Non-zeros"].value == "137,482"
    assert shown["Non-zeros"].delta == "-49.7 %"
    assert shown["Multiply-adds"].value == "271.6 k"
    assert shown["Size"].value.endswith(" MB")
    assert shown["Latency"].value.endswith(" ms")
    assert shown["Accuracy"].value.endswith(" %")
    assert all("Measured on cpu" in card.help and "497 test examples" in card.help for card in shown.values())
    notes = page.texts("figure")
    assert notes.count("exact") == 4
    assert " to " in notes
    assert "batch 64: " in notes


def test_the_chart_has_curve_original_recipe_and_chance(open_page: OpenPage) -> None:
    page = open_page()
    page.wait()
    found = traces(page)
    assert {"amount", "original", "this recipe", "95 % interval"} <= set(found)
    assert len(found["amount"]["x"]) == 11
    assert found["this recipe"]["x"] == [0.5]
    assert found["original"]["x"] == [0.0]
    chance = [shape["y0"] for shape in page.chart()["layout"]["shapes"] if shape["line"]["dash"] == "dot"]
    assert chance == [pytest.approx(59 / 497)]


def test_the_slider_moves_figures_marker_and_address(open_page: OpenPage) -> None:
    page = open_page()
    page.wait()
    before = page.figure("Non-zeros"), page.figure("Accuracy")
    page.move("slider", AMOUNT, 0.97)
    assert page.address["recipe"][0][1] == {"amount": 0.97, "form": "magnitude_global"}
    assert page.address["vary"] == [0, "amount"]
    page.wait()
    assert page.figure("Non-zeros") != before[0]
    assert page.figure("Accuracy") != before[1]
    assert traces(page)["this recipe"]["x"] == [0.97]
    assert next(s for s in page.at.slider if s.key == AMOUNT).value == 0.97


def test_the_horizontal_axis_can_be_another(open_page: OpenPage) -> None:
    page = open_page()
    page.wait()
    page.move("button_group", "axis", "nonzero")
    assert page.address["x"] == "nonzero"
    assert page.chart()["layout"]["xaxis"]["title"]["text"] == "Parameters that are not zero"
    assert traces(page)["original"]["x"] == [273_290]


def test_a_link_opens_the_same_view(open_page: OpenPage) -> None:
    parts = {"off": [1], "vary": [2, "rank"], "x": "size_bytes", "layer": "head.weight"}
    page = open_page([PRUNE, ["layer_pruning", {}], ["structure_optimization", {"rank": 0.3}]], **parts)
    assert page.address.items() >= parts.items()
    assert page.at.selectbox(key="layer").value == "head.weight"
    again = open_page(address=page.at.query_params["s"])
    assert again.address == page.address
    again.wait()
    page.wait()
    assert [card.value for card in again.cards] == [card.value for card in page.cards]


def test_another_model_keeps_the_recipe(open_page: OpenPage) -> None:
    page = open_page(layer="head.weight")
    page.move("selectbox", "model", "fashion_resnet")
    assert page.address["model"] == "fashion_resnet"
    assert page.address["recipe"][0][0] == "weight_pruning"
    assert page.address["layer"] == ""
    assert page.at.title[0].value != "Digits MLP"


def test_the_weights_of_a_layer_are_counted(open_page: OpenPage) -> None:
    page = open_page()
    page.move("selectbox", "layer", "head.weight")
    page.wait()
    assert page.address["layer"] == "head.weight"
    text = page.texts("markdown")
    assert "1,280 weights before, 1,280 after" in text
    assert "sign flipped: 0 (0.0 %)" in text
    assert {"curve", "histogram", "transfer"} <= page.keys("bidi_component")


def test_a_layer_of_another_shape_has_no_transfer_curve(open_page: OpenPage) -> None:
    page = open_page([["node_pruning", {"amount": 0.5}]], layer="blocks.0.up.weight")
    page.wait()
    assert "No transfer curve: the layer's shape changed from [256, 128] to [128, 64]." in page.texts("info")
    assert "transfer" not in page.keys("bidi_component")


def test_layers_and_nodes_are_sliders_of_counts(open_page: OpenPage) -> None:
    page = open_page([["layer_pruning", {}], ["node_pruning", {}]])
    layers = page.at.slider(key="step0-block_influence-amount")
    nodes = page.at.slider(key="step1-group_norm-amount")
    assert (layers.label, layers.min, layers.max, layers.value) == ("layers kept, of 4", 1, 4, 3)
    assert (nodes.label, nodes.max) == ("nodes kept, of 896", 128 + 3 * 256)
    page.move("slider", "step0-block_influence-amount", 2)
    assert page.address["recipe"][0][1]["amount"] == 0.5


def test_a_cancelled_curve_stops_and_can_go_on(open_page: OpenPage) -> None:
    page = open_page([["weight_clipping", {"form": "formula", "alpha": 0.123}]], model="fashion_resnet")
    page.move("button", "cancel")
    assert "cancel" not in page.keys("button")
    assert "Stopped at " in page.at.get("progress")[0].proto.text
    page.move("button", "go-on")
    assert "go-on" not in page.keys("button")
    assert " to go" in page.at.get("progress")[0].proto.text

"""The closer look, and how it is measured."""

from __future__ import annotations

import pytest

from dashboard import measuring
from dashboard.how import How, most_threads
from dashboard.layer_charts import batches_chart, batches_data, layers_chart, layers_data, roofline_chart, roofline_data
from dashboard.view import View
from engine import InvalidInput, Recipe, SecateurError

from .conftest import OpenPage

NARROWER = [["node_pruning", {"form": "group_norm", "amount": 0.5}]]


def test_nothing_of_it_is_shown_before_the_click(open_page: OpenPage) -> None:
    page = open_page(NARROWER)
    page.wait()
    assert page.at.segmented_control(key="look-closer").value is None
    assert "McNemar" not in page.texts("markdown")


def test_baselines_stand_beside_the_curve(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(measuring.BESIDE, "on")
    page = open_page(NARROWER)

    def drawn() -> dict[str, int]:
        return {trace["name"]: len(trace["x"]) for trace in page.chart()["data"]}

    page.until(lambda: drawn().get("chosen at random") == 11)
    assert {"original in bfloat16", "original in int8", "original", "this recipe"} <= set(drawn())


def test_example_by_example(open_page: OpenPage) -> None:
    page = open_page(NARROWER)
    page.wait()
    page.at.segmented_control(key="look-closer").set_value("accuracy").run()
    page.wait()
    assert "By the exact test on these (McNemar)." in page.texts("markdown")
    assert "Calibration error" in page.texts("caption")
    table = page.at.dataframe[-1].value
    assert list(table.columns) == ["class", "examples", "recall before", "recall after"]
    assert len(table) == 10


def test_every_layer_with_its_reason(open_page: OpenPage) -> None:
    page = open_page(NARROWER)
    page.at.segmented_control(key="look-closer").set_value("layers").run()
    page.wait()
    table = page.at.dataframe[-1].value.set_index("layer")
    assert table.loc["head", "sensitivity"] == "not treated"
    assert "outputs" in table.loc["head", "why not, or with what"]
    assert table.loc["first", "sensitivity"].startswith("+0.")
    assert "Roofline" in page.texts("markdown")


def test_what_can_be_done_to_each_layer_and_why_not(open_page: OpenPage) -> None:
    page = open_page(NARROWER)
    page.at.segmented_control(key="look-closer").set_value("map").run()
    page.wait()
    layers, together, reasons = (page.at.dataframe[i].value for i in (-3, -2, -1))
    marks = layers.set_index("layer")["node pruning"]
    assert (marks["first"], marks["head"]) == ("✓", "–")
    assert (layers["weight pruning"] == "✓").any()
    assert {"node pruning"} <= set(together["method"])
    (why,) = reasons[(reasons["method"] == "node pruning") & reasons["layers"].str.contains("head")]["reason"]
    assert "the model's outputs" in why


def test_every_batch_size_has_its_verdict(open_page: OpenPage) -> None:
    page = open_page(NARROWER)
    page.at.segmented_control(key="look-closer").set_value("batches").run()
    page.wait()
    said = page.texts("caption")
    assert "Verdict by batch size: 1: " in said
    assert "256: " in said


def test_numbers_and_batch_are_chosen_on_the_page(open_page: OpenPage) -> None:
    page = open_page(NARROWER)
    page.at.number_input(key="how-batch").set_value(16).run()
    page.at.segmented_control(key="how-dtype").set_value("bfloat16").run()
    page.wait()
    assert "**Batch 16: " in page.texts("markdown")
    (size,) = [card for card in page.cards if card.label == "Size"]
    assert "bfloat16" in size.help
    assert "548.2 kB" in size.help


@pytest.mark.parametrize("how", [How(), How(batch=7), How(threads=1, dtype="bfloat16"), How(device="cpu")])
def test_it_stands_in_the_address(how: How) -> None:
    view = View("digits_mlp", Recipe.of(NARROWER), vary=(0, "amount"), closer="layers", how=how)
    assert View.from_text(view.to_text()) == view


@pytest.mark.parametrize(
    "plain",
    [[], {"batch": -1}, {"batch": 10**6}, {"batch": "2"}, {"threads": most_threads() + 1}, {"dtype": "int3"},
     {"device": "cuda:77"}, {"device": 1}, {"speed": 1}, {"batch": True}],
)  # fmt: skip
def test_what_cannot_be_measured_is_refused(plain: object) -> None:
    with pytest.raises(SecateurError):
        How.of(plain)


def test_a_closer_look_at_nothing_is_refused() -> None:
    with pytest.raises(InvalidInput, match="closer must be one of accuracy, layers, batches"):
        View.from_text('{"v":1,"model":"digits_mlp","recipe":[],"closer":"moon"}')


COSTS = {"time_ms": 2.0, "multiply_adds": 400, "moved_bytes": 100}
ROW = {
    "layer": "a", "kind": "Linear", "shape": [4, 2], "treated_with": [], "reason": "", "parameters": 12,
    "sensitivity": {"value": 0.1, "low": 0.0, "high": 0.3, "n": 9, "unit": "fraction"},
    "batches": {"8": {"share": 0.25, "before": COSTS, "after": None}},
}  # fmt: skip
MACHINE = {"multiply_adds_per_s": 1e6, "bytes_per_s": 1e5}


def test_layers_as_numbers_and_as_a_figure() -> None:
    data = layers_data({"layers": [ROW, {**ROW, "layer": "b", "sensitivity": None}]}, "8", "accuracy", "#000000")
    assert (data.names, data.shares) == (("a", "b"), (0.25, 0.25))
    assert data.falls == ((0.1, 0.0, 0.3), None)
    bars, falls = layers_chart(data).data
    assert list(bars.y) == ["a", "b"]
    assert list(falls.y) == ["a"]  # b is not treated, so nothing is drawn of it: it is not called robust
    assert (list(falls.error_x.array), list(falls.error_x.arrayminus)) == ([pytest.approx(0.2)], [0.1])


def test_the_roofline_by_hand() -> None:
    data = roofline_data({"layers": [ROW], "machine": MACHINE}, "8")
    assert data.points == {"original": (("a", 4.0, 200_000.0, 2.0),), "variant": ()}
    roof = roofline_chart(data, "#000000").data[0]
    assert list(roof.x) == [2.0, 10.0, 20.0]
    assert list(roof.y) == [2e5, 1e6, 1e6]


def test_latency_and_throughput_by_hand() -> None:
    times = {
        "latency_ms": {"value": 2.0, "low": 1.0, "high": 4.0},
        "latency_ms_8": {"value": 4.0, "low": 4.0, "high": 5.0},
    }
    data = batches_data({"protocol": {"batches": [1, 8]}, "original": times, "variant": times})
    assert list(batches_chart(data, "#000000", throughput=False).data[1].y) == [2.0, 4.0]
    rate = batches_chart(data, "#000000", throughput=True).data[1]
    assert list(rate.y) == [500.0, 2000.0]
    assert list(rate.error_y.array) == [500.0, 0.0]
    assert list(rate.error_y.arrayminus) == [250.0, 400.0]

"""What a drag is drawn from, in the slider's own numbers."""

from __future__ import annotations

import json

import pytest

from dashboard import forms
from dashboard.forms import kept_of, position, series
from engine import available_methods

from .conftest import PRUNE, OpenPage

METHODS = available_methods()
AMOUNT = METHODS["weight_pruning"].coefficient("amount")
LAYERS = METHODS["layer_pruning"].coefficient("amount")
RATE = METHODS["parameter_optimization"].coefficient("learning_rate")
STEPS = METHODS["parameter_optimization"].coefficient("steps")


def test_a_plain_slider_stands_at_its_value() -> None:
    assert position(AMOUNT, 0.4, 0.4, None) == 0.4
    assert position(AMOUNT, 0.995, 0.4, None) == 0.99  # the last place that its step reaches


def test_a_slider_that_counts_stands_at_what_is_kept() -> None:
    assert [position(LAYERS, amount, 0.0, 8) for amount in (0.0, 0.25, 0.875)] == [8, 6, 1]
    assert position(LAYERS, 0.25, 0.0, 8) == kept_of(0.25, 8)


@pytest.mark.parametrize("coefficient", [RATE, STEPS])
def test_a_slider_of_stops_stands_at_the_number_of_its_stop(coefficient: object) -> None:
    stops = series(coefficient, coefficient.default)  # type: ignore[arg-type,attr-defined]
    for place, value in enumerate(stops):
        assert position(coefficient, value, coefficient.default, None) == place  # type: ignore[arg-type,attr-defined]
    assert position(coefficient, stops[1] * 1.01, coefficient.default, None) is None  # type: ignore[arg-type,attr-defined]


def test_the_chart_brings_the_measured_curve_with_figures_and_histograms(open_page: OpenPage) -> None:
    page = open_page([PRUNE])
    page.wait()
    page.until(
        lambda: sum(bool(stop["after"]) for stop in page.component("curve")["follow"]["stops"]) == 12
    )  # with the recipe shown
    follow = page.component("curve")["follow"]
    assert follow["slider"] in page.keys("slider")
    assert (follow["at"], follow["measured"]) == (0.5, True)
    stops = follow["stops"]
    chart = {trace["name"]: trace for trace in page.chart()["data"]}
    assert [stop["at"] for stop in stops] == sorted({stop["at"] for stop in stops})
    assert {0.5, *(min(x, 0.99) for x in chart["amount"]["x"])} <= {stop["at"] for stop in stops}
    here = next(stop for stop in stops if stop["at"] == 0.5)
    assert (here["x"], here["y"]) == pytest.approx((0.5, chart["this recipe"]["y"][0]), abs=1e-4)
    assert f"{here['figures']['nonzero']:,}" == page.figure("Non-zeros")
    drawn = json.loads(page.component("histogram")["figure"])["data"][-1]
    assert drawn["meta"] == "weights"
    assert list(drawn["y"]) == here["after"]
    for stop in stops:
        assert {"parameters", "nonzero", "multiply_adds", "size_bytes", "latency_ms", "accuracy"} <= set(
            stop["figures"]
        )
        assert len(stop["edges"]) == (len(stop["after"]) + 1 if stop["after"] else 0)


def test_what_was_measured_elsewhere_along_the_slider_is_there_too(open_page: OpenPage) -> None:
    recipe = [PRUNE[0], {**PRUNE[1], "amount": 0.37}]
    page = open_page([recipe])
    page.wait()
    shown = page.figure("Non-zeros")
    page.move("slider", "step0-magnitude_global-amount", 0.5)
    page.wait()
    stop = next(stop for stop in page.component("curve")["follow"]["stops"] if stop["at"] == 0.37)
    assert f"{stop['figures']['nonzero']:,}" == shown


@pytest.mark.parametrize("name", ["weight_pruning", "weight_clipping", "layer_pruning", "parameter_optimization"])
def test_the_places_of_a_slider_are_where_its_thumb_can_stand(name: str) -> None:
    for coefficient in METHODS[name].coefficients:
        for things in (None, 8, 10**6):
            found = forms.places(coefficient, things)
            assert len(found) <= forms.FINE + 1
            for value in found:
                assert position(coefficient, value, value, things) is not None
                assert coefficient.validate(value, "here") == value
    assert len(forms.places(AMOUNT, None)) == 100
    assert forms.places(LAYERS, 8)[-1] == 0.0


def test_where_nothing_is_varied_nothing_follows(open_page: OpenPage) -> None:
    page = open_page(off=[0])
    page.wait()
    assert page.component("curve")["follow"] is None


def test_the_key_is_the_widgets() -> None:
    step = METHODS["weight_pruning"]()
    assert forms.slider_key(3, step, "amount") == "step3-magnitude_global-amount"

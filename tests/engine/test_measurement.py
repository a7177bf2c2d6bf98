from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from engine import Cancelled, CannotApply, Estimate, InvalidInput, Measurer, Recipe, UnknownName, measure
from engine.metrics.compute import multiply_adds
from engine.metrics.size import size_figures
from engine.task import TASKS
from tests.devices import DEVICES
from tests.engine.quick import CountingStore, quick
from tests.methods.nets import Listening
from tests.states import global_state
from tests.tiny import TEST, tiny

RECIPE = [["node_pruning", {"amount": 0.5}]]
SAME_SHAPES = [["weight_pruning", {"amount": 0.5}]]
FIGURES = {
    "parameters": "parameters",
    "nonzero": "parameters",
    "structural": "parameters",
    "multiply_adds": "multiply-adds",
    "size_bytes": "bytes",
    "compressed_bytes": "bytes",
    "peak_memory_bytes": "bytes",
    "peak_memory_bytes_64": "bytes",
    "latency_ms": "ms",
    "latency_ms_64": "ms",
    "accuracy": "fraction",
}
ONCE = {"size": 1, "score": 1, "latency": 2}
NOTHING = {"size": 0, "score": 0, "latency": 0}
BOTH = {"size": 2, "score": 2, "latency": 2}


def measurer(store: CountingStore | None = None, model: str = "linear", **options: object) -> Measurer:
    return Measurer(tiny(model), protocol=quick(), store=store, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("model", ["linear", "conv", "attention", "tied", "regression"])
def test_the_figures_are_those_that_scripts_rely_on(model: str, device: str) -> None:
    plain = json.loads(json.dumps(measure(tiny(model), SAME_SHAPES, protocol=quick(device)).to_dict()))
    assert {"recipe", "protocol", "original", "variant"} <= plain.keys()
    assert plain["recipe"] == json.loads(str(Recipe.of(SAME_SHAPES)))
    assert plain["protocol"]["device"] == device
    assert plain["protocol"]["examples"] == TEST
    for side in (plain["original"], plain["variant"]):
        for name, unit in FIGURES.items():
            estimate = side[name]
            assert set(estimate) == {"value", "low", "high", "n", "unit"}, name
            assert estimate["low"] <= estimate["value"] <= estimate["high"]
            assert estimate["unit"] == (unit if name != "accuracy" else tiny(model).task.unit)
        assert side["accuracy"]["n"] == TEST
        others = {other.name for other in tiny(model).task.others}
        assert set(side) - set(FIGURES) == {"latency_p90_ms", "latency_p90_ms_64"} | others


def test_each_figure_is_the_metrics_own_on_the_model_that_the_recipe_made() -> None:
    workload = tiny("conv")
    point = measure(workload, RECIPE, protocol=quick())
    x, y = workload.test
    for side, recipe in ((point.original, Recipe()), (point.variant, Recipe.of(RECIPE))):
        model = recipe.apply(workload, device="cpu")
        for name, estimate in (size_figures(model) | {"multiply_adds": multiply_adds(model, x[:1])}).items():
            assert side[name] == estimate
        with torch.no_grad():
            assert side.accuracy.value == pytest.approx(float((model(x).argmax(1) == y).double().mean()))
    assert point.chance == TASKS["classification"].chance(y)
    assert point.variant.parameters.value < point.original.parameters.value
    assert set(point.ratio) == {1, 64}
    assert point.ratio[64].value == pytest.approx(
        point.variant.latency_ms_64.value / point.original.latency_ms_64.value, rel=1e-6
    )


def test_the_empty_recipe_is_the_original_beside_itself() -> None:
    point = measure(tiny("linear"), protocol=quick())
    for name in set(FIGURES) - {"latency_ms", "latency_ms_64"}:
        assert point.original[name] == point.variant[name]


def test_batches_of_the_protocol_are_timed() -> None:
    point = measure(tiny("linear"), RECIPE, protocol=replace(quick(), batches=(1, 8)))
    assert point.variant.latency_ms_8.value > 0
    assert "latency_ms_64" not in point.variant.figures


def test_what_the_store_holds_is_not_measured_again() -> None:
    store = CountingStore()
    first = measurer(store).measure(RECIPE)
    assert store.count() == BOTH
    again = measurer(store).measure(RECIPE)
    assert store.count() == NOTHING
    assert again.to_dict() == first.to_dict()


def test_the_original_is_measured_once_for_all_recipes() -> None:
    store = CountingStore()
    measurer(store).measure(RECIPE)
    store.count()
    measurer(store).measure([["node_pruning", {"amount": 0.75}]])
    assert store.count() == ONCE


def test_recipes_that_leave_the_same_shapes_share_their_times() -> None:
    store = CountingStore()
    one = measurer(store)
    one.measure(SAME_SHAPES)
    store.count()
    one.measure([["weight_clipping", {"alpha": 0.1}]])
    assert store.count() == ONCE | {"latency": 0}


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({"seed": 1}, {"size": 2, "score": 2, "latency": 0}),
        ({"machine": "another"}, {"size": 0, "score": 0, "latency": 2}),
        ({"threads": 2}, {"size": 0, "score": 0, "latency": 2}),
        ({"torch_version": "9"}, {"size": 0, "score": 0, "latency": 2}),
        ({"batches": (1, 64, 128)}, {"size": 0, "score": 0, "latency": 1}),
    ],
    ids=str,
)
def test_another_protocol_measures_what_hangs_on_it(change: dict[str, object], again: dict[str, int]) -> None:
    store = CountingStore()
    measurer(store).measure(RECIPE)
    store.count()
    Measurer(tiny("linear"), protocol=replace(quick(), **change), store=store).measure(RECIPE)  # type: ignore[arg-type]
    assert store.count() == again


def test_another_workload_is_measured_by_itself() -> None:
    store = CountingStore()
    measurer(store).measure(RECIPE)
    store.count()
    measurer(store, "regression").measure(RECIPE)
    assert store.count() == BOTH


def test_fresh_measures_again_but_each_thing_once() -> None:
    store = CountingStore()
    measurer(store).measure(RECIPE)
    store.count()
    fresh = measurer(store, fresh=True)
    fresh.measure(RECIPE)
    assert store.count() == BOTH
    fresh.measure([["node_pruning", {"amount": 0.75}]])
    assert store.count() == ONCE


def test_a_lookup_finds_what_is_there_and_measures_nothing() -> None:
    store = CountingStore()
    one = measurer(store)
    assert one.lookup(RECIPE) is None
    point = one.measure(RECIPE)
    store.count()
    found = measurer(store).lookup(RECIPE)
    assert found is not None
    assert found.to_dict() == point.to_dict()
    assert measurer(store).lookup(SAME_SHAPES) is None
    assert measurer(store, fresh=True).lookup(RECIPE) is None
    assert store.count() == NOTHING


def test_without_a_store_nothing_is_kept() -> None:
    assert measurer().lookup(RECIPE) is None


def test_global_state_is_left_as_it_was() -> None:
    before = global_state()
    measure(tiny("residual"), [*RECIPE, ["parameter_optimization", {"steps": 2}]], protocol=replace(quick(), threads=2))
    assert global_state() == before


def test_a_measurement_can_be_stopped_and_done_later() -> None:
    store, line = CountingStore(), Listening(stop_after=1)
    with pytest.raises(Cancelled):
        measurer(store, channel=line).measure(RECIPE)
    assert line.heard
    assert measurer(store).measure(RECIPE).variant.accuracy.n == TEST


@pytest.mark.parametrize(
    ("recipe", "options", "error"),
    [
        ("[", {}, InvalidInput),
        (["no_method"], {}, UnknownName),
        (RECIPE, {"device": "cuda:99"}, UnknownName),
        (["layer_pruning"], {"model": "conv"}, CannotApply),
    ],
)
def test_what_cannot_be_measured_is_a_named_error(recipe: object, options: dict[str, str], error: type) -> None:
    with pytest.raises(error):
        measure(tiny(options.pop("model", "linear")), recipe, **options)  # type: ignore[arg-type]


def test_a_missing_figure_is_null_with_a_reason_and_not_zero() -> None:
    plain = Estimate.missing("no data", "ms").to_dict()
    assert plain == {"value": None, "low": None, "high": None, "n": 0, "unit": "ms", "reason": "no data"}
    assert "reason" not in Estimate.exact(3, "ms").to_dict()


def test_a_figure_that_is_not_there_is_an_attribute_error() -> None:
    point = measure(tiny("linear"), protocol=quick())
    assert not hasattr(point.variant, "latency_ms_7")
    assert not hasattr(point.variant, "_private")

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from itertools import pairwise

import pytest
import torch

from engine import (
    Cancelled,
    Failed,
    InvalidInput,
    Measured,
    Measurer,
    Recipe,
    Sweep,
    Workload,
    measure,
    run_sweep,
    sweep,
)
from engine.refining import MOST_REFINED
from engine.sweeps import MOST_POINTS, coarse_first
from tests.engine.quick import CountingStore, quick
from tests.methods.nets import Listening, explored, linear
from tests.tiny import tiny

PRUNE = Recipe.of([["weight_pruning", {"amount": 0.5}]])
TWO = Recipe.of(["weight_clipping", ["parameter_optimization", {"steps": 2}]])


def amounts(points: list[Measured | Failed]) -> list[float]:
    return [point.recipe.steps[0].number("amount") for point in points]


def swept(recipe: object = PRUNE, vary: object = (0, "amount"), **options: object) -> list[Measured | Failed]:
    workload = tiny(str(options.pop("model", "linear")))
    return list(sweep(workload, recipe, vary, protocol=quick(), **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("points", [1, 2, 5])
def test_a_number_of_points_means_exactly_those(points: int) -> None:
    found = swept(points=points)
    assert all(isinstance(point, Measured) for point in found)
    assert len(set(amounts(found))) == len(found) == points
    knob = PRUNE.steps[0].coefficient("amount")
    assert sorted(amounts(found)) == knob.grid(points)


def test_a_grid_means_exactly_its_values_each_once() -> None:
    found = swept(grid=[0.3, 0.0, 0.7, 0.3, 0.123456789, 0])
    assert sorted(amounts(found)) == [0.0, 0.123456789, 0.3, 0.7]


def test_where_neither_is_given_the_curve_says_where_its_points_are() -> None:
    found = swept()
    values = amounts(found)
    knob = PRUNE.steps[0].coefficient("amount")
    assert values[:3] == [knob.low, knob.top, amounts(swept(points=3))[2]]
    assert 5 <= len(set(values)) == len(values) <= MOST_REFINED
    assert [r.steps[0].number("amount") for r in Sweep(PRUNE, (0, "amount")).recipes()] == values[:3]
    few = run_sweep(Sweep(TWO, (1, "steps"), low=0, high=3), Measurer(tiny("linear"), protocol=quick()))
    assert sorted(point.recipe.steps[1].whole("steps") for point in few) == [0, 1, 2, 3]


def large(n: int = 3000) -> Workload:
    """The linear net with many test examples, nine in ten labelled as it answers."""
    small = tiny("linear")
    x = 3 * torch.randn(n, *small.test[0].shape[1:], generator=torch.Generator().manual_seed(6))
    with torch.no_grad():
        y = small.model()(x).argmax(1)
    y[::10] = (y[::10] + 1) % 3
    return small.with_own(test=(x, y))


GENTLE = Recipe.of([["weight_pruning", {"amount": 0.05}]])


def test_a_point_ends_where_its_difference_is_known_to_a_point_and_says_so() -> None:
    workload = large()
    (found,) = sweep(workload, GENTLE, (0, "amount"), grid=[0.05], protocol=quick())
    (full,) = sweep(workload, GENTLE, (0, "amount"), grid=[0.05], protocol=quick(), full=True)
    assert isinstance(found, Measured)
    assert isinstance(full, Measured)
    plain = found.to_dict()
    n = found.protocol.examples
    assert 200 <= n < 3000
    assert plain["evaluated"] == {"examples": n, "of": 3000}
    assert plain["variant"]["accuracy"]["n"] == n == plain["paired"]["difference"]["n"]  # type: ignore[index]
    assert (plain["paired"]["difference"]["high"] - plain["paired"]["difference"]["low"]) / 2 <= 0.01  # type: ignore[index]
    assert full.protocol.examples == full.original.accuracy.n == 3000
    assert full.to_dict()["evaluated"] == {"examples": 3000, "of": 3000}
    assert found.original.accuracy == full.original.accuracy
    assert found.variant.accuracy.low <= full.variant.accuracy.value <= found.variant.accuracy.high
    assert measure(workload, GENTLE, protocol=quick()).variant.accuracy == full.variant.accuracy
    places = set(plain["paired"]["examples"]["lost"])  # type: ignore[index]
    assert places <= set(full.to_dict()["paired"]["examples"]["lost"])  # type: ignore[index]


def test_a_full_record_serves_a_sweep_and_all_examples_are_a_full_record() -> None:
    workload, store = large(), CountingStore()
    options = {"protocol": quick(), "store": store}
    measure(workload, GENTLE, **options)
    store.count()
    (found,) = sweep(workload, GENTLE, (0, "amount"), grid=[0.05], **options)
    assert found.protocol.examples == 3000
    assert store.count() == {"size": 0, "score": 0, "latency": 0}
    (strong,) = sweep(workload, GENTLE, (0, "amount"), grid=[0.9], **options)
    assert strong.protocol.examples == 3000
    store.count()
    assert measure(workload, strong.recipe, **options).variant.accuracy == strong.variant.accuracy
    assert store.count()["score"] == 0


def test_a_point_that_ended_early_is_no_full_record() -> None:
    workload, store = large(), CountingStore()
    options = {"protocol": quick(), "store": store}
    (found,) = sweep(workload, GENTLE, (0, "amount"), grid=[0.05], **options)
    assert Measurer(workload, **options).lookup(GENTLE) is None
    assert Measurer(workload, **options).lookup(GENTLE, quick().along_curve()).variant == found.variant
    store.count()
    assert measure(workload, GENTLE, **options).protocol.examples == 3000
    assert store.count()["score"] == 1


def test_part_of_a_range() -> None:
    plan = Sweep(PRUNE, (0, "amount"), points=3, low=0.2, high=0.6)
    assert [recipe.steps[0].number("amount") for recipe in plan.recipes()] == [0.2, 0.6, 0.4]


def test_coarse_first() -> None:
    assert coarse_first(1) == [0]
    assert coarse_first(2) == [0, 1]
    assert coarse_first(9) == [0, 8, 4, 2, 6, 1, 3, 5, 7]
    for n in range(1, 70):
        order = coarse_first(n)
        assert sorted(order) == list(range(n))
        assert set(order[:2]) == {0, n - 1}
    found = [r.steps[0].number("amount") for r in Sweep(PRUNE, (0, "amount"), grid=(0.5, 0.1, 0.3, 0.2, 0.4)).recipes()]
    assert found == [0.5, 0.4, 0.3, 0.1, 0.2]


def test_the_last_of_a_coarse_order_is_never_far_from_its_neighbours() -> None:
    for n in (11, 20, 33):
        for told in range(3, n):
            places = sorted(coarse_first(n)[:told])
            gaps = [b - a for a, b in pairwise(places)]
            assert max(gaps) <= 2 * math.ceil(n / (told - 1)) + 1


def test_any_step_can_be_varied_and_the_others_stay() -> None:
    for recipe in Sweep(TWO, (1, "learning_rate"), points=4).recipes():
        assert recipe.steps[0] == TWO.steps[0]
        assert recipe.steps[1].whole("steps") == 2


def test_a_point_is_committed_before_it_comes() -> None:
    store = CountingStore()
    seen = 0
    for point in sweep(tiny("linear"), PRUNE, (0, "amount"), points=3, protocol=quick(), store=store):
        seen += 1
        held = Measurer(tiny("linear"), protocol=quick(), store=store).lookup(point.recipe, quick().along_curve())
        assert held is not None
        assert held.to_dict() == point.to_dict()
        assert store.put_kinds.count("score") == 1 + seen
    assert seen == 3


def test_points_are_measured_one_by_one_as_they_are_asked_for() -> None:
    store = CountingStore()
    points = sweep(tiny("linear"), PRUNE, (0, "amount"), points=5, protocol=quick(), store=store)
    assert store.put_kinds == []
    next(points)
    assert store.put_kinds.count("score") == 2


def test_a_second_sweep_takes_what_the_first_one_left() -> None:
    store = CountingStore()
    swept(points=3, store=store)
    store.count()
    found = swept(points=5, store=store)
    assert len(found) == 5
    assert store.count()["score"] == 2  # every second one was there
    swept(points=5, store=store)
    assert store.count()["score"] == 0
    swept(points=5, store=store, fresh=True)
    assert store.count()["score"] == 6


def test_a_point_that_cannot_be_measured_comes_as_failed_and_the_others_come() -> None:
    steep = explored(linear([[1.0]]), torch.tensor([[1.0], [2.0]]), torch.tensor([[2.0], [4.0]]), task="regression")
    recipe = [["parameter_optimization", {"form": "formula", "steps": 100}]]
    found = list(sweep(steep, recipe, (0, "alpha"), grid=[0.01, 10.0, 0.1], protocol=quick()))
    failed = [point for point in found if isinstance(point, Failed)]
    assert len(found) == 3
    assert [point.recipe.steps[0].number("alpha") for point in failed] == [10.0]
    assert "must leave finite weights" in str(failed[0].error)
    plain = failed[0].to_dict()
    assert plain == {"recipe": failed[0].recipe.to_list(), "failed": str(failed[0].error)}


def test_a_method_that_cannot_treat_the_model_fails_at_every_point_but_the_neutral_one() -> None:
    found = swept(["layer_pruning"], (0, "amount"), model="conv", grid=[0.0, 0.3, 0.6])
    assert [type(point) for point in found] == [Measured, Failed, Failed]


def test_a_device_without_room_is_a_failed_point(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory\nmore")

    monkeypatch.setattr(Recipe, "apply_in", full)
    (point,) = swept(grid=[0.5])
    assert isinstance(point, Failed)
    assert str(point.error) == "the device must have room for the model, got: CUDA out of memory"


def test_a_wish_to_stop_ends_the_sweep() -> None:
    line = Listening(stop_after=4)
    points: Iterator[Measured | Failed] = sweep(tiny("linear"), PRUNE, (0, "amount"), protocol=quick(), channel=line)
    with pytest.raises(Cancelled):
        list(points)


BAD = {
    "no step": {"vary": (1, "amount")},
    "below the first step": {"vary": (-1, "amount")},
    "no number of a step": {"vary": ("0", "amount")},
    "no pair": {"vary": "amount"},
    "nothing": {"vary": None},
    "no such coefficient": {"vary": (0, "amuont")},
    "not of this form": {"vary": (0, "alpha")},
    "a choice": {"recipe": ["weight_clipping"], "vary": (0, "scale")},
    "a choice with a grid": {"recipe": ["weight_clipping"], "vary": (0, "scale"), "grid": ["std"]},
    "layers": {"recipe": ["node_pruning"], "vary": (0, "protect")},
    "empty grid": {"grid": []},
    "out of range": {"grid": [0.1, 1.0]},
    "not finite": {"grid": [math.nan]},
    "text": {"grid": ["0.1"]},
    "too long": {"grid": [i / 2000 for i in range(MOST_POINTS + 1)]},
    "no points": {"points": 0},
    "part of a point": {"points": 2.5},
    "many points": {"points": MOST_POINTS + 1},
    "more points than values": {"recipe": ["layer_pruning"], "vary": (0, "examples"), "points": -1},
    "bad recipe": {"recipe": "[[", "points": 2},
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_plan_is_refused_at_once(name: str) -> None:
    what = {"recipe": PRUNE, "vary": (0, "amount")} | copy.deepcopy(BAD[name])
    with pytest.raises(InvalidInput, match=" must "):
        sweep(tiny("linear"), what.pop("recipe"), what.pop("vary"), protocol=quick(), **what)


def test_a_planned_sweep_runs_on_a_measurer_of_ones_own() -> None:
    store = CountingStore()
    plan = Sweep(PRUNE, (0, "amount"), grid=(0.1, 0.2))
    one = Measurer(tiny("linear"), protocol=quick(), store=store)
    assert [p.to_dict() for p in run_sweep(plan, one)] == [p.to_dict() for p in run_sweep(plan, one)]
    assert store.count()["score"] == 3

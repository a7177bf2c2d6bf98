"""What a view wants measured, in which order, and what is asked first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dashboard import cache, measuring, state
from dashboard.curve import curve_of, curve_seconds
from dashboard.measuring import FEW_SECONDS, Plan, Wishes, plan, wishes_of
from dashboard.view import View
from engine import Job, Outcome, Recipe

from .conftest import Visit

NARROW = ["node_pruning", {"form": "group_norm", "amount": 0.4}]
TRAIN = ["parameter_optimization", {"form": "adamw", "steps": 100}]
PRUNE = ["weight_pruning", {"form": "magnitude_global", "amount": 0.5}]


class FakeQueue:
    """Knows what the test says is known."""

    def __init__(self) -> None:
        self.known: dict[str, Outcome] = {}

    def outcome(self, job: Job) -> Outcome:
        return self.known.get(job.key, Outcome("waiting"))

    def look_up(self, jobs: list[Job]) -> None:
        """There is no store."""

    def tell(self, job: Job | None, seconds: float, result: dict[str, object] | None = None) -> None:
        """A job took so long and came to this."""
        assert job is not None
        self.known[job.key] = Outcome("done", result or {}, seconds=seconds)


@pytest.fixture(autouse=True)
def queue(monkeypatch: pytest.MonkeyPatch) -> FakeQueue:
    made = FakeQueue()
    monkeypatch.setattr(cache, "runner", lambda: made)
    Visit(monkeypatch)
    state.begin()
    return made


def view_of(recipe: list[object], vary: tuple[int, str] | None, **rest: object) -> View:
    return View("digits_mlp", Recipe.of(recipe), vary=vary, **rest)


def trained(jobs: list[Job]) -> list[Job]:
    """Those jobs that would train, beside finding out the price."""
    return [job for job in jobs if job.kind != "price" and Recipe.parse(job.recipe).trains]


def priced(queue: FakeQueue, view: View, seconds: float, point_s: float = 0.01) -> tuple[Wishes, Plan]:
    """The plan of a view whose original is measured and whose training has this price."""
    wishes = wishes_of(view)
    queue.tell(wishes.original, seconds=point_s)
    queue.tell(wishes.price, 0.01, {"seconds": seconds})
    return wishes, plan(view, wishes)


def test_the_curve_comes_coarse_first() -> None:
    curve = curve_of(view_of([PRUNE], (0, "amount")))
    assert curve is not None
    rising = sorted(curve.values)
    assert curve.values[:3] == [rising[0], rising[-1], rising[5]]
    assert len(set(curve.values)) == len(curve.values) == 11
    assert [recipe.step(0).number("amount") for recipe in curve.recipes] == curve.values


def test_layers_are_counted_one_by_one() -> None:
    curve = curve_of(view_of([["layer_pruning", {}]], (0, "amount")))
    assert curve is not None
    assert sorted(curve.values) == [0.0, 0.25, 0.5, 0.75]
    assert curve.things == 4


@pytest.mark.parametrize(
    ("view", "trainings"),
    [
        (view_of([PRUNE], (0, "amount")), 0),
        (view_of([NARROW, TRAIN], (0, "amount")), 11),
        (view_of([NARROW, TRAIN], (1, "learning_rate")), 10),
        (view_of([TRAIN, PRUNE], (1, "amount")), 0),
        (view_of([TRAIN, PRUNE, TRAIN], (1, "amount")), 11),
        (view_of([TRAIN, PRUNE], (1, "amount"), off=frozenset({0})), 0),
        (view_of([NARROW, TRAIN], (0, "amount"), off=frozenset({1})), 0),
    ],
)
def test_trainings_of_a_curve_are_counted(view: View, trainings: int) -> None:
    curve = curve_of(view)
    assert curve is not None
    assert curve.trainings == trainings


def test_no_steps_are_no_training() -> None:
    curve = curve_of(view_of([NARROW, TRAIN], (1, "steps")))
    assert curve is not None
    assert 0 in curve.values
    assert curve.trainings == len(curve.values) - 1


def test_a_curve_has_the_same_mark_wherever_the_slider_stands() -> None:
    at = {amount: view_of([["weight_pruning", {"amount": amount}], TRAIN], (0, "amount")) for amount in (0.1, 0.7)}
    marks = {curve_of(view).mark for view in at.values()}
    assert len(marks) == 1
    others = [
        view_of([PRUNE, ["parameter_optimization", {"steps": 7}]], (0, "amount")),
        view_of([PRUNE, TRAIN], (1, "steps")),
        replace(at[0.1], model="fashion_resnet"),
    ]
    assert len(marks | {curve_of(view).mark for view in others}) == 4


@pytest.mark.parametrize("vary", [None, (0, "amount")])
def test_without_a_step_that_is_on_there_is_no_curve(vary: tuple[int, str] | None) -> None:
    view = view_of([PRUNE], vary, off=frozenset({0}))
    assert curve_of(view) is None
    assert wishes_of(view).here == wishes_of(view).original
    assert plan(view, wishes_of(view)).ask_curve is None


def test_wishes_name_the_layer_and_the_price() -> None:
    wishes = wishes_of(view_of([PRUNE, TRAIN], (0, "amount"), layer="head.weight"))
    assert wishes.weights is not None
    assert wishes.weights.detail == "head.weight"
    assert wishes.price is not None
    plain = wishes_of(view_of([PRUNE], (0, "amount"), layer="no such layer"))
    assert plain.price is None
    assert plain.weights is not None
    assert plain.weights.detail.startswith("blocks.0.")


def along(wishes: Wishes) -> list[Job]:
    """Each point with the histogram of its weights."""
    assert len(wishes.points) == len(wishes.histograms)
    return [job for pair in zip(wishes.points, wishes.histograms, strict=True) for job in pair]


def test_a_curve_that_trains_has_no_histograms_along_it() -> None:
    assert wishes_of(view_of([TRAIN], (0, "steps"))).histograms == ()
    wishes = wishes_of(view_of([PRUNE], (0, "amount"), layer="layers.0.weight"))
    assert {job.kind for job in wishes.histograms} == {"weights"}
    assert {job.detail for job in wishes.histograms} == {wishes.weights.detail}
    assert [job.recipe for job in wishes.histograms] == [job.recipe for job in wishes.points]


@pytest.mark.parametrize(("full", "kind"), [(False, "anytime"), (True, "point")])
def test_a_curve_takes_as_many_examples_as_it_needs_or_all(full: bool, kind: str) -> None:
    wishes = wishes_of(view_of([PRUNE, ["repair", {}]], (0, "amount"), full=full))
    beside = [*wishes.points, *wishes.random, *wishes.bare]
    assert {job.kind for job in beside} == {kind}
    assert wishes.here.kind == wishes.original.kind == "point"


def test_without_training_all_is_wanted_at_once_the_original_first() -> None:
    view = view_of([PRUNE], (0, "amount"))
    wishes = wishes_of(view)
    assert plan(view, wishes) == Plan([wishes.original, wishes.here, wishes.weights, *along(wishes)])


def test_nothing_is_trained_before_its_price_is_known(queue: FakeQueue) -> None:
    view = view_of([TRAIN, PRUNE], (1, "amount"))
    wishes = wishes_of(view)
    assert plan(view, wishes) == Plan([wishes.original, wishes.price])
    queue.tell(wishes.original, seconds=0.01)
    assert plan(view, wishes) == Plan([wishes.original, wishes.price])


@pytest.mark.parametrize("seconds", [0.0, 1.0, FEW_SECONDS])
def test_a_training_of_a_few_seconds_is_not_asked(queue: FakeQueue, seconds: float) -> None:
    wishes, now = priced(queue, view_of([TRAIN, PRUNE], (1, "amount")), seconds)
    assert now == Plan([wishes.original, wishes.price, wishes.here, wishes.weights, *along(wishes)])


@pytest.mark.parametrize("vary", [(0, "steps"), (1, "amount")], ids=["before", "after"])
@pytest.mark.parametrize("point_s", [0.01, 2.0])
def test_a_longer_training_is_asked_and_nothing_trains_before_the_answer(
    queue: FakeQueue, vary: tuple[int, str], point_s: float
) -> None:
    view = view_of([TRAIN, PRUNE], vary)
    wishes, now = priced(queue, view, FEW_SECONDS + 0.1, point_s)
    assert now.ask_point == FEW_SECONDS + 0.1
    assert trained(now.jobs) == []

    state.mark("paid", f"{view.model} {view.active}")
    after = plan(view, wishes)
    assert after.ask_point is None
    assert after.jobs[2:4] == [wishes.here, wishes.weights]
    if vary == (1, "amount"):  # one training serves all its points
        assert after == Plan([*after.jobs[:4], *along(wishes)])
    else:
        assert after.ask_curve is not None
        assert trained(after.jobs[4:]) == []


def test_a_curve_of_trainings_is_asked_by_itself(queue: FakeQueue) -> None:
    view = view_of([NARROW, TRAIN], (0, "amount"))
    wishes, now = priced(queue, view, 2.0)
    assert now.ask_point is None
    assert now.ask_curve == pytest.approx(11 * 2.0 + 11 * 0.01)
    assert now.jobs == [wishes.original, wishes.price, wishes.here, wishes.weights]
    assert wishes.curve is not None
    state.mark("paid", wishes.curve.mark)
    assert plan(view, wishes) == Plan([*now.jobs, *wishes.points])


def test_a_cheap_curve_of_trainings_is_not_asked(queue: FakeQueue) -> None:
    wishes, now = priced(queue, view_of([NARROW, TRAIN], (0, "amount")), 0.1)
    assert now.ask_curve is None
    assert now.jobs[4:] == wishes.points


def test_what_is_known_is_not_asked_again(queue: FakeQueue) -> None:
    view = view_of([TRAIN], (0, "steps"))
    wishes, now = priced(queue, view, 60.0)
    assert now.ask_point == 60.0
    for job in [wishes.here, *wishes.points]:
        queue.tell(job, seconds=60.0)
    after = plan(view, wishes)
    assert (after.ask_point, after.ask_curve) == (None, None)


@pytest.mark.parametrize("vary", [(0, "steps"), (1, "amount")], ids=["before", "after"])
def test_a_point_out_of_the_store_does_not_pay_for_a_training(queue: FakeQueue, vary: tuple[int, str]) -> None:
    """Its figures are there, but its weights and the rest of the curve would have to be trained anew."""
    view = view_of([TRAIN, PRUNE], vary)
    queue.tell(wishes_of(view).here, seconds=0.0)
    wishes, now = priced(queue, view, 60.0)
    assert now.ask_point == 60.0
    assert trained(now.jobs) == []
    queue.tell(wishes.here, seconds=60.0)
    assert plan(view, wishes).ask_point is None


def test_after_a_training_that_was_ended_nothing_else_trains(queue: FakeQueue) -> None:
    view = view_of([TRAIN], (0, "steps"))
    wishes, _ = priced(queue, view, 60.0)
    queue.tell(wishes.here, 9.0, {"ended": {"step": 3, "steps": 100}})
    now = plan(view, wishes)
    assert trained(now.jobs) == [wishes.here]
    assert (now.ask_point, now.ask_curve) == (None, None)


def test_a_stopped_curve_waits(queue: FakeQueue) -> None:
    view = view_of([PRUNE], (0, "amount"))
    wishes = wishes_of(view)
    assert wishes.curve is not None
    state.mark("stopped", wishes.curve.mark)
    assert plan(view, wishes).jobs == [wishes.original, wishes.here, wishes.weights]


def test_the_price_of_a_curve_follows_its_steps() -> None:
    view = view_of([["parameter_optimization", {"steps": 50}]], (0, "steps"))
    curve = curve_of(view)
    assert curve is not None
    wanted = sum(curve.values) / 50 * 3.0 + len(curve.values) * 0.5
    assert curve_seconds(curve, view, training_s=3.0, point_s=0.5) == pytest.approx(wanted)


def test_a_point_takes_as_long_as_those_before(queue: FakeQueue) -> None:
    wishes = wishes_of(view_of([PRUNE], (0, "amount")))
    assert measuring.point_seconds(wishes) == 1.0
    queue.tell(wishes.original, seconds=0.0)  # out of the store
    assert measuring.point_seconds(wishes) == 1.0
    queue.tell(wishes.points[0], seconds=2.0)
    queue.tell(wishes.points[1], seconds=4.0)
    assert measuring.point_seconds(wishes) == 3.0

"""The runner with a real worker process."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path

import pytest

from engine import Job, Measurer, Protocol, Recipe, Runner, Store, Workload, open_store
from engine.jobs import Outcome
from engine.store import DatabaseStore, Payload, RecordKind

from .conftest import MakeJob, wait_for

PRUNED = [["weight_pruning", {"amount": 0.7}]]
NARROW = [["node_pruning", {"amount": 0.4}], ["parameter_optimization", {"steps": 4}]]
EXPLODES = [["parameter_optimization", {"form": "formula", "alpha": 10, "steps": 200, "batch_size": 1}]]
LONG = [["parameter_optimization", {"steps": 10_000}]]
UNTIMED = ("parameters", "nonzero", "structural", "multiply_adds", "size_bytes", "accuracy")


def done(runner: Runner, job: Job) -> Outcome:
    """The outcome of a job, once it has come to an end."""
    runner.want("me", [job])
    wait_for(lambda: runner.outcome(job).status in ("done", "failed"))
    return runner.outcome(job)


class Noted(DatabaseStore):
    """A database that only says who would write into it."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.written: list[tuple[str, int]] = []

    def put(self, kind: RecordKind, key: Payload, record: Payload) -> None:
        self.written.append((kind, os.getpid()))


class Absent(Executor):
    """A worker that must not be needed."""

    def submit(self, function: object, /, *given: object, **named: object) -> Future[str]:
        raise AssertionError("asked to work")

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Nothing to stop."""


@pytest.fixture
def noted(tmp_path: Path) -> Iterator[Noted]:
    store = Noted(f"sqlite:///{tmp_path / 'noted.sqlite'}")
    yield store
    store.close()


@pytest.mark.parametrize("recipe", [PRUNED, NARROW], ids=["pruned", "trained"])
def test_a_point_measured_in_the_worker_equals_one_measured_here(
    runner: Runner, job: MakeJob, digits: Workload, protocol: Protocol, recipe: list[object]
) -> None:
    outcome = done(runner, job("point", recipe))
    here = Measurer(digits, protocol=protocol).measure(recipe).to_dict()
    assert outcome.status == "done"
    assert outcome.seconds > 0
    for side in ("original", "variant"):
        for name in UNTIMED:
            assert outcome.result[side][name] == here[side][name], (side, name)
    assert outcome.result["protocol"] == here["protocol"]
    assert outcome.result.keys() == here.keys()


def test_only_the_driver_writes_the_store(noted: Noted, worker: Executor, job: MakeJob) -> None:
    runner = Runner(noted, lambda: worker)
    assert done(runner, job("point", PRUNED)).status == "done"
    runner.close()
    assert sorted({kind for kind, _ in noted.written}) == ["latency", "machine", "pair", "score", "size"]
    assert {pid for _, pid in noted.written} == {os.getpid()}
    table = noted._tables["size"]
    with noted._engine.connect() as connection:
        assert connection.execute(table.select()).all() == []  # the worker left nothing there


@pytest.mark.parametrize(("look", "who"), [("want", ["me"]), ("look_up", [])])
def test_a_second_runner_answers_from_the_store_at_once(
    runner: Runner, store: Store, job: MakeJob, look: str, who: list[str]
) -> None:
    first = done(runner, job("point", PRUNED))
    reopened = open_store(store.url)
    second = Runner(reopened, Absent)
    getattr(second, look)(*who, [job("point", PRUNED)])
    outcome = second.outcome(job("point", PRUNED))
    assert second.look_up([job("point", PRUNED)]) == 0  # nothing new
    third = Runner(reopened, Absent)
    assert third.look_up([job("point", PRUNED), job("point", LONG)]) == 1
    third.close()
    second.close()
    reopened.close()
    assert outcome == replace(first, seconds=0.0)


def test_what_nobody_wants_any_more_stops(runner: Runner, job: MakeJob) -> None:
    long, short = job("point", LONG), job("weights", [], "first.weight")
    runner.want("me", [long])
    wait_for(lambda: bool(runner.partial(long).get("step")))
    began = time.monotonic()
    runner.want("me", [short])
    wait_for(lambda: runner.outcome(short).status == "done", 2.0)
    assert time.monotonic() - began < 2
    assert runner.outcome(long) == Outcome("waiting")  # not failed: it may be wanted again
    assert runner.partial(long) == {}


def test_partial_figures_arrive_and_go_with_the_job(runner: Runner, job: MakeJob) -> None:
    long = job("point", [["parameter_optimization", {"steps": 300}]])
    seen: list[int] = []

    def ended() -> bool:
        runner.want("me", [long])
        step = runner.partial(long).get("step")
        if step is not None and step not in seen:
            seen.append(step)
        return runner.outcome(long).status == "done"

    wait_for(ended)
    assert len(seen) >= 2
    assert seen == sorted(seen)
    assert 0 < seen[0] < 300
    assert runner.partial(long) == {}


def test_a_workload_that_is_another_by_now_is_refused(runner: Runner, job: MakeJob) -> None:
    assert done(runner, job("point", PRUNED)).status == "done"
    other = replace(job("point", PRUNED), fingerprint="0123456789abcdef")
    outcome = done(runner, other)
    assert outcome.status == "failed"
    assert "must build the workload 0123456789abcdef here as well, got" in outcome.error
    assert "\n" not in outcome.error


@pytest.mark.parametrize(
    ("kind", "recipe", "layer", "sentence"),
    [
        ("weights", [], "no.such.layer", "layer must be one of "),
        ("point", EXPLODES, "", "step 0 (parameter_optimization) must leave finite weights, got others in "),
    ],
    ids=["layer", "recipe"],
)
def test_a_job_that_cannot_be_done_fails_alone_and_can_be_tried_again(
    runner: Runner, job: MakeJob, kind: str, recipe: list[object], layer: str, sentence: str
) -> None:
    bad, good = job(kind, recipe, layer), job("weights", [], "first.weight")
    outcome = done(runner, bad)
    assert outcome.status == "failed"
    assert outcome.error.startswith(sentence)
    assert "\n" not in outcome.error
    assert done(runner, good).status == "done"
    assert runner.outcome(bad) == outcome
    runner.forget([bad])
    assert runner.outcome(bad) == Outcome("waiting")
    assert done(runner, bad) == outcome


def test_the_price_of_a_training_grows_with_its_steps(runner: Runner, job: MakeJob) -> None:
    prices = []
    for steps in (100, 10_000):
        outcome = done(runner, job("price", [["parameter_optimization", {"steps": steps}]]))
        prices.append(outcome.result["seconds"])
    assert prices[0] > 0
    assert prices[1] > 10 * prices[0]
    assert prices[1] > 1


def test_the_weights_of_a_layer_come_as_plain_data(runner: Runner, job: MakeJob) -> None:
    result = done(runner, job("weights", PRUNED, "blocks.0.up.weight")).result
    assert result["layer"] == "blocks.0.up.weight"
    assert result["n"] == [128 * 256, 128 * 256]
    assert result["zeros"][0] == 0 < result["zeros"][1]
    assert sum(result["before"]) == sum(result["after"]) == 128 * 256
    assert result["flipped"] == 0


def test_a_training_that_was_ended_is_measured_but_nobody_finds_it_under_its_recipe(
    runner: Runner, store: Store, worker: Executor, job: MakeJob
) -> None:
    one = job("point", LONG)
    runner.want("me", [one])
    wait_for(lambda: "losses" in runner.partial(one))
    runner.finish(one)
    wait_for(lambda: runner.outcome(one).status == "done")
    found = runner.outcome(one).result
    assert 0 < found["ended"]["step"] < found["ended"]["steps"] == 10_000
    assert found["recipe"] == Recipe.of(LONG).to_list()
    assert found["variant"]["accuracy"]["value"] > 0
    other = Runner(store, lambda: worker)
    assert other.look_up([one]) == 0
    assert other.outcome(one).status == "waiting"
    other.close()
    runner.forget([one])
    assert runner.outcome(one).status == "waiting"

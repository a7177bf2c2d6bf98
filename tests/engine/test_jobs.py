from __future__ import annotations

import json
import os
import pickle
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from engine import InvalidInput, Job, Recipe, Runner, Store, Workload
from engine.channels import REPORT_EVERY_S, FolderChannel
from engine.jobs import Outcome
from tests.engine.quick import CountingStore, quick
from tests.tiny import tiny

WORKLOAD = Workload.from_reference("tests.engine.quick:linear_workload")
PRUNE = ["weight_pruning", {"amount": 0.5}]
LONG = ["parameter_optimization", {"steps": 10_000}]
WAIT_S = 30.0


def job(seed: int, *recipe: object, kind: str = "point", layer: str = "") -> Job:
    """A job of one test: another seed is another protocol, so that no test finds what another one did."""
    return Job.of(kind, WORKLOAD, Recipe.of(list(recipe)), quick(seed=seed), layer)


def in_a_thread() -> Executor:
    return ThreadPoolExecutor(1)


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


def finished(runner: Runner, *jobs: Job) -> list[Outcome]:
    runner.want("page", jobs)
    until(lambda: all(runner.outcome(one).status in ("done", "failed") for one in jobs))
    return [runner.outcome(one) for one in jobs]


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


@pytest.fixture
def runner(store: CountingStore) -> Iterator[Runner]:
    made = Runner(store, in_a_thread)
    yield made
    made.close()


def test_a_point_is_measured_and_the_driver_writes_the_store(runner: Runner, store: CountingStore) -> None:
    (outcome,) = finished(runner, job(100, PRUNE))
    assert outcome.status == "done"
    assert outcome.seconds > 0
    assert outcome.result["variant"]["nonzero"]["value"] < outcome.result["original"]["nonzero"]["value"]
    assert store.count() == {"size": 2, "score": 2, "latency": 2}


def test_what_the_store_holds_needs_no_worker(runner: Runner, store: CountingStore) -> None:
    (first,) = finished(runner, job(101, PRUNE))

    def no_worker() -> Executor:
        class Refusing(ThreadPoolExecutor):
            def submit(self, *_: object, **__: object) -> Future:
                raise AssertionError("nothing was to be measured")

        return Refusing(1)

    second = Runner(store, no_worker)
    (again,) = finished(second, job(101, PRUNE))
    second.close()
    assert (again.status, again.result, again.seconds) == ("done", first.result, 0.0)


def test_other_kinds_of_job(runner: Runner) -> None:
    weights, price = finished(
        runner, job(102, PRUNE, kind="weights", layer="2.weight"), job(102, LONG, kind="price")
    )  # fmt: skip
    assert weights.result["n"] == [256, 256]
    assert price.result["seconds"] > 0


def test_a_job_that_cannot_be_done_fails_with_a_sentence_and_the_next_one_is_done(runner: Runner) -> None:
    bad, good = finished(runner, job(103, ["node_pruning", {"protect": ["nope"]}]), job(103, PRUNE))
    assert (bad.status, good.status) == ("failed", "done")
    assert "must be told layers of linear to protect" in bad.error


def test_jobs_are_done_in_the_order_in_which_they_are_wanted(store: CountingStore) -> None:
    taken: list[Job] = []

    class Noting(ThreadPoolExecutor):
        def submit(self, do: Callable, one: Job, *rest: object) -> Future:
            taken.append(one)
            return super().submit(do, one, *rest)

    wanted = [job(104, ["weight_pruning", {"amount": amount}]) for amount in (0.4, 0.1, 0.3, 0.2)]
    runner = Runner(store, lambda: Noting(1))
    outcomes = finished(runner, *wanted)
    runner.close()
    assert all(outcome.status == "done" for outcome in outcomes)
    assert taken == wanted


def test_what_nobody_wants_any_more_is_stopped_and_may_be_wanted_again(runner: Runner) -> None:
    long = job(105, LONG)
    runner.want("page", [long])
    until(lambda: {"step", "steps", "loss"} <= runner.partial(long).keys())
    assert runner.outcome(long).status == "running"
    (outcome,) = finished(runner, job(105, PRUNE))
    assert outcome.status == "done"
    assert runner.outcome(long).status == "waiting"
    assert runner.partial(long) == {}


def test_a_page_does_not_take_away_what_another_one_wants(runner: Runner) -> None:
    mine, yours = job(106, PRUNE), job(106, ["weight_pruning", {"amount": 0.2}])
    runner.want("yours", [yours])
    runner.want("mine", [mine])
    runner.want("mine", [])
    until(lambda: runner.outcome(yours).status == "done")


def test_what_is_forgotten_is_tried_again(runner: Runner) -> None:
    bad = job(107, ["node_pruning", {"protect": ["nope"]}])
    finished(runner, bad)
    runner.want("page", [])
    runner.forget([bad])
    assert runner.outcome(bad).status == "waiting"
    assert finished(runner, bad)[0].status == "failed"


def test_a_worker_that_dies_is_replaced(store: CountingStore) -> None:
    made: list[Executor] = []

    class Dying(ThreadPoolExecutor):
        def submit(self, *_: object, **__: object) -> Future:
            raise BrokenProcessPool("it was killed")

    def workers() -> Executor:
        made.append(in_a_thread() if made else Dying(1))
        return made[-1]

    runner = Runner(store, workers)
    first, second = finished(runner, job(108, PRUNE), job(108, ["weight_pruning", {"amount": 0.2}]))
    runner.close()
    assert first == Outcome("failed", error="the worker process must survive, got: it died; try again")
    assert second.status == "done"
    assert len(made) == 2


def test_a_store_that_cannot_be_written_fails_the_job_and_not_the_queue() -> None:
    class Full(CountingStore):
        def put(self, *_: object) -> None:
            raise OSError("no space left on device")

    store: Store = Full()
    runner = Runner(store, in_a_thread)
    outcomes = finished(runner, job(109, PRUNE), job(109, ["weight_pruning", {"amount": 0.2}]))
    runner.close()
    assert [outcome.status for outcome in outcomes] == ["failed", "failed"]
    assert "no space left" in outcomes[0].error


def test_a_workload_that_only_this_process_has_is_refused() -> None:
    with pytest.raises(InvalidInput, match="linear must have a reference to be measured in another process"):
        Job.of("point", tiny("linear"), Recipe(), quick())


def test_a_workload_whose_files_changed_is_refused(runner: Runner) -> None:
    plain = job(110, PRUNE)
    other = Job(plain.kind, plain.reference, "another", plain.recipe, plain.protocol)
    (outcome,) = finished(runner, other)
    assert outcome.status == "failed"
    assert "its files changed" in outcome.error


def test_equal_jobs_have_equal_keys_and_others_not() -> None:
    assert job(1, PRUNE).key == job(1, PRUNE).key
    assert len({job(1, PRUNE).key, job(2, PRUNE).key, job(1).key, job(1, PRUNE, kind="weights").key}) == 4


def test_the_line_between_two_processes(tmp_path: Path) -> None:
    here = FolderChannel(tmp_path / "job1")
    there: FolderChannel = pickle.loads(pickle.dumps(here))  # noqa: S301
    assert here.partial() == {}
    there.report({"step": 1})
    there.report({"step": 2})  # too soon
    assert here.partial() == {"step": 1}
    there._reported -= REPORT_EVERY_S
    there.report({"step": 3})
    assert here.partial() == {"step": 3}
    assert not there.cancelled()
    here.cancel()
    until(there.cancelled)
    here.clear()
    assert there.cancelled()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_process_of_its_own_measures_dies_and_is_replaced(tmp_path: Path, store: CountingStore) -> None:
    runner = Runner(store)
    (first,) = finished(runner, job(111, PRUNE))
    assert json.loads(json.dumps(first.result))["model"] == "linear"
    long = job(111, LONG)
    runner.want("page", [long])
    until(lambda: bool(runner.partial(long)))
    (worker,) = runner._pool._processes  # type: ignore[attr-defined]
    os.kill(worker, signal.SIGKILL)
    until(lambda: runner.outcome(long).status == "failed")
    assert "it died" in runner.outcome(long).error
    (after,) = finished(runner, job(112, PRUNE))
    runner.close()
    assert after.status == "done"

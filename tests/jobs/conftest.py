"""One worker process for all runners, and an executor that does nothing until the test says so."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import NamedTuple

import pytest

from engine import Job, Protocol, Recipe, Runner, Store, Workload, open_store
from engine.channels import FolderChannel
from engine.jobs import local_worker
from engine.store import MemoryStore
from sample_models import load
from tests.engine.quick import quick

WAIT_S = 150.0
MakeJob = Callable[..., Job]


def wait_for(condition: Callable[[], bool], seconds: float = WAIT_S) -> None:
    """Wait until it holds; fail where it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


class Shared(Executor):
    """A pool that outlives the runners that use it."""

    def __init__(self, pool: Executor) -> None:
        self.pool = pool

    def submit(self, function: Callable[..., str], /, *given: object, **named: object) -> Future[str]:
        return self.pool.submit(function, *given, **named)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave it alone."""


class Asked(NamedTuple):
    """A job that came to the worker, and the line to whoever wants it."""

    job: Job
    channel: FolderChannel
    future: Future[str]

    def answer(self, **answer: object) -> None:
        """End the job."""
        self.future.set_result(json.dumps({"records": [], **answer}))

    def finish(self) -> None:
        """End it with a result, or as cancelled where that was asked for."""
        self.answer(**({"cancelled": True} if self.channel.cancelled() else {"result": {"layer": self.job.detail}}))


class ByHand(Executor):
    """Notes what it is asked for; the test answers."""

    def __init__(self) -> None:
        self.asked: queue.Queue[Asked] = queue.Queue()
        self.all: list[Asked] = []
        self.open = True

    def submit(self, function: Callable[..., str], /, *given: object, **named: object) -> Future[str]:
        asked = Asked(*given[:2], Future())  # type: ignore[call-arg, arg-type]
        self.all.append(asked)
        self.asked.put(asked)
        if not self.open:
            asked.answer(cancelled=True)
        return asked.future

    def take(self) -> Asked:
        """The next job that comes."""
        return self.asked.get(timeout=10)

    def let_go(self) -> None:
        """Answer whatever is left, so that the runner can end."""
        self.open = False
        for asked in self.all:
            if not asked.future.done():
                asked.answer(cancelled=True)


@pytest.fixture(scope="package")
def worker() -> Iterator[Executor]:
    pool = local_worker()
    yield Shared(pool)
    pool.shutdown(wait=True, cancel_futures=True)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'records.sqlite'}")
    yield opened
    opened.close()


@pytest.fixture
def runner(store: Store, worker: Executor) -> Iterator[Runner]:
    made = Runner(store, lambda: worker)
    yield made
    made.close()


@pytest.fixture
def by_hand() -> ByHand:
    return ByHand()


@pytest.fixture
def queue_runner(by_hand: ByHand) -> Iterator[Runner]:
    """A runner whose jobs the test does by hand."""
    made = Runner(MemoryStore(), lambda: by_hand)
    yield made
    made._turns.forget_all()
    by_hand.let_go()
    made.close()


@pytest.fixture(scope="package")
def digits() -> Workload:
    return load("digits_mlp")


@pytest.fixture(scope="package")
def protocol() -> Protocol:
    return quick()


@pytest.fixture(scope="package")
def job(digits: Workload, protocol: Protocol) -> MakeJob:
    """Make a job: `job("point", [["weight_pruning", {}]])`."""

    def make(kind: str, recipe: list[object], layer: str = "") -> Job:
        return Job.of(kind, digits, Recipe.of(recipe), protocol, layer)

    return make


@pytest.fixture
def named() -> Callable[[str], Job]:
    """Make a job that only its name tells from others; for a queue that does nothing."""
    return lambda name: Job("weights", "nowhere:nothing", "", "[]", "{}", detail=name)

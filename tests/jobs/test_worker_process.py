"""The worker process dies, or is stopped: nothing but that one point is lost, and nothing stays behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import threading
from pathlib import Path

import pytest

from engine import Job, Runner, Store
from engine.jobs import Outcome

from .conftest import MakeJob, wait_for

LONG = [["parameter_optimization", {"steps": 10_000}]]


def children() -> set[int]:
    return {process.pid for process in multiprocessing.active_children() if process.pid is not None}


def running(runner: Runner, job: Job) -> bool:
    return bool(runner.partial(job).get("step"))


@pytest.fixture
def folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_killed_worker_loses_one_point_and_a_stopped_runner_leaves_nothing(
    store: Store, job: MakeJob, folders: Path
) -> None:
    before, threads = children(), set(threading.enumerate())
    runner = Runner(store)
    dear, cheap = job("point", LONG), job("weights", [], "first.weight")
    runner.want("me", [dear, cheap])
    wait_for(lambda: running(runner, dear))
    (pid,) = children() - before
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: runner.outcome(cheap).status == "done")
    outcome = runner.outcome(dear)
    assert outcome == Outcome("failed", error="the worker process must survive, got: it died; try again")
    assert pid not in children()

    runner.forget([dear])
    runner.want("me", [dear])
    wait_for(lambda: running(runner, dear))
    runner.close()  # in the middle of a training
    assert children() == before
    assert set(threading.enumerate()) <= threads
    assert list(folders.glob("secateur-*")) == []

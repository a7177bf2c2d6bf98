"""The queue of points to measure, and the warm worker process in which they are measured.

A job is text alone, so that any process can do it. Pages say what they want, in order; what nobody wants any more
is dropped from the queue, or asked to stop where it runs, and what runs makes way for what is wanted first. Only this
side writes the store.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias, cast

from engine.channels import FolderChannel
from engine.store import RecordKind, Store
from engine.turns import MOST_WANTED, Run, Turns
from engine.work import Job, do_job, look_up, warm_up

Status: TypeAlias = Literal["waiting", "running", "done", "failed"]
LOOK_S = 1.0  # how often it is looked whether a job that runs is still wanted
PEEK_S = 0.02  # and whether one that somebody waits for has anything to show
REMEMBERED = 4096
MOST_GIVEN_WAY = 2  # how often a job is stopped for a more urgent one: the next time it is done


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    result      the answer as plain data, where it is done
    error       one sentence, where it failed
    seconds     how long it took, 0 where it was in the store
    refused_by  the number of the step that cannot treat this model, where that is why it failed
    """

    status: Status
    result: dict[str, object] = field(default_factory=dict)
    error: str = ""
    seconds: float = 0.0
    refused_by: int | None = None


def local_worker() -> Executor:
    """One warm process of this machine, started afresh (CUDA forbids fork)."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(max_workers=1, mp_context=context, initializer=warm_up)
    pool.submit(os.getpid)  # a process starts with its first task: so its imports are done when somebody waits for it
    return pool


class Runner:
    """Does the jobs that its owners want, one at a time.

    store         where records are kept
    executor      makes the workers; called again where one dies
    """

    def __init__(self, store: Store, executor: Callable[[], Executor] = local_worker) -> None:
        self._store = store
        self._make = executor
        self._pool = executor()
        self._folder = tempfile.TemporaryDirectory(prefix="secateur-", ignore_cleanup_errors=True)
        self._outcomes: OrderedDict[str, Outcome] = OrderedDict()
        self._looked_up: OrderedDict[str, None] = OrderedDict()
        self._turns = Turns()
        self._running: Run | None = None
        self._usual: dict[tuple[str, str], float] = {}  # seconds, by kind and workload
        self._gave_way: OrderedDict[str, int] = OrderedDict()
        self._changed = threading.Condition()
        self._closed = False
        self._count = 0
        self._thread = threading.Thread(target=self._serve, name="secateur-jobs", daemon=True)
        self._thread.start()

    def look_up(self, jobs: Sequence[Job]) -> int:
        """Learn what the store knows of these jobs, and how much of that is new; nothing is measured for it."""
        return sum([self._from_store(job) for job in jobs])

    def want(self, owner: str, jobs: Sequence[Job], later: Sequence[Job] = ()) -> None:
        """Say what one page wants now, the most urgent first; it replaces what that page wanted before.

        later    what waits until nobody wants anything else

        It must be said again within a minute: a page that is gone wants nothing.
        """
        self.look_up([*jobs[:MOST_WANTED], *later[:MOST_WANTED]])
        with self._changed:
            self._turns.want(owner, jobs, later)
            self._drop_unwanted()
            self._make_way()
            self._changed.notify_all()

    def wait_for(self, job: Job, seconds: float, partial: bool = True) -> None:
        """Wait until a job has come to an end or, where that is asked for, has partial figures; so long at most."""
        until = time.monotonic() + seconds
        with self._changed:
            while job.key not in self._outcomes and (left := until - time.monotonic()) > 0:
                if partial and self.partial(job):
                    return
                self._changed.wait(min(left, PEEK_S))

    def outcome(self, job: Job) -> Outcome:
        """What became of a job so far."""
        with self._changed:
            found = self._outcomes.get(job.key)
            if found is not None:
                self._outcomes.move_to_end(job.key)
                return found
            running = self._running is not None and self._running.job == job
        return Outcome("running" if running else "waiting")

    def partial(self, job: Job) -> dict[str, object]:
        """The partial figures of a job that runs."""
        with self._changed:
            running = self._running
        return running.channel.partial() if running is not None and running.job == job else {}

    def finish(self, job: Job) -> None:
        """Ask a job that runs to end its training with what it has: its outcome is kept here, and in no store."""
        with self._changed:
            if self._running is not None and self._running.job == job:
                self._running.channel.finish()

    def forget(self, jobs: Sequence[Job]) -> None:
        """Forget what became of these jobs, so that they are tried again."""
        with self._changed:
            for job in jobs:
                self._outcomes.pop(job.key, None)
                self._looked_up.pop(job.key, None)

    def close(self) -> None:
        """Stop the worker and the queue."""
        with self._changed:
            self._closed = True
            self._turns.forget_all()
            self._drop_unwanted()
            self._changed.notify_all()
        self._thread.join(timeout=30)
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._folder.cleanup()

    def _from_store(self, job: Job) -> bool:
        with self._changed:
            if job.key in self._outcomes or job.key in self._looked_up:
                return False
            self._looked_up[job.key] = None
            while len(self._looked_up) > REMEMBERED:
                self._looked_up.popitem(last=False)
        found = look_up(job, self._store)
        if found is not None:
            self._keep(job, Outcome("done", found))
        return found is not None

    def _keep(self, job: Job, outcome: Outcome) -> None:
        with self._changed:
            self._outcomes[job.key] = outcome
            self._gave_way.pop(job.key, None)
            while len(self._outcomes) > REMEMBERED:
                self._outcomes.popitem(last=False)
            self._changed.notify_all()

    def _drop_unwanted(self) -> None:
        self._turns.forget_the_gone()
        if self._running is not None and not self._turns.wanted(self._running.job):
            self._running.channel.cancel()

    def _make_way(self) -> None:
        """Stop what runs where somebody waits for something more urgent; it is done again when its turn comes."""
        running = self._running
        if running is None or not self._turns.more_urgent(running.job, self._outcomes):
            return
        times = self._gave_way.get(running.job.key, 0)
        if times < MOST_GIVEN_WAY and running.may_stop():
            self._gave_way[running.job.key] = times + 1
            while len(self._gave_way) > REMEMBERED:
                self._gave_way.popitem(last=False)
            running.channel.cancel()

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._drop_unwanted()
                job = None if self._closed else self._turns.next(self._outcomes)
                if self._closed:
                    return
                if job is None:
                    self._changed.wait(timeout=5)
                    continue
                self._count += 1
                channel = FolderChannel(Path(self._folder.name) / f"job{self._count}")
                self._running = Run(job, channel, self._usual.get((job.kind, job.reference)))
            outcome = self._do(job, channel)
            with self._changed:
                self._running = None
            if outcome is not None:
                self._note_time(job, outcome)
                self._keep(job, outcome)
            channel.clear()

    def _note_time(self, job: Job, outcome: Outcome) -> None:
        if outcome.status == "done":
            what = job.kind, job.reference
            self._usual[what] = (self._usual.get(what, outcome.seconds) + outcome.seconds) / 2

    def _do(self, job: Job, channel: FolderChannel) -> Outcome | None:
        """The outcome, or None where the job was cancelled and may be wanted again."""
        began = time.monotonic()
        try:
            answer = json.loads(self._watched(self._pool.submit(do_job, job, channel, self._store.url)))
            for kind, key, record in answer["records"]:
                self._store.put(cast("RecordKind", kind), key, record)
        except BrokenProcessPool:
            self._pool.shutdown(wait=False)
            self._pool = self._make()
            gone = channel.cancelled()
            return None if gone else Outcome("failed", error="the worker process must survive, got: it died; try again")
        except Exception as error:
            return Outcome("failed", error=f"{type(error).__name__}: {error}".partition("\n")[0][:300])
        if answer.get("cancelled"):
            return None
        if "error" in answer:
            return Outcome("failed", error=answer["error"], refused_by=answer.get("refused_by"))
        return Outcome("done", answer["result"], seconds=time.monotonic() - began)

    def _watched(self, future: Future[str]) -> str:
        """The answer; meanwhile it is looked now and then whether somebody still wants it."""
        while not wait([future], timeout=LOOK_S).done:
            with self._changed:
                self._drop_unwanted()
        return future.result()

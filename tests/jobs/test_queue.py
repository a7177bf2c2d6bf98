"""Which job is done next, and which stops: decided without any worker."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from engine import Job, Runner, channels, jobs, turns
from engine.jobs import Outcome
from engine.store import MemoryStore, Payload, RecordKind

from .conftest import ByHand, wait_for

Named = Callable[[str], Job]
REFUSED = "(sqlite3.OperationalError) database or disk is full\n[SQL: INSERT]"


def done_in_order(by_hand: ByHand, n: int) -> list[str]:
    """Do the next n jobs and give their names."""
    names = []
    for _ in range(n):
        asked = by_hand.take()
        names.append(asked.job.detail)
        asked.finish()
    return names


def test_wishes_are_met_in_their_order(queue_runner: Runner, by_hand: ByHand, named: Named) -> None:
    queue_runner.want("me", [named(n) for n in ["first", "second", "third", "fourth"]])
    assert done_in_order(by_hand, 4) == ["first", "second", "third", "fourth"]


def test_a_new_wish_replaces_the_old_order(queue_runner: Runner, by_hand: ByHand, named: Named) -> None:
    queue_runner.want("me", [named("a"), named("b"), named("c")])
    running = by_hand.take()
    queue_runner.want("me", [named("c"), named("a"), named("d")])
    assert running.channel.cancelled()  # it makes way
    running.finish()
    assert done_in_order(by_hand, 3) == ["c", "a", "d"]


def test_what_is_done_is_not_done_again(queue_runner: Runner, by_hand: ByHand, named: Named) -> None:
    queue_runner.want("me", [named("a")])
    assert done_in_order(by_hand, 1) == ["a"]
    wait_for(lambda: queue_runner.outcome(named("a")).status == "done")
    queue_runner.want("me", [named("a"), named("b")])
    assert done_in_order(by_hand, 1) == ["b"]


def test_two_owners_are_served_in_turn(queue_runner: Runner, by_hand: ByHand, named: Named) -> None:
    queue_runner.want("one", [named(n) for n in ("a1", "a2", "a3")])
    first = by_hand.take()
    queue_runner.want("two", [named(n) for n in ("b1", "b2", "b3")])
    first.finish()
    assert first.job.detail == "a1"
    assert done_in_order(by_hand, 5) == ["b1", "a2", "b2", "a3", "b3"]


def test_what_can_wait_comes_after_what_anybody_wants(queue_runner: Runner, by_hand: ByHand, named: Named) -> None:
    queue_runner.want("one", [named("a")], later=[named("z")])
    running = by_hand.take()
    queue_runner.want("two", [named("b"), named("c")])
    running.finish()
    assert done_in_order(by_hand, 3) == ["b", "c", "z"]


def test_a_job_that_another_still_wants_goes_on(queue_runner: Runner, by_hand: ByHand, named: Named) -> None:
    queue_runner.want("one", [named("a")])
    queue_runner.want("two", [named("a")])
    running = by_hand.take()
    queue_runner.want("one", [])
    time.sleep(0.05)  # longer than the channel's memory
    assert not running.channel.cancelled()
    queue_runner.want("two", [])
    time.sleep(0.05)
    assert running.channel.cancelled()


def test_a_cancelled_job_is_done_afresh_when_it_is_wanted_again(
    queue_runner: Runner, by_hand: ByHand, named: Named
) -> None:
    queue_runner.want("me", [named("a")])
    running = by_hand.take()
    assert queue_runner.outcome(named("a")).status == "running"
    queue_runner.want("me", [named("b")])
    running.finish()
    assert done_in_order(by_hand, 1) == ["b"]
    assert queue_runner.outcome(named("a")) == Outcome("waiting")
    queue_runner.want("me", [named("a")])
    again = by_hand.take()
    assert not again.channel.cancelled()
    again.answer(result={"layer": "a"})
    wait_for(lambda: queue_runner.outcome(named("a")).status == "done")


def test_a_page_that_is_gone_gives_way(
    queue_runner: Runner, by_hand: ByHand, named: Named, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LEASE_S", 0.3)
    queue_runner.want("gone", [named("a"), named("b"), named("c")])
    running = by_hand.take()
    time.sleep(0.4)
    queue_runner.want("here", [named("d")])
    assert running.channel.cancelled()
    running.finish()
    assert done_in_order(by_hand, 1) == ["d"]
    wait_for(lambda: queue_runner.outcome(named("d")).status == "done")
    assert by_hand.asked.empty()
    assert queue_runner.outcome(named("b")) == Outcome("waiting")


def test_a_job_stops_when_the_only_page_is_gone(
    queue_runner: Runner, by_hand: ByHand, named: Named, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LEASE_S", 0.2)
    monkeypatch.setattr(jobs, "LOOK_S", 0.05)
    queue_runner.want("gone", [named("a")])
    running = by_hand.take()
    wait_for(running.channel.cancelled, 5.0)


class FullDisk(MemoryStore):
    """Takes nothing."""

    def put(self, kind: RecordKind, key: Payload, record: Payload) -> None:
        raise OSError(REFUSED)


def test_a_store_that_cannot_be_written_does_not_end_the_queue(by_hand: ByHand, named: Named) -> None:
    runner = Runner(FullDisk(), lambda: by_hand)
    runner.want("me", [named("a"), named("b")])
    by_hand.take().answer(result={}, records=[["size", {}, {}]])
    assert done_in_order(by_hand, 1) == ["b"]
    wait_for(lambda: runner.outcome(named("b")).status == "done")
    outcome = runner.outcome(named("a"))
    runner.close()
    assert outcome.status == "failed"
    assert "database or disk is full" in outcome.error
    assert "\n" not in outcome.error


def test_only_the_job_that_runs_is_told_that_it_is_enough(queue_runner: Runner, by_hand: ByHand, named: Named) -> None:
    queue_runner.want("page", [named("a"), named("b")])
    first = by_hand.take()
    queue_runner.finish(named("b"))
    time.sleep(2 * channels.LOOK_EVERY_S)
    assert not first.channel.enough()
    queue_runner.finish(named("a"))
    time.sleep(2 * channels.LOOK_EVERY_S)
    assert first.channel.enough()
    assert not first.channel.cancelled()
    first.finish()
    assert not by_hand.take().channel.enough()

"""What is wanted most does not wait behind what is wanted less."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from engine import Job, Runner, jobs
from engine.work import Job as AnyJob

from .conftest import Asked, ByHand, wait_for

Named = Callable[[str], Job]
TRAINS = '[["parameter_optimization",{"steps":100}]]'


def stopped(asked: Asked) -> bool:
    time.sleep(0.05)  # longer than the channel's memory
    return asked.channel.cancelled()


def taken(runner: Runner, by_hand: ByHand, job: AnyJob, seconds: float) -> None:
    """Let a job of that kind be done in so many seconds."""
    runner.want("before", [job])
    asked = by_hand.take()
    time.sleep(seconds)
    asked.finish()
    wait_for(lambda: runner.outcome(job).status == "done")
    runner.want("before", [])


def test_a_point_of_the_curve_makes_way_for_the_recipe_and_is_done_later(
    queue_runner: Runner, by_hand: ByHand, named: Named
) -> None:
    queue_runner.want("me", [named("curve 1"), named("curve 2")])
    curve = by_hand.take()
    queue_runner.want("me", [named("here"), named("curve 1"), named("curve 2")])
    assert stopped(curve)
    curve.finish()
    for name in ("here", "curve 1", "curve 2"):
        asked = by_hand.take()
        assert asked.job == named(name)
        asked.finish()


def test_another_pages_first_wish_is_not_stopped(queue_runner: Runner, by_hand: ByHand, named: Named) -> None:
    queue_runner.want("other", [named("theirs"), named("more")])
    running = by_hand.take()
    queue_runner.want("me", [named("mine")])
    assert not stopped(running)


def test_what_can_wait_makes_way_for_what_anybody_wants(queue_runner: Runner, by_hand: ByHand, named: Named) -> None:
    queue_runner.want("other", [], later=[named("beside")])
    running = by_hand.take()
    queue_runner.want("me", [named("mine")])
    assert stopped(running)
    running.finish()
    assert by_hand.take().job == named("mine")


def test_asking_for_the_same_again_stops_nothing(queue_runner: Runner, by_hand: ByHand, named: Named) -> None:
    queue_runner.want("me", [named("a"), named("b")])
    by_hand.take().finish()
    running = by_hand.take()
    queue_runner.want("me", [named("a"), named("b"), named("c")])
    assert running.job == named("b")
    assert not stopped(running)


def test_a_training_is_not_thrown_away(queue_runner: Runner, by_hand: ByHand, named: Named) -> None:
    trains = replace(named("trains"), recipe=TRAINS)
    queue_runner.want("me", [trains])
    running = by_hand.take()
    queue_runner.want("me", [named("here"), trains])
    assert not stopped(running)


@pytest.mark.parametrize(("usual", "spent", "stops"), [(0.6, 0.4, False), (1.0, 0.1, True)], ids=["late", "early"])
def test_what_is_more_than_half_done_goes_on(
    queue_runner: Runner, by_hand: ByHand, named: Named, usual: float, spent: float, stops: bool
) -> None:
    taken(queue_runner, by_hand, named("before"), usual)
    queue_runner.want("me", [named("curve")])
    running = by_hand.take()
    time.sleep(spent)
    queue_runner.want("me", [named("here"), named("curve")])
    assert stopped(running) is stops


def test_a_job_makes_way_twice_and_not_again(queue_runner: Runner, by_hand: ByHand, named: Named) -> None:
    point = replace(named("curve"), kind="layers")  # of another kind than what it makes way for, which is quick
    for number in range(jobs.MOST_GIVEN_WAY + 1):
        queue_runner.want("me", [point])
        curve = by_hand.take()
        assert curve.job == point
        here = named(f"here {number}")
        for _ in range(3):  # a page says the same again and again
            queue_runner.want("me", [here, point])
        last = number == jobs.MOST_GIVEN_WAY
        assert stopped(curve) is not last
        curve.finish()
        asked = by_hand.take()
        assert asked.job == here
        asked.finish()
        wait_for(lambda here=here: queue_runner.outcome(here).status == "done")
    assert queue_runner.outcome(point).status == "done"


def test_after_two_hundred_quick_moves_one_job_runs_and_the_last_move_is_what_is_done(
    queue_runner: Runner, by_hand: ByHand, named: Named
) -> None:
    curve = [named(f"curve {i}") for i in range(11)]
    for move in range(200):
        queue_runner.want("me", [named("original"), named(f"here {move}"), named(f"weights {move}"), *curve])
        open_jobs = [asked for asked in by_hand.all if not asked.future.done()]
        assert len(open_jobs) <= 1
        if move % 7 == 0 and open_jobs:
            open_jobs[0].finish()
            time.sleep(0.002)
    order = []
    while len(order) < 13 or order[-1] != "curve 10":
        asked = by_hand.take()
        if not asked.future.done():  # on the way it may have been answered
            asked.finish()
        if asked.job.detail not in order:
            order.append(asked.job.detail)
    assert order[-13:] == ["here 199", "weights 199", *(job.detail for job in curve)]
    wait_for(lambda: queue_runner.outcome(curve[-1]).status == "done")
    assert by_hand.asked.empty()


def test_one_may_wait_for_the_end_of_a_job(queue_runner: Runner, by_hand: ByHand, named: Named) -> None:
    queue_runner.want("me", [named("a"), named("b")])
    running = by_hand.take()
    began = time.monotonic()
    queue_runner.wait_for(named("b"), 0.15)  # it does not even run
    assert 0.14 < time.monotonic() - began < 1
    running.channel.report({"accuracy": 0.5})
    queue_runner.wait_for(named("a"), 10)  # there is something to show
    assert queue_runner.outcome(named("a")).status == "running"
    running.finish()
    other = by_hand.take()
    other.finish()
    queue_runner.wait_for(named("b"), 10)
    assert queue_runner.outcome(named("b")).status == "done"
    assert time.monotonic() - began < 5

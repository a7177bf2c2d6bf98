"""Who wants which jobs, in which order they are done, and which of them makes way."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from engine.channels import FolderChannel
from engine.recipe import Recipe
from engine.work import Job

LEASE_S = 60.0
MOST_WANTED = 512


@dataclass
class _Wish:
    jobs: list[Job]
    renewed: float
    served: float = 0.0
    later: list[Job] = field(default_factory=list)


class Turns:
    """The wishes of all owners. `known` are the keys of the jobs that have come to an end."""

    def __init__(self) -> None:
        self._wishes: dict[str, _Wish] = {}

    def want(self, owner: str, jobs: Sequence[Job], later: Sequence[Job]) -> None:
        """Put these wishes in the place of that owner's, and forget owners who have not been heard of for a minute."""
        before = self._wishes.get(owner)
        served = before.served if before else 0.0
        wish = _Wish(list(jobs[:MOST_WANTED]), time.monotonic(), served, list(later[:MOST_WANTED]))
        self._wishes[owner] = wish
        self.forget_the_gone()

    def forget_the_gone(self) -> None:
        """Forget owners who have not been heard of for a minute."""
        oldest = time.monotonic() - LEASE_S
        self._wishes = {owner: wish for owner, wish in self._wishes.items() if wish.renewed >= oldest}

    def forget_all(self) -> None:
        """Forget every owner."""
        self._wishes.clear()

    def wanted(self, job: Job) -> bool:
        """Whether anybody wants this job."""
        return any(job in wish.jobs or job in wish.later for wish in self._wishes.values())

    def next(self, known: Collection[str]) -> Job | None:
        """The most urgent open job of the owner who was served longest ago; what can wait, once all else is done."""
        in_turn = sorted(self._wishes.values(), key=lambda wish: wish.served)
        for wish, jobs in [(w, w.jobs) for w in in_turn] + [(w, w.later) for w in in_turn]:
            job = _first(jobs, known)
            if job is not None:
                wish.served = time.monotonic()
                return job
        return None

    def more_urgent(self, job: Job, known: Collection[str]) -> bool:
        """Whether somebody waits for another job than this one, which nobody wants before all others."""
        first = [found for wish in self._wishes.values() if (found := _first(wish.jobs, known)) is not None]
        return bool(first) and job not in first


@dataclass
class Run:
    """A job that a worker does just now.

    usual    seconds that such a job took so far, None before the first
    """

    job: Job
    channel: FolderChannel
    usual: float | None
    began: float = field(default_factory=time.monotonic)

    def may_stop(self) -> bool:
        """Whether it may make way: not where it trains, and not where what is left is no more than what is done.

        Then waiting for it costs less than doing it again.
        """
        spent = time.monotonic() - self.began
        if self.channel.stopping or (self.usual is not None and self.usual - spent <= spent):
            return False
        return not Recipe.parse(self.job.recipe).trains


def _first(jobs: Sequence[Job], known: Collection[str]) -> Job | None:
    return next((job for job in jobs if job.key not in known), None)

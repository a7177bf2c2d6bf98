"""Two models timed in turn: the whole protocol, with torch alone, so that it also runs where nothing else is."""

from __future__ import annotations

import copy
import gc
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

RESAMPLES = 1000
NARROW = 0.02  # half the width of the ratio's 99 % interval, as a share of the ratio
CHECK_EVERY = 10  # rounds
LONGEST_S = 10.0  # of warm-up and of rounds, where one pass takes so long that their least number would take minutes
FEWEST = 3  # rounds, even then
IDENTICAL_S = 0.15  # for each pair of identical models
Work = Callable[[], object]
Row = tuple[float, float, float, float]


@dataclass(frozen=True)
class Plan:
    """How many runs are timed.

    warm_up    runs that are thrown away; then rounds of A B B A, at least `least_rounds` and at most `most_rounds`,
               until the ratio's interval is narrower than ± 2 % or `budget_s` seconds are spent
    """

    warm_up: int = 5
    least_rounds: int = 10
    most_rounds: int = 150
    budget_s: float = 0.4


@dataclass(frozen=True)
class Rounds:
    """Times in milliseconds of original and variant, in order: (rounds, 2), two runs of each a round.

    ended    why no more were taken: "narrow" (the ratio's interval), "budget", "rounds"
    """

    original: Tensor
    variant: Tensor
    ended: str = "rounds"


@torch.inference_mode()
def take_rounds(run_a: Work, run_b: Work, device: torch.device, plan: Plan, check: Work = lambda: None) -> Rounds:
    """Time two pieces of work in rounds of A B B A, after a warm-up, with the collector off.

    check    called before every round: it may raise, to stop
    """
    timed, times = stopwatch(device), list[Row]()
    with no_collector():
        began = time.perf_counter()
        for done in range(plan.warm_up):
            if done and time.perf_counter() - began > LONGEST_S:
                break
            check()
            timed(run_a), timed(run_b)
        began, ended = time.perf_counter(), ""
        while len(times) < plan.most_rounds and not ended:
            check()
            times.append((timed(run_a), timed(run_b), timed(run_b), timed(run_a)))
            ended = _ended(times, time.perf_counter() - began, plan)
    table = torch.tensor(times, dtype=torch.float64)
    return Rounds(table[:, [0, 3]], table[:, [1, 2]], ended or "rounds")


def stopwatch(device: torch.device) -> Callable[[Work], float]:
    """What runs a piece of work and gives the milliseconds that the device was at it: by CUDA's events, where it has
    them, else by the clock, before and after everything is done.
    """
    if device.type == "cuda":
        stream = torch.cuda.current_stream(device)
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))

        def by_events(work: Work) -> float:
            torch.cuda.synchronize(device)
            start.record(stream)
            work()
            end.record(stream)
            end.synchronize()
            return float(start.elapsed_time(end))

        return by_events
    wait = waiter(device)

    def by_clock(work: Work) -> float:
        wait()
        start = time.perf_counter_ns()
        work()
        wait()
        return (time.perf_counter_ns() - start) / 1e6

    return by_clock


def waiter(device: torch.device) -> Work:
    """What waits until the device has done what it was told."""
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    return torch.mps.synchronize if device.type == "mps" else lambda: None


@cache
def device_name(device: torch.device) -> str:
    """What the device is called by its maker."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@contextmanager
def no_collector() -> Iterator[None]:
    """With Python's garbage collector off."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _ended(times: list[Row], spent_s: float, plan: Plan) -> str:
    """Why no more rounds are needed, or nothing."""
    if len(times) < plan.least_rounds:
        return "budget" if len(times) >= FEWEST and spent_s > max(LONGEST_S, plan.budget_s) else ""
    if _narrow(times):
        return "narrow"
    return "budget" if spent_s > plan.budget_s else ""


def _narrow(times: list[Row]) -> bool:
    """Whether the ratio's interval is narrow, and clear of the two values at which a verdict would turn."""
    if len(times) % CHECK_EVERY:
        return False
    table = torch.tensor(times, dtype=torch.float64)
    ratio, low, high = ratio_of(table[:, [0, 3]], table[:, [1, 2]], 0.99)
    turns = any(low < end < high for end in (1 + NARROW, 1 / (1 + NARROW)))
    return high - low < 2 * NARROW * ratio and not turns


@lru_cache(maxsize=32)
def _drawn(rounds: int) -> Tensor:
    """How often each resample takes each round: (RESAMPLES, rounds), double."""
    places = torch.randint(rounds, (RESAMPLES, rounds), generator=torch.Generator().manual_seed(0))
    return torch.zeros(RESAMPLES, rounds, dtype=torch.float64).scatter_add_(
        1, places, torch.ones(1).double().expand_as(places)
    )


def resampled_quantile(times: Tensor, share: float) -> Tensor:
    """A quantile of each resample of the rounds, between two times by their distance: (RESAMPLES,), double.

    times    (rounds, runs): a resample takes a round with all its runs

    The times are sorted once, and each resample counts how often it took each of them: sorting every resample by
    itself took a third of the time that a point of a sweep costs.
    """
    order = times.flatten().argsort()
    ranked = times.flatten()[order]
    taken = _drawn(len(times))[:, order // times.shape[1]].cumsum(1)
    place = share * (times.numel() - 1)
    ends = [float(int(place) + 1), float(min(int(place) + 2, times.numel()))]  # as many must be taken by then
    places = torch.searchsorted(taken, torch.tensor(ends, dtype=taken.dtype).expand(RESAMPLES, 2).contiguous())
    low, high = ranked[places].unbind(1)
    return low + (place - int(place)) * (high - low)


def ratio_of(original: Tensor, variant: Tensor, share: float) -> tuple[float, float, float]:
    """The ratio of the medians, variant / original, with the ends of the interval that holds `share` of its bootstrap.

    original, variant    (rounds, 2), in milliseconds
    """
    # the same rounds of both sides: what disturbed a round disturbed both
    ratios = resampled_quantile(variant, 0.5) / resampled_quantile(original, 0.5)
    return ratio_within(original, variant, ratios, share)


def ratio_within(original: Tensor, variant: Tensor, ratios: Tensor, share: float) -> tuple[float, float, float]:
    """The same, of resamples that are known: ratios (RESAMPLES,)."""
    value = float(variant.quantile(0.5) / original.quantile(0.5))  # torch's median takes the lower middle
    ends = torch.tensor([(1 - share) / 2, (1 + share) / 2], dtype=torch.float64)
    low, high = ratios.quantile(ends).tolist()
    return value, min(low, value), max(high, value)


def identical_ratios(device: torch.device, pairs: int = 12) -> list[float]:
    """The ratios of the times of a small net and its copy, each pair new in memory."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(128, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)).eval()
        inputs = torch.randn(64, 128).to(device)
    found = []
    for _ in range(pairs):
        one, other = (copy.deepcopy(net).to(device) for _ in range(2))
        works = [lambda net=net: net(inputs) for net in (one, other)]
        rounds = take_rounds(works[0], works[1], device, Plan(budget_s=IDENTICAL_S))
        found.append(ratio_of(rounds.original, rounds.variant, 0.99)[0])
    return found

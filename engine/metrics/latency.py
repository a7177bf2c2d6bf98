"""How long a forward pass takes: two models timed in one interleaved run."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.examples import Inputs, call, named
from engine.method import Channel
from engine.metrics.record import Estimate, Protocol, in_eval_mode, torch_threads, waiter

RESAMPLES = 1000
NARROW = 0.02  # half the width of the ratio's 99 % interval, as a share of the ratio
CHECK_EVERY = 10  # rounds
LONGEST_S = 10.0  # of warm-up and of rounds, where one pass takes so long that their least number would take minutes
FEWEST = 3  # rounds, even then


@dataclass(frozen=True)
class PairTimes:
    """Times in milliseconds of original and variant, in order: (rounds, 2), two runs of each a round.

    ended    why no more were taken: "narrow" (the ratio's interval), "budget", "rounds"
    """

    original: Tensor
    variant: Tensor
    ended: str = "rounds"

    def figures(self) -> dict[str, dict[str, Estimate]]:
        """Median and 90th percentile of each side, and the ratio variant / original, with 95 % intervals.

        `wide` is the ratio with its 99 % interval, which a verdict rests on.
        """
        ratio, low, high = _ratio(self.original, self.variant, 0.95)
        _, lowest, highest = _ratio(self.original, self.variant, 0.99)
        n, unit = len(self.original), "variant / original"
        return {
            "original": {"median": _quantile(self.original, 0.5), "p90": _quantile(self.original, 0.9)},
            "variant": {"median": _quantile(self.variant, 0.5), "p90": _quantile(self.variant, 0.9)},
            "ratio": {"median": Estimate(ratio, low, high, n, unit), "wide": Estimate(ratio, lowest, highest, n, unit)},
        }


def time_pair(
    original: nn.Module, variant: nn.Module, inputs: Inputs, protocol: Protocol, channel: Channel | None = None
) -> PairTimes:
    """Time both models on the same inputs in rounds of A B B A, after a warm-up.

    inputs    a batch (batch, ...), on the models' device

    The collector is off meanwhile; the models' mode, torch's threads and the collector are put back.
    """
    line = channel or Channel()
    run_a, run_b = _runner(original, inputs), _runner(variant, inputs)
    times: list[tuple[float, float, float, float]] = []
    with _quiet(original, variant, protocol.threads), torch.inference_mode():
        began = time.perf_counter()
        for done in range(protocol.warm_up):
            if done and time.perf_counter() - began > LONGEST_S:
                break
            line.check()
            run_a(), run_b()
        began, ended = time.perf_counter(), ""
        while len(times) < protocol.most_rounds:
            line.check()
            times.append((run_a(), run_b(), run_b(), run_a()))
            if ended := _ended(times, time.perf_counter() - began, protocol):
                break
    table = torch.tensor(times, dtype=torch.float64)
    return PairTimes(table[:, [0, 3]], table[:, [1, 2]], ended or "rounds")


def _ended(times: list[tuple[float, float, float, float]], spent_s: float, protocol: Protocol) -> str:
    """Why no more rounds are needed, or nothing."""
    if len(times) < protocol.least_rounds:
        return "budget" if len(times) >= FEWEST and spent_s > max(LONGEST_S, protocol.budget_s) else ""
    if _narrow(times):
        return "narrow"
    return "budget" if spent_s > protocol.budget_s else ""


def _runner(model: nn.Module, inputs: Inputs) -> Callable[[], float]:
    wait = waiter(next(iter(named(inputs).values())).device)

    def timed() -> float:
        wait()
        start = time.perf_counter_ns()
        call(model, inputs)
        wait()
        return (time.perf_counter_ns() - start) / 1e6

    return timed


@contextmanager
def _quiet(original: nn.Module, variant: nn.Module, threads: int) -> Iterator[None]:
    collecting = gc.isenabled()
    gc.disable()
    try:
        with torch_threads(threads), in_eval_mode(original, variant):
            yield
    finally:
        if collecting:
            gc.enable()


def _narrow(times: list[tuple[float, float, float, float]]) -> bool:
    """Whether the ratio's interval is narrow, and clear of the two values at which a verdict would turn."""
    if len(times) % CHECK_EVERY:
        return False
    table = torch.tensor(times, dtype=torch.float64)
    ratio, low, high = _ratio(table[:, [0, 3]], table[:, [1, 2]], 0.99)
    turns = any(low < end < high for end in (1 + NARROW, 1 / (1 + NARROW)))
    return high - low < 2 * NARROW * ratio and not turns


def _resampled(rounds: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(rounds, (RESAMPLES, rounds), generator=generator)


def _ratio(original: Tensor, variant: Tensor, share: float) -> tuple[float, float, float]:
    drawn = _resampled(len(original))  # the same rounds of both sides: what disturbed a round disturbed both
    ratios = variant[drawn].flatten(1).quantile(0.5, dim=1) / original[drawn].flatten(1).quantile(0.5, dim=1)
    value = float(variant.quantile(0.5) / original.quantile(0.5))  # as _quantile: torch's median takes the lower middle
    ends = torch.tensor([(1 - share) / 2, (1 + share) / 2], dtype=torch.float64)
    low, high = ratios.quantile(ends).tolist()
    return value, min(low, value), max(high, value)


def _quantile(times: Tensor, share: float) -> Estimate:
    value = float(times.flatten().quantile(share))
    drawn = times[_resampled(len(times))].flatten(1).quantile(share, dim=1)
    return Estimate.drawn(value, drawn, times.numel(), "ms")

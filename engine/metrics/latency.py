"""How long a forward pass takes: two models timed in one interleaved run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from engine.examples import Inputs, call, device_of
from engine.method import Channel
from engine.metrics.record import Estimate, Protocol, in_eval_mode, torch_threads
from engine.metrics.rounds import Plan, Rounds, ratio_within, resampled_quantile, take_rounds


@dataclass(frozen=True)
class PairTimes(Rounds):
    """The times of both, and what follows from them."""

    def figures(self) -> dict[str, dict[str, Estimate]]:
        """Median and 90th percentile of each side, and the ratio variant / original, with 95 % intervals.

        `wide` is the ratio with its 99 % interval, which a verdict rests on.
        """
        before, after = resampled_quantile(self.original, 0.5), resampled_quantile(self.variant, 0.5)
        ratio, low, high = ratio_within(self.original, self.variant, after / before, 0.95)
        _, lowest, highest = ratio_within(self.original, self.variant, after / before, 0.99)
        n, unit = len(self.original), "variant / original"
        return {
            "original": {"median": _quantile(self.original, 0.5, before), "p90": _quantile(self.original, 0.9)},
            "variant": {"median": _quantile(self.variant, 0.5, after), "p90": _quantile(self.variant, 0.9)},
            "ratio": {"median": Estimate(ratio, low, high, n, unit), "wide": Estimate(ratio, lowest, highest, n, unit)},
        }


def time_pair(
    original: nn.Module, variant: nn.Module, inputs: Inputs, protocol: Protocol, channel: Channel | None = None
) -> PairTimes:
    """Time both models on the same inputs in rounds of A B B A, after a warm-up.

    inputs    a batch (batch, ...), on the models' device

    The collector is off meanwhile; the models' mode, torch's threads and the collector are put back.
    """
    works = [partial(call, model, inputs) for model in (original, variant)]
    with torch_threads(protocol.threads), in_eval_mode(original, variant):
        found = take_rounds(works[0], works[1], device_of(inputs), plan_of(protocol), (channel or Channel()).check)
    return PairTimes(found.original, found.variant, found.ended)


def plan_of(protocol: Protocol) -> Plan:
    """How many runs a protocol asks for."""
    return Plan(protocol.warm_up, protocol.least_rounds, protocol.most_rounds, protocol.budget_s)


def _quantile(times: Tensor, share: float, drawn: Tensor | None = None) -> Estimate:
    """drawn: that quantile of the resamples, where it is known (RESAMPLES,)."""
    value, known = float(times.flatten().quantile(share)), resampled_quantile(times, share) if drawn is None else drawn
    return Estimate.drawn(value, known, times.numel(), "ms")

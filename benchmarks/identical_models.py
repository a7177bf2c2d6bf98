"""How often two identical models are told apart in 100 fresh runs, and how often one that is 5 % slower is."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

from torch import Tensor, nn

from engine import Protocol
from engine.measurement import repeated
from engine.metrics.latency import time_pair
from engine.metrics.machine import know_machine
from engine.metrics.verdict import speed_of
from sample_models import load

RUNS = 100
CASES = (("digits_mlp", 1), ("digits_mlp", 64), ("fashion_resnet", 1), ("language_transformer", 1))


class Slower(nn.Module):
    """The same, and then it waits for a share of the time that it took."""

    def __init__(self, inner: nn.Module, share: float) -> None:
        super().__init__()
        self.inner, self.share = inner, share

    def forward(self, x: Tensor) -> Tensor:
        """The inner model's answer."""
        begun = time.perf_counter()
        answer: Tensor = self.inner(x)
        end = time.perf_counter()
        until = end + self.share * (end - begun)
        while time.perf_counter() < until:
            pass
        return answer


def run() -> Iterator[str]:
    """A row for each model and batch size."""
    protocol = Protocol.here("cpu")
    floor = know_machine(protocol).noise_floor
    yield f"noise floor {floor:.3f}\n"
    yield "| model | batch | identical | 5 % slower |"
    yield "|---|---|---|---|"
    for name, batch in CASES:
        workload = load(name)
        inputs = repeated(workload.train[0], batch)
        words = []
        for share in (0.0, 0.05):
            found: Counter[str] = Counter()
            for _ in range(RUNS):
                pair = Slower(workload.model(), 0.0), Slower(workload.model(), share)
                found[speed_of(time_pair(*pair, inputs, protocol).figures()["ratio"]["wide"], floor)] += 1
            words.append(", ".join(f"{word} {n}" for word, n in found.most_common()))
        yield f"| {name} | {batch} | {words[0]} | {words[1]} |"

"""Intervals hold the truth as often as they say, by simulation."""

from __future__ import annotations

import pytest
import torch

from engine.metrics.accuracy import score_estimate
from engine.metrics.paired import of_counts
from engine.metrics.record import Estimate
from engine.metrics.rounds import ratio_of
from engine.metrics.verdict import SAME, SLOWER, speed_of
from engine.task import TASKS

FLOOR = 0.02


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("share", "n"), [(0.9, 50), (0.97, 400), (0.5, 30)])
def test_a_share(share: float, n: int) -> None:
    drawn = torch.binomial(torch.full((1000,), float(n)), torch.full((1000,), share), generator=seeded(1))
    found = [Estimate.share(int(right), n) for right in drawn]
    assert 0.92 <= sum(e.low <= share <= e.high for e in found) / 1000 <= 0.99  # type: ignore[operator]


@pytest.mark.parametrize(("up", "down", "n"), [(0.02, 0.02, 200), (0.01, 0.1, 300), (0.0, 0.004, 300), (0.2, 0.1, 40)])
def test_a_paired_difference(up: float, down: float, n: int) -> None:
    draws = torch.rand(1000, n, generator=seeded(2))
    gained, lost = (draws < up).sum(1), ((draws >= up) & (draws < up + down)).sum(1)
    found = [of_counts(int(g), int(m), n) for g, m in zip(gained, lost, strict=True)]
    assert sum(e.low <= up - down <= e.high for e in found) / 1000 >= 0.93  # type: ignore[operator]


def test_no_difference_in_n_examples_is_not_none_at_all() -> None:
    same = of_counts(0, 0, 300)
    assert same.value == 0
    assert 0.005 < same.high < 0.02  # type: ignore[operator]


def test_a_score_of_resamples() -> None:
    task, seen = TASKS["regression"], 0
    for seed in range(60):
        y = torch.randn(200, 1, generator=seeded(seed))
        x = y + 0.5 * torch.randn(200, 1, generator=seeded(1000 + seed))
        e = score_estimate(task.terms(x, y).double(), task, seed)
        seen += e.low <= 0.75 <= e.high  # type: ignore[operator]
    assert seen >= 54


def times(seed: int, factor: float, rounds: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    """Two sides of (rounds, 2), one `factor` times as slow, with log-normal noise, shared in part by a round."""
    noise = torch.randn(rounds, 4, generator=seeded(seed), dtype=torch.float64)
    shared = torch.randn(rounds, 1, generator=seeded(seed + 5000), dtype=torch.float64)
    ms = torch.exp(0.03 * noise + 0.05 * shared)
    return ms[:, :2], factor * ms[:, 2:]


def test_the_ratio_of_two_latencies() -> None:
    seen = 0
    for seed in range(200):
        _, low, high = ratio_of(*times(seed, 0.8), 0.95)
        seen += low <= 0.8 <= high
    assert seen >= 180


@pytest.mark.parametrize(("factor", "word"), [(1.0, SAME), (1.1, SLOWER)])
def test_a_against_a_is_not_told_apart_and_a_delay_is_found(factor: float, word: str) -> None:
    said = []
    for seed in range(100):
        ratio, low, high = ratio_of(*times(seed, factor), 0.99)
        said.append(speed_of(Estimate(ratio, low, high, 60, ""), FLOOR))
    assert said.count(word) >= 95

"""Intervals hold the truth as often as they say, by simulation."""

from __future__ import annotations

import pytest
import torch

from engine.metrics.answers import Answers, calibration_error
from engine.metrics.paired import compare, of_counts
from engine.metrics.record import Estimate
from engine.metrics.rounds import RESAMPLES, ratio_of, resampled_quantile
from engine.metrics.score import score_estimate
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
    seen = sum(e.low <= up - down <= e.high for e in found) / 1000  # type: ignore[operator]
    assert seen >= 0.93
    assert seen <= 0.995 or n * (up + down) < 5  # of a handful that differ, the interval is wide on purpose


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


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("shape", [(1, 2), (7, 2), (40, 2), (13, 1)])
def test_a_quantile_of_resamples_is_what_sorting_each_of_them_gives(shape: tuple[int, int], share: float) -> None:
    times = torch.rand(shape, dtype=torch.float64, generator=seeded(3)).round(decimals=1)  # with equal ones
    places = torch.randint(shape[0], (RESAMPLES, shape[0]), generator=seeded(0))
    torch.testing.assert_close(resampled_quantile(times, share), times[places].flatten(1).quantile(share, dim=1))


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


def test_the_difference_of_two_scores_of_resamples() -> None:
    task, seen = TASKS["regression"], 0
    for seed in range(60):
        y = torch.randn(200, 1, generator=seeded(seed))
        noise = torch.randn(200, 2, generator=seeded(2000 + seed))
        sides = [Answers(task.terms(y + amount * noise[:, [i]], y).double()) for i, amount in enumerate((0.5, 0.6))]
        e = compare(*sides, task, seed).difference
        seen += e.low <= 0.5**2 - 0.6**2 <= e.high  # type: ignore[operator]
    assert seen >= 54


@pytest.mark.parametrize("n", [3, 40, 400])
def test_a_calibration_error_holds_its_own_value(n: int) -> None:
    for seed in range(20):
        confidence = torch.rand(n, generator=seeded(seed))
        right = (torch.rand(n, generator=seeded(100 + seed)) < 0.5).double()
        e = calibration_error(Answers(torch.stack([right, right], 1), right, confidence), seed)
        assert 0 <= e.low <= e.value <= e.high <= 1  # type: ignore[operator]
        assert e.n == n

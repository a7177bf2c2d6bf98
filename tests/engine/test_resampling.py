from __future__ import annotations

import math

import pytest
import torch

from engine.metrics import resampling
from engine.metrics.resampling import RESAMPLES, resampled_sums


@pytest.mark.parametrize("kept", [True, False])
def test_resamples_have_the_mean_and_the_spread_that_theory_says(kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not kept:
        monkeypatch.setattr(resampling, "KEPT", 0)
    values = torch.randn(300, 2, generator=torch.Generator().manual_seed(5)).double() + torch.tensor([1.0, -3.0])
    drawn = resampled_sums(values)
    assert drawn.shape == (RESAMPLES, 2)
    spread = values.std(0, correction=0) * math.sqrt(300)
    assert torch.allclose(drawn.mean(0), values.sum(0), atol=4 * float(spread.max()) / math.sqrt(RESAMPLES))
    assert torch.allclose(drawn.std(0), spread, rtol=0.1)
    assert torch.equal(drawn, resampled_sums(values))
    assert not torch.equal(drawn, resampled_sums(values, seed=1))


def test_two_scores_are_drawn_together() -> None:
    one, other = torch.rand(50, 1), torch.rand(50, 1)
    both = resampled_sums(torch.cat([one, other], 1))
    assert torch.equal(both, torch.cat([resampled_sums(one), resampled_sums(other)], 1))


def test_resamples_that_are_kept_are_those_that_are_drawn_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    values = torch.rand(300, 3)
    kept = resampled_sums(values)
    monkeypatch.setattr(resampling, "KEPT", 0)
    assert torch.equal(kept, resampled_sums(values))

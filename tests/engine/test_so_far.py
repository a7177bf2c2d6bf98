"""What the first examples say: intervals that hold, and an end where enough is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from engine.metrics.score import score_estimate
from engine.metrics.so_far import FIRST, SoFar
from engine.task import TASKS

CLASSES, NUMBERS = TASKS["classification"], TASKS["regression"]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pair(seed: int, n: int, right: float = 0.9, lost: float = 0.1, gained: float = 0.3) -> tuple[Tensor, Tensor]:
    """Terms of an original and of a variant that loses some of what it gets right, and gains some of the rest."""
    draws = torch.rand(2, n, generator=seeded(seed))
    before = draws[0] < right
    after = torch.where(before, draws[1] >= lost, draws[1] < gained)
    return tuple(torch.stack([side.double(), torch.ones(n).double()], 1) for side in (before, after))


def numbers(seed: int, n: int) -> tuple[Tensor, Tensor]:
    y = torch.randn(n, 1, generator=seeded(seed), dtype=torch.float64)
    noise = torch.randn(2, n, 1, generator=seeded(seed + 999), dtype=torch.float64)
    return NUMBERS.terms(y + 0.3 * noise[0], y), NUMBERS.terms(y + 0.3 * noise[0] + 0.2 * noise[1], y)


@pytest.mark.parametrize("n", [300, 900])
def test_the_interval_of_some_holds_the_truth_as_often_as_it_says(n: int) -> None:
    truth, seen, widths = 0.9 * 0.9 + 0.1 * 0.3, 0, []
    for seed in range(400):
        before, after = pair(seed, 1000)
        found = SoFar(CLASSES, original=before).estimate(after[:n], 1000)
        seen += found.low <= truth <= found.high  # type: ignore[operator]
        widths.append((found.high - found.low) / 2)  # type: ignore[operator]
        assert found.n == n
    assert 0.93 <= seen / 400 <= 0.985
    plain = score_estimate(pair(0, 1000)[1][:n], CLASSES)
    assert sum(widths) / 400 < (plain.high - plain.low) / 2  # type: ignore[operator]  # what the original knows counts


def test_so_does_that_of_a_score_that_is_no_share() -> None:
    truth, seen = 1 - (0.3**2 + 0.2**2), 0
    for seed in range(60):
        before, after = numbers(seed, 800)
        found = SoFar(NUMBERS, original=before).estimate(after[:300], 800)
        seen += found.low <= truth <= found.high  # type: ignore[operator]
    assert seen >= 53


@pytest.mark.parametrize("make", [pair, numbers])
def test_all_examples_say_what_the_score_itself_says(make: object) -> None:
    task = CLASSES if make is pair else NUMBERS
    before, after = make(3, 500)  # type: ignore[operator]
    whole = score_estimate(after, task)
    assert SoFar(task, original=before).estimate(after, 500) == whole
    nearly = SoFar(task, original=before).estimate(after[:499], 500)
    assert nearly.value == pytest.approx(whole.value, abs=0.005)
    assert (nearly.low, nearly.high) == pytest.approx((whole.low, whole.high), abs=0.01)


def needed(before: Tensor, after: Tensor, task: object = CLASSES, precision: float = 0.01) -> int:
    so_far = SoFar(task, original=before, precision=precision)  # type: ignore[arg-type]
    ends = [n for n in range(50, len(before), 50) if so_far.enough(after[:n], len(before))]
    return ends[0] if ends else len(before)


def test_what_changes_little_needs_few_and_what_changes_much_needs_more() -> None:
    found = [needed(*pair(5, 6000, lost=lost, gained=lost)) for lost in (0.0, 0.02, 0.05, 0.1, 0.4)]
    assert found == sorted(found)
    assert FIRST <= found[0] <= 400
    assert found[-1] == 6000


def test_where_it_ends_the_difference_is_known_to_a_point() -> None:
    before, after = pair(7, 6000, lost=0.03)
    n = needed(before, after)
    assert 200 < n < 6000
    wrong = (before[:n, 0] != after[:n, 0]).double()
    assert 1.96 * float(wrong.std()) / math.sqrt(n) <= 0.0105  # the normal interval, from nothing but these
    assert needed(before, after, precision=0.02) < n


def test_a_score_that_is_no_share_ends_as_well() -> None:
    before, after = numbers(8, 4000)
    n = needed(before, after, NUMBERS)
    assert FIRST <= n < 4000
    draws = torch.randint(n, (500, n), generator=seeded(4))
    apart = [NUMBERS.finish(after[d].sum(0)) - NUMBERS.finish(before[d].sum(0)) for d in draws]
    assert 1.96 * float(torch.stack(apart).std()) <= 0.0125


def test_without_an_original_or_a_precision_only_all_are_enough() -> None:
    before, after = pair(1, 2000, lost=0.0)
    assert not any(SoFar(CLASSES, original=before).enough(after[:n], 2000) for n in (500, 1999))
    assert not any(SoFar(CLASSES, precision=0.5).enough(after[:n], 2000) for n in (500, 1999))


def test_broken_answers_are_no_score() -> None:
    before, after = pair(1, 500)
    after[3] = math.nan
    found = SoFar(CLASSES, original=before).estimate(after[:300], 500)
    assert found.value is None
    assert "finite" in found.reason

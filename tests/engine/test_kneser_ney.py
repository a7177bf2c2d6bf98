"""The n-grams that the language model must beat, against numbers worked out by hand."""

from __future__ import annotations

import pytest
import torch

from sample_models.training.kneser_ney import KneserNey, discounts

START, A, B, C = 9, 1, 2, 3
EVENTS = 8


def split(*strings: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and targets of strings of signs, padded with targets that are not counted."""
    length = max(map(len, strings))
    targets = torch.full((len(strings), length), -1)
    inputs = torch.zeros_like(targets)
    for i, signs in enumerate(strings):
        targets[i, : len(signs)] = torch.tensor(signs)
        inputs[i, : len(signs)] = torch.tensor((START, *signs[:-1]))
    return inputs, targets


SMALL = split((A, B), (A, B), (A, C))


def test_bigrams_by_hand() -> None:
    # Few n-grams: every discount is a half. Seen before A: the start; before B: A; before C: A. So each single sign has
    # a continuation count of 1 of 3, keeps a half of it, and 3/2 of 3 go to the even chance of 1/8.
    kn = KneserNey(SMALL, EVENTS, order=2)
    alone = 0.5 / 3 + 1.5 / 3 / EVENTS
    assert kn.chance((B,)) == pytest.approx(alone)
    assert kn.chance((C + 1,)) == pytest.approx(1.5 / 3 / EVENTS)
    # After A: B twice, C once; two different signs free a half each.
    assert kn.chance((A, B)) == pytest.approx((2 - 0.5) / 3 + 1 / 3 * alone)
    assert kn.chance((A, C)) == pytest.approx((1 - 0.5) / 3 + 1 / 3 * alone)
    assert kn.chance((B, C)) == pytest.approx(alone)  # nothing was seen after B


def test_bits_are_those_of_the_counted_targets() -> None:
    kn = KneserNey(SMALL, EVENTS, order=2)
    told = [(START, A), (A, B)] * 2 + [(START, A), (A, C)]
    wanted = -sum(torch.tensor(kn.chance(gram)).log2().item() for gram in told) / len(told)
    assert kn.bits(SMALL) == pytest.approx(wanted)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_chances_after_any_history_sum_to_one(order: int) -> None:
    g = torch.Generator().manual_seed(0)
    kn = KneserNey(split(*(tuple(torch.randint(EVENTS, (7,), generator=g).tolist()) for _ in range(60))), EVENTS, order)
    for seed in range(20):
        history = torch.randint(EVENTS, (order - 1,), generator=torch.Generator().manual_seed(seed)).tolist()
        assert sum(kn.chance((*history, sign)) for sign in range(EVENTS)) == pytest.approx(1)


def test_three_discounts_come_from_how_many_are_rare() -> None:
    counts = {(i,): n for i, n in enumerate([1] * 8 + [2] * 4 + [3] * 2 + [4])}
    y = 8 / (8 + 2 * 4)
    assert discounts(counts) == pytest.approx((0, 1 - 2 * y * 4 / 8, 2 - 3 * y * 2 / 4, 3 - 4 * y * 1 / 2))

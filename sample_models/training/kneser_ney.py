"""What a model of characters must beat: interpolated Kneser-Ney n-grams with three discounts an order.

Reinhard Kneser and Hermann Ney, "Improved backing-off for m-gram language modeling", ICASSP 1995; with the discounts of
Stanley Chen and Joshua Goodman, "An empirical study of smoothing techniques for language modeling", 1999.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator

from torch import Tensor

Gram = tuple[int, ...]


class Order:
    """The n-grams of one length: how much each history has seen, and how much of it goes to shorter histories."""

    def __init__(self, counts: Counter[Gram]) -> None:
        self.counts = counts
        self.discounts = discounts(counts)
        self.totals: dict[Gram, int] = defaultdict(int)
        self.freed: dict[Gram, float] = defaultdict(float)
        for gram, count in counts.items():
            self.totals[gram[:-1]] += count
            self.freed[gram[:-1]] += self.discount(count)

    def discount(self, count: int) -> float:
        """What an n-gram seen this often gives away."""
        return self.discounts[min(count, len(self.discounts) - 1)]

    def chance(self, gram: Gram, shorter: float) -> float:
        """The chance of the last sign after the others, given its chance after a shorter history."""
        history = gram[:-1]
        if history not in self.totals:
            return shorter
        count = self.counts.get(gram, 0)
        return (count - self.discount(count) + self.freed[history] * shorter) / self.totals[history]


class KneserNey:
    """N-grams of the strings of a split: inputs and targets (n, length), a negative target is not counted.

    An input is the sign before its target, the first of each string a start sign that never is a target.

    events    how many signs can be a target: seen or not, their chances sum to one
    """

    def __init__(self, split: tuple[Tensor, Tensor], events: int, order: int = 5) -> None:
        self.events, self.order = events, order
        start = int(split[0][0, 0])
        full = Counter(gram for grams in events_of(split, order) for gram in grams)
        self.orders = [Order(counts) for counts in _by_order(full, order, start)]

    def chance(self, gram: Gram) -> float:
        """The chance of the gram's last sign after the others."""
        found = 1 / self.events
        for length, order in enumerate(self.orders[: len(gram)], 1):
            found = order.chance(gram[-length:], found)
        return found

    def bits(self, split: tuple[Tensor, Tensor]) -> float:
        """Bits per target of a split."""
        told = [math.log2(self.chance(gram)) for grams in events_of(split, self.order) for gram in grams]
        return -sum(told) / len(told)


def events_of(split: tuple[Tensor, Tensor], order: int) -> Iterator[list[Gram]]:
    """For each string, each target behind up to order - 1 signs before it: shorter at the start of the string."""
    for inputs, targets in zip(split[0].tolist(), split[1].tolist(), strict=True):
        yield [(*inputs[max(0, i + 2 - order) : i + 1], target) for i, target in enumerate(targets) if target >= 0]


def _by_order(full: Counter[Gram], order: int, start: int) -> list[Counter[Gram]]:
    """Counts of n-grams of 1, 2, ... signs: below the highest, of the different signs seen before each.

    Nothing stands before a start sign, so n-grams that begin with it keep how often they were seen.
    """
    found: list[Counter[Gram]] = [Counter() for _ in range(order)]
    for gram, count in full.items():
        found[len(gram) - 1][gram] = count
    for length in range(order - 1, 0, -1):
        found[length - 1].update(Counter(gram[1:] for gram in found[length]))
    return found


def discounts(counts: Counter[Gram]) -> tuple[float, ...]:
    """What n-grams seen 0, 1, 2, and more times give away, from how many there are of each."""
    seen = Counter(counts.values())
    n = [seen[i] for i in range(5)]
    if 0 in n[1:]:  # too few n-grams to tell, such as single signs: a usual value
        return (0.0, 0.5, 0.5, 0.5)
    y = n[1] / (n[1] + 2 * n[2])
    return (0.0, *(i - (i + 1) * y * n[i + 1] / n[i] for i in (1, 2, 3)))

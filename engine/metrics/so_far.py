"""What the first examples say of a score, and when they say enough."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor

from engine.metrics.paired import of_counts, right_of, scores_apart
from engine.metrics.record import Estimate
from engine.metrics.resampling import resampled_sums
from engine.metrics.score import score_estimate, why_missing
from engine.task import Task

FIRST = 200  # examples, before which nothing is enough
GROWTH = 1.25  # by which there must be more before a bootstrap is taken again


@dataclass
class SoFar:
    """Makes figures of the first examples of a split, drawn in an order that is the same for every model.

    original     what each example adds to the original's score, all of them in the order drawn: (N, k); None where
                 nothing is compared: then a score stands for itself, and only all examples are enough
    precision    half the width of the 95 % interval of the difference from the original, in the score's unit, that is
                 enough; 0 where only all examples are
    """

    task: Task
    seed: int = 0
    original: Tensor | None = None
    precision: float = 0.0
    _looked: int = field(default=0, repr=False)

    def estimate(self, terms: Tensor, of: int) -> Estimate:
        """The score of all `of` examples with its 95 % interval, as far as these say: score_N(original) + difference_n.

        terms    (n, k) of the first n in the order drawn

        The original is known on all examples, so that what is drawn is the difference alone. Its interval and the
        original's are put together with the correlation that the examples show.
        Source: Zou and Donner, Construction of confidence limits about effect measures, Statistics in Medicine 2008.
        """
        if self.original is None or len(terms) == of:
            return score_estimate(terms, self.task, self.seed)
        if not math.isfinite(float(self.task.finish(terms.sum(0)))):
            return Estimate.missing(why_missing(terms), self.task.unit)
        return self._proportion(terms, of) if self.task.proportion else self._resampled(terms, of)

    def enough(self, terms: Tensor, of: int) -> bool:
        """Whether the difference from the original is known as well as is asked for."""
        n = len(terms)
        if self.original is None or not self.precision or n < FIRST or n == of:
            return False
        if self.task.proportion:
            gained, lost = _turned(self.original[:n], terms)
            apart = of_counts(gained, lost, n)
        elif n < GROWTH * self._looked:
            return False
        else:
            self._looked = n
            apart = scores_apart(self.original[:n], terms, self.task, self.seed)[0]
        return apart.value is not None and _half(apart) <= self.precision

    def _proportion(self, terms: Tensor, of: int) -> Estimate:
        whole, n = cast("Tensor", self.original), len(terms)
        before, after = right_of(whole[:n]).double(), right_of(terms).double()
        known = score_estimate(whole, self.task)
        gained, lost = _turned(whole[:n], terms)
        apart = of_counts(gained, lost, n)
        together = _correlation(before, after - before) * math.sqrt(n / of)
        value = cast("float", known.value) + cast("float", apart.value)
        low = value - _joined(known, apart, together, "low")
        high = value + _joined(known, apart, together, "high")
        inside = [min(1.0, max(0.0, end)) for end in (value, low, high)]
        return Estimate(inside[0], inside[1], inside[2], n, self.task.unit)

    def _resampled(self, terms: Tensor, of: int) -> Estimate:
        whole, n, k = cast("Tensor", self.original), len(terms), terms.shape[1]
        first = torch.zeros(of, 2 * k, dtype=torch.float64)
        # A resample draws of all examples; of those that the variant has not seen it takes the original alone.
        first[:n] = torch.cat([whole[:n].double(), terms.double()], 1)
        drawn = resampled_sums(torch.cat([whole.double(), first], 1), self.seed)
        finish = self.task.finish

        def put_together(sums: Tensor) -> Tensor:
            known, before, after = sums.split(k, dim=-1)
            return finish(known) + finish(after) - finish(before)

        value = float(put_together(torch.cat([whole.double(), first], 1).sum(0)))
        return Estimate.drawn(value, put_together(drawn), n, self.task.unit)


def _turned(before: Tensor, after: Tensor) -> tuple[int, int]:
    """How many examples became right, and how many wrong."""
    was, now = right_of(before), right_of(after)
    return int((now & ~was).sum()), int((was & ~now).sum())


def _half(estimate: Estimate) -> float:
    return (cast("float", estimate.high) - cast("float", estimate.low)) / 2


def _joined(one: Estimate, other: Estimate, together: float, end: str) -> float:
    """How far the end of the interval of a sum is from it, from those of its two parts and their correlation."""
    a, b = (abs(cast("float", part.value) - cast("float", getattr(part, end))) for part in (one, other))
    return math.sqrt(max(0.0, a * a + b * b + 2 * together * a * b))


def _correlation(one: Tensor, other: Tensor) -> float:
    if not float(one.std(correction=0)) or not float(other.std(correction=0)):
        return 0.0
    return float(torch.corrcoef(torch.stack([one, other]))[0, 1])

"""Two models on the same examples: what one gets right and the other wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from engine.metrics.answers import Answers
from engine.metrics.record import Estimate
from engine.metrics.resampling import RESAMPLES, resampled_sums
from engine.task import Task


@dataclass(frozen=True)
class Paired:
    """Original against variant, example by example.

    gained, lost    examples that only the variant, only the original gets right, by their place in the split; None
                    where the score is no count of right ones
    p               how likely so uneven a difference is between two that are equally good: the exact test on gained
                    against lost (McNemar), else from a bootstrap over examples
    difference      of the scores, variant − original
    agreement       the share of examples to which both say the same class
    said            for each of the gained and the lost, the class that the original says, and the variant
    """

    gained: tuple[int, ...] | None
    lost: tuple[int, ...] | None
    p: float
    difference: Estimate
    agreement: Estimate
    said: Mapping[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """As plain data: how many were gained and lost, and which."""
        places = {"gained": self.gained, "lost": self.lost}
        return {
            **{name: None if found is None else len(found) for name, found in places.items()},
            "p": self.p,
            "difference": self.difference.to_dict(),
            "agreement": self.agreement.to_dict(),
            "examples": {name: None if found is None else list(found) for name, found in places.items()},
            "said": {name: [list(pair) for pair in pairs] for name, pairs in self.said.items()},
        }


@dataclass(frozen=True)
class OfClass:
    """How many of the examples of one class each model gets right."""

    name: str
    original: Estimate
    variant: Estimate

    def to_dict(self) -> dict[str, object]:
        """As plain data."""
        sides = {"original": self.original.to_dict(), "variant": self.variant.to_dict()}
        return {"name": self.name, "n": self.original.n, **sides}


def compare(original: Answers, variant: Answers, task: Task, seed: int = 0, places: Tensor | None = None) -> Paired:
    """Original against variant on the same examples.

    places    of these examples in the split: (n,); default 0 to n - 1

    Source of the test: Quinn McNemar, Note on the sampling error of the difference between correlated proportions or
    percentages, Psychometrika 1947; in its exact form.
    """
    agreement = Estimate.missing("the task has no classes", "fraction")
    if original.predicted is not None and variant.predicted is not None:
        same = original.predicted == variant.predicted
        agreement = share(int(same.sum()), len(same))
    if not task.proportion:
        difference, p = scores_apart(original.terms, variant.terms, task, seed)
        return Paired(None, None, p, difference, agreement)
    right_a, right_b = right_of(original.terms), right_of(variant.terms)
    where = torch.arange(len(right_a)) if places is None else places
    turned = [side.nonzero().flatten() for side in (right_b & ~right_a, right_a & ~right_b)]
    gained, lost = (found[where[found].argsort()] for found in turned)
    from scipy.stats import binomtest  # half a second, which who only reads what is stored need not wait for

    n, uneven = len(right_a), len(gained) + len(lost)
    nothing = Estimate(0.0, 0.0, 0.0, n, "fraction")
    difference = nothing if _same(original, variant) else of_counts(len(gained), len(lost), n)
    exact = float(binomtest(len(gained), uneven).pvalue) if uneven else 1.0
    said = {name: _said(original, variant, found) for name, found in (("gained", gained), ("lost", lost))}
    return Paired(tuple(where[gained].tolist()), tuple(where[lost].tolist()), exact, difference, agreement, said)


def right_of(terms: Tensor) -> Tensor:
    """Which examples are right, of terms (n, k) of a task that counts them: (n,); a broken answer is no right one."""
    return terms[:, 0].nan_to_num() > 0.5


def _said(original: Answers, variant: Answers, places: Tensor) -> tuple[tuple[int, int], ...]:
    """What both say to these examples."""
    if original.predicted is None or variant.predicted is None:
        return ()
    before, after = (side.predicted[places].tolist() for side in (original, variant))  # type: ignore[index]
    return tuple(zip(before, after, strict=True))


def _same(one: Answers, other: Answers) -> bool:
    """Whether both gave every example the very same answer, to the last digit: then nothing differs."""
    sides = (one.confidence, other.confidence)
    return None not in sides and torch.equal(*sides) and torch.equal(one.terms, other.terms)  # type: ignore[arg-type]


def of_counts(gained: int, lost: int, n: int) -> Estimate:
    """The difference of two shares of the same n examples, gained / n − lost / n, with its 95 % interval.

    Wald's with one example added to either count, so that no difference seen in n is not taken for none at all.
    Source: Bonett and Price, Adjusted Wald confidence interval for a difference of binomial proportions based on
    paired data, Journal of Educational and Behavioral Statistics 2012.
    """
    value, up, down = (gained - lost) / n, (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = 1.959964 * math.sqrt(max(0.0, up + down - (up - down) ** 2) / (n + 2))
    low, high = max(-1.0, up - down - half), min(1.0, up - down + half)
    return Estimate(value, min(low, value), max(high, value), n, "fraction")


def by_class(original: Answers, variant: Answers, targets: Tensor, names: Sequence[str]) -> tuple[OfClass, ...]:
    """The recall of every class before and after; nothing where the task has no classes.

    targets    (examples,)
    """
    if original.predicted is None or variant.predicted is None:
        return ()
    found = []
    for number, name in enumerate(names):
        chosen = targets == number
        n = int(chosen.sum())
        sides = [share(int((side.predicted[chosen] == number).sum()), n) for side in (original, variant)]  # type: ignore[index]
        found.append(OfClass(name, *sides))
    return tuple(found)


def share(right: int, n: int) -> Estimate:
    """So many of n, with Wilson's 95 % interval."""
    if n == 0:
        return Estimate.missing("there are no examples of it", "fraction")
    return Estimate.share(right, n)


def scores_apart(before: Tensor, after: Tensor, task: Task, seed: int) -> tuple[Estimate, float]:
    """The scores' difference with its interval from the same resamples of both, and how often it has the other sign.

    before, after    (n, k): what each example adds; one whose answer is broken adds nothing
    """
    both = torch.cat([before.double().nan_to_num(), after.double().nan_to_num()], dim=1)
    first, second = (task.finish(half) for half in both.sum(0).split(before.shape[1]))
    value = float(second - first)
    if not math.isfinite(value):
        return Estimate.missing("one of the scores is not finite", task.unit), 1.0
    low, high = (task.finish(half) for half in resampled_sums(both, seed).split(before.shape[1], dim=1))
    drawn = high - low
    tail = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return Estimate.drawn(value, drawn, len(both), task.unit), min(1.0, 2 * (tail + 1) / (RESAMPLES + 1))

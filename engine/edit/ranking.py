"""Which of many weights are the smallest: by rank, found once and kept, or by a threshold, where ranks are too many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

MOST = 2**26  # weights that are ranked: four bytes each, kept for the next point of a sweep
SAMPLE = 2**20  # numbers that say where a threshold lies, at most, and no more than every 64th
MARGIN = 4.0  # standard deviations of where it may lie, on either side
Sizes = Callable[[], Iterable[Tensor]]


def ranks(sizes: Tensor) -> Tensor:
    """How many are smaller, the earlier ones among equals: int32, same shape."""
    order = sizes.flatten().argsort(stable=True)
    found = torch.empty(len(order), dtype=torch.int32, device=sizes.device)
    found[order] = torch.arange(len(order), dtype=torch.int32, device=sizes.device)
    return found.view(sizes.shape)


def joint_ranks(sizes: Sequence[Tensor], kept: Sequence[int]) -> list[Tensor]:
    """The same among the numbers of all tensors; the `kept` largest of each rank above any other."""
    joint = ranks(torch.cat([_safe(one.flatten(), n) for one, n in zip(sizes, kept, strict=True)]))
    parts: tuple[Tensor, ...] = joint.split([one.numel() for one in sizes])
    return [part.view(one.shape) for part, one in zip(parts, sizes, strict=True)]


def _safe(sizes: Tensor, n: int) -> Tensor:
    """The n largest made larger than any other, the later ones among equals."""
    if n == 0:
        return sizes
    return sizes.masked_fill(Threshold.at(lambda: [sizes], len(sizes) - n).stays(sizes), torch.inf)


@dataclass
class Threshold:
    """The limit that so many of many numbers lie at or below: the earlier ones among equals first.

    limit    the largest number that goes; None where none does
    left     how many of those that equal it go
    """

    limit: Tensor | None
    left: int = 0

    @classmethod
    def at(cls, sizes: Sizes, goes: int) -> Threshold:
        """The limit of the `goes` smallest."""
        if goes == 0:
            return cls(None)
        limit, below = _kth(sizes, goes)
        return cls(limit, goes - below)

    def stays(self, sizes: Tensor) -> Tensor:
        """True where a number stays. Asked for all tensors in turn, since it counts those that equal the limit."""
        if self.limit is None:
            return torch.ones_like(sizes, dtype=torch.bool)
        stays = sizes > self.limit
        equal = (sizes == self.limit).flatten().nonzero().flatten()
        stays.view(-1)[equal[self.left :]] = True
        self.left = max(self.left - len(equal), 0)
        return stays


@dataclass
class JointThreshold:
    """The limit of the smallest numbers of several tensors together, of each of which the `kept` largest stay: these
    become infinite in what is handed over.

    floors    of each tensor, what those lie above
    """

    goes: int
    floors: list[tuple[Tensor | None, int]]
    _limit: Threshold = field(default_factory=lambda: Threshold(None))

    @staticmethod
    def floors_of(sizes: Sizes, kept: Sequence[int]) -> list[tuple[Tensor | None, int]]:
        """Of each tensor the limit of those that may go."""
        found = []
        for one, n in zip(sizes(), kept, strict=True):
            floor = Threshold.at(lambda one=one: [one], one.numel() - n)  # type: ignore[misc]
            found.append((floor.limit, floor.left))
        return found

    def find(self, sizes: Sizes) -> JointThreshold:
        """With the limit found."""
        self._limit = Threshold.at(lambda: map(self._held, range(len(self.floors)), sizes()), self.goes)
        return self

    def stays(self, place: int, sizes: Tensor) -> Tensor:
        """True where a number of the tensor in that place stays; asked for all in turn."""
        return self._limit.stays(self._held(place, sizes))

    def _held(self, place: int, sizes: Tensor) -> Tensor:
        return sizes.masked_fill_(Threshold(*self.floors[place]).stays(sizes), torch.inf)


def _kth(sizes: Sizes, k: int) -> tuple[Tensor, int]:
    """The k-th smallest of all numbers, and how many are smaller.

    A sample says between which two numbers it lies; only what lies there is gathered and looked at closely. So no more
    than a hundredth of the numbers is ever copied at once, where a sort would need three times all of them.
    """
    n = sum(one.numel() for one in sizes())
    step = -(-n // min(SAMPLE, max(n // 64, 2**14)))
    sample = torch.cat([one.flatten()[::step].clone() for one in sizes()]).sort().values  # a view would hold it all
    place, margin = round(k / n * len(sample)), len(sample)
    if step > 1:
        margin = round(MARGIN * len(sample) ** 0.5 / 2)
    while True:
        low, high = place - margin, place + margin
        least = sample[low] if low > 0 else sample.new_tensor(-torch.inf)
        most = sample[high] if high < len(sample) else sample.new_tensor(torch.inf)
        below, between = 0, []
        for one in sizes():
            places = (
                ((one >= least) & (one <= most)).flatten().nonzero().flatten()
            )  # a mask as index takes thrice as long
            between.append(one.flatten()[places])
            below += int(torch.count_nonzero(one < least))
        near = torch.cat(between)
        if below < k <= below + len(near):
            limit = near.kthvalue(k - below).values
            return limit, below + int((near < limit).sum())
        margin *= 8


def in_turn(sizes: Sequence[Tensor]) -> Sizes:
    """Tensors that are there already."""

    def again() -> Iterator[Tensor]:
        return iter(sizes)

    return again

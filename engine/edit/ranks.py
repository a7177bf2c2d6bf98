"""How many of a matrix's directions stay: by a share, by energy, or for all matrices at once by a budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

ROUNDING = 1e-12  # of all energy


def rank_of(share: float, shape: Sequence[int]) -> int:
    """max(1, round(share · min(m, n))) of a matrix m × n."""
    return max(1, round(share * min(shape)))


def break_even(shape: Sequence[int]) -> int:
    """The highest rank r at which two factors are smaller than m × n: the largest with r·(m + n) < m·n."""
    m, n = shape
    return -(-m * n // (m + n)) - 1


def energy_rank(energy: Tensor, share: float) -> int:
    """The lowest rank that keeps this share of the energy, at least 1; all of it is the full rank.

    energy    of each direction, falling: (directions,)
    """
    if share >= 1:
        return len(energy)
    kept = energy.cumsum(0)
    return min(int((kept < (share - ROUNDING) * kept[-1]).sum()) + 1, len(energy))


@dataclass(frozen=True)
class Curve:
    """What a layer loses at each rank.

    shape    of its matrix, m × n
    lost     energy lost at rank 1, 2, ...
    """

    shape: tuple[int, int]
    lost: tuple[float, ...]

    @classmethod
    def of(cls, shape: Sequence[int], energy: Tensor) -> Curve:
        """energy: of each direction, falling: (directions,)."""
        beyond = energy.flip(0).cumsum(0).flip(0)
        return cls((shape[0], shape[1]), (*beyond[1:].tolist(), 0.0))

    @property
    def points(self) -> list[tuple[int, float, int]]:
        """(parameters, energy lost, rank) of each rank that pays, from the whole layer, as rank 0, down."""
        m, n = self.shape
        most = min(break_even(self.shape), len(self.lost))
        return [(m * n, 0.0, 0), *((r * (m + n), self.lost[r - 1], r) for r in range(most, 0, -1))]


def most_saved(curves: Mapping[str, Curve]) -> int:
    """How many parameters go where every layer that two factors make smaller has rank 1."""
    return sum(curve.points[0][0] - curve.points[-1][0] for curve in curves.values())


def budget_ranks(curves: Mapping[str, Curve], saved: int) -> dict[str, int]:
    """The ranks at which this many parameters go, or as few more as one rank is worth, for the least energy lost: a
    layer that is not named stays.

    The cheapest step goes first, in energy for each parameter, along the lower convex hull of each layer's points.
    That is the least energy of all ranks that save as much as they do, where a step ends; the last step ends early.
    """
    steps = []
    for place, (path, curve) in enumerate(curves.items()):
        points = curve.points
        for above, below in pairwise(_hull(points)):
            price = (below[1] - above[1]) / (above[0] - below[0])
            steps.append((price, place, path, [p for p in points if below[0] <= p[0] <= above[0]]))
    ranks: dict[str, int] = {}
    for _, _, path, within in sorted(steps, key=lambda step: step[:2]):
        if saved <= 0:
            break
        whole = within[0][0]
        end = next((p for p in within[1:] if whole - p[0] >= saved), within[-1])
        ranks[path] = end[2]
        saved -= whole - end[0]
    return ranks


def _hull(points: list[tuple[int, float, int]]) -> list[tuple[int, float, int]]:
    """Those on the lower convex hull; they come by falling parameters."""
    hull: list[tuple[int, float, int]] = []
    for point in points:
        while len(hull) > 1 and _price(hull[-1], point) <= _price(hull[-2], hull[-1]):
            hull.pop()
        hull.append(point)
    return hull


def _price(above: tuple[int, float, int], below: tuple[int, float, int]) -> float:
    return (below[1] - above[1]) / (above[0] - below[0])


def normalised(energy: Tensor) -> Tensor:
    """As shares of all energy: (directions,)."""
    return energy / energy.sum().clamp_min(torch.finfo(energy.dtype).tiny)

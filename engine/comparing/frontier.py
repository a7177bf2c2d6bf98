"""Which points are worth having: two figures, the first the smaller the better, the second the larger."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.errors import InvalidInput
from engine.metrics.record import Estimate


@dataclass(frozen=True)
class Dominated:
    """A point that another beats.

    by         the points of the frontier that are as good in both figures and better in one, by index
    certain    whether one of all points is so even where both intervals are taken at their worst
    """

    by: tuple[int, ...]
    certain: bool

    def to_dict(self) -> dict[str, object]:
        """As plain data."""
        return {"by": list(self.by), "certain": self.certain}


@dataclass(frozen=True)
class Tradeoff:
    """How points stand to each other, by index.

    frontier     those that no other beats, by rising x
    knee         that of the frontier which lies farthest above the line from its first to its last, both axes scaled
                 to the frontier's own range; None where none lies above it
    dominated    the others, each with those that beat it
    missing      those that lack one of the figures
    """

    frontier: tuple[int, ...]
    knee: int | None
    dominated: dict[int, Dominated]
    missing: tuple[int, ...]

    def to_dict(self) -> dict[str, object]:
        """As plain data."""
        beaten = {str(index): one.to_dict() for index, one in self.dominated.items()}
        return {
            "frontier": list(self.frontier), "knee": self.knee, "dominated": beaten, "missing": list(self.missing),
        }  # fmt: skip


def tradeoff(xs: Sequence[Estimate | None], ys: Sequence[Estimate | None]) -> Tradeoff:
    """Frontier, knee and dominated points of figures, one pair a point.

    A point is dominated only where another is better or equal in both values and better in one. Raises InvalidInput
    where the figures are not as many.
    """
    if len(xs) != len(ys):
        raise InvalidInput("a tradeoff must have as many x as y, got {x} and {y}", x=len(xs), y=len(ys))
    places = {i: (_value(x), _value(y)) for i, (x, y) in enumerate(zip(xs, ys, strict=True))}
    placed = {i: (x, y) for i, (x, y) in places.items() if x is not None and y is not None}
    frontier = _frontier(placed)
    beaten = {
        i: Dominated(
            tuple(sorted(f for f in frontier if _beats(placed[f], place))),
            any(_surely((xs[j], ys[j]), (xs[i], ys[i])) for j in placed),
        )
        for i, place in placed.items()
        if i not in set(frontier)
    }
    missing = tuple(i for i in range(len(xs)) if i not in placed)
    return Tradeoff(frontier, _knee([placed[i] for i in frontier], frontier), beaten, missing)


def _value(one: Estimate | None) -> float | None:
    return None if one is None or one.value is None or not math.isfinite(one.value) else float(one.value)


def _frontier(placed: dict[int, tuple[float, float]]) -> tuple[int, ...]:
    """By rising x; of one place all that stand there."""
    found: list[int] = []
    for i in sorted(placed, key=lambda i: (placed[i][0], -placed[i][1], i)):
        if not found or placed[i][1] > placed[found[-1]][1] or placed[i] == placed[found[-1]]:
            found.append(i)
    return tuple(found)


def _beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] <= other[0] and one[1] >= other[1] and one != other


def _surely(one: tuple[Estimate | None, Estimate | None], other: tuple[Estimate | None, Estimate | None]) -> bool:
    """Whether one beats the other also at the worst ends of its intervals against the best ends of the other's."""
    (x, y), (other_x, other_y) = one, other
    ends = (x and x.high, y and y.low, other_x and other_x.low, other_y and other_y.high)
    if any(end is None for end in ends):
        return False
    worst, best = (float(ends[0] or 0), float(ends[1] or 0)), (float(ends[2] or 0), float(ends[3] or 0))
    return _beats(worst, best)


def _knee(places: Sequence[tuple[float, float]], frontier: Sequence[int]) -> int | None:
    """The farthest above the chord; of several the first."""
    if len(set(places)) < 3:
        return None
    (x0, y0), (x1, y1) = places[0], places[-1]
    above = [(y - y0) / (y1 - y0) - (x - x0) / (x1 - x0) for x, y in places]
    highest = max(above)
    return frontier[above.index(highest)] if highest > 1e-12 else None  # rounding is no knee

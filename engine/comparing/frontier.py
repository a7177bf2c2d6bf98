"""Which points are worth having: two figures, the first the smaller the better, the second the larger."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

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
    frontier, surely = _frontier(placed), _surely([(_end(xs[i], "high"), _end(ys[i], "low")) for i in placed])
    beaten = {
        i: Dominated(
            tuple(sorted(f for f in frontier if _beats(placed[f], place))),
            surely(_end(xs[i], "low"), _end(ys[i], "high")),
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


def _end(one: Estimate | None, which: str) -> float:
    """An end of the interval of a figure that is there."""
    end = getattr(one, which)
    return float(0.0 if end is None else end)


def _surely(worst: Sequence[tuple[float, float]]) -> Callable[[float, float], bool]:
    """Whether one of these places, each a point's worst ends, beats a place that is another's best ends."""
    ordered = sorted(worst)
    xs = [x for x, _ in ordered]
    highest = list(accumulate((y for _, y in ordered), max))

    def beaten(x: float, y: float) -> bool:
        before, upto = bisect_left(xs, x), bisect_right(xs, x)
        return bool(before and highest[before - 1] >= y) or bool(upto and highest[upto - 1] > y)

    return beaten


def _knee(places: Sequence[tuple[float, float]], frontier: Sequence[int]) -> int | None:
    """The farthest above the chord; of several the first."""
    if len(set(places)) < 3:
        return None
    (x0, y0), (x1, y1) = places[0], places[-1]
    above = [(y - y0) / (y1 - y0) - (x - x0) / (x1 - x0) for x, y in places]
    highest = max(above)
    return frontier[above.index(highest)] if highest > 1e-12 else None  # rounding is no knee

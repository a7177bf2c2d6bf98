"""Where a curve needs its next point: coarse first, then where it bends."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from engine.coefficient import Coefficient, Value

MOST_REFINED = 25  # points
COARSE = 0.26  # of the axis: a gap that is wider is always halved, so that no curve has less than five points
FINE = 1 / 64  # of the axis: some ten pixels; a narrower gap is drawn well whatever is in it
BEND = 0.02  # of the height: some six pixels, by which a straight line would be wrong
JUMP = 0.26  # of the height, between two neighbours: too much for a line where nobody has looked, however straight
LEAST_HEIGHT = 0.05  # in the score's unit: a curve that moves less is flat


@dataclass(frozen=True)
class Spot:
    """A value that was measured.

    place    on the axis, from 0 to 1
    score    None where it could not be measured
    half     half the width of the interval of its difference from the original
    """

    value: Value
    place: float
    score: float | None
    half: float = 0.0


Gap: TypeAlias = tuple[Spot, Spot]


class Refining:
    """Chooses the values of one curve, one after the other: ends and middle, then the gap that is worst drawn.

    A gap is worst drawn where a straight line through it is farthest from a parabola through its ends and a neighbour,
    as a share of the curve's height; no gap is halved for less than the intervals of its ends. On an axis of powers of
    ten, halves are taken there.
    """

    def __init__(self, coefficient: Coefficient, low: Value, high: Value, owner: str) -> None:
        self._coefficient = coefficient
        self._ends = float(str(low)), float(str(high))
        room = int(self._ends[1] - self._ends[0]) + 1 if coefficient.kind == "count" else 3
        first = coefficient.grid(min(3, room), self._ends[0], self._ends[1], owner)
        self.first = [first[i] for i in (0, -1, 1)[: len(first)]] if len(first) != 1 else first
        self._spots: list[Spot] = []

    def heard(self, value: Value, score: float | None, half: float = 0.0) -> None:
        """Learn what was measured at a value; None where that failed."""
        self._spots.append(Spot(value, self._place(value), score, half))
        self._spots.sort(key=lambda spot: spot.place)

    def next(self) -> Value | None:
        """The value to be measured next, None where the curve is drawn well."""
        known = len(self._spots)
        if known < len(self.first):
            return self.first[known]
        if known >= MOST_REFINED:
            return None
        gaps = [(self._need(i), pair) for i, pair in enumerate(pairwise(self._spots))]
        wanted = [(need, self._middle(pair)) for need, pair in gaps if need > 0]
        return max(wanted, key=lambda one: one[0])[1] if wanted else None

    def _place(self, value: Value) -> float:
        low, high = self._ends
        at = float(str(value))
        if low == high:
            return 0.0
        if self._coefficient.scale == "log" and low > 0:
            return math.log(at / low) / math.log(high / low)
        return (at - low) / (high - low)

    def _middle(self, gap: Gap) -> Value | None:
        middle = self._coefficient.between(*(float(str(spot.value)) for spot in gap))
        return None if middle in {spot.value for spot in gap} else middle

    def _need(self, i: int) -> float:
        """How much the gap after spot i needs a point; 0 where it needs none."""
        left, right = self._spots[i], self._spots[i + 1]
        width = right.place - left.place
        if width <= FINE or self._middle((left, right)) is None:
            return 0.0
        if left.score is None or right.score is None:
            both = left.score is None and right.score is None
            return 0.0 if both or width <= COARSE / 4 else width
        heights = [spot.score for spot in self._spots if spot.score is not None]
        height = max(LEAST_HEIGHT, max(heights) - min(heights))
        noise = math.hypot(left.half, right.half) / height
        bend = self._bend(i) / height  # across a cliff an eighth of it, however narrow the gap
        jump = abs(right.score - left.score) / height
        if width > COARSE:
            return 1 + width
        if bend > max(BEND, noise):
            return bend
        return width * jump if jump > max(JUMP, noise) else 0.0

    def _bend(self, i: int) -> float:
        """How far the middle of a gap may lie from the straight line, by the parabolas through either neighbour."""
        found = [0.0]
        for three in (self._spots[max(0, i - 1) : i + 2], self._spots[i : i + 3]):
            if len(three) == 3 and all(spot.score is not None for spot in three):
                (a, ya), (b, yb), (c, yc) = ((spot.place, float(spot.score or 0.0)) for spot in three)
                curved = ((yc - yb) / (c - b) - (yb - ya) / (b - a)) / (c - a)
                found.append(abs(curved) * ((self._spots[i + 1].place - self._spots[i].place) / 2) ** 2)
        return max(found)

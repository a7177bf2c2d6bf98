"""What points must keep: latency at most, accuracy at least, size at most."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from engine.comparing.points import Point
from engine.errors import InvalidInput, shown_text, unknown
from engine.metrics.record import Estimate

SHORT = {"latency": "latency_ms", "size": "size_bytes"}
UNITS = {"": 1.0, "%": 0.01, "ms": 1.0, "s": 1000.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "k": 1e3, "m": 1e6}
WRITTEN = re.compile(r"\s*(\w+)\s*(<=|>=)\s*([-+.\deE]+?)\s*([a-zA-Z%]*)\s*")


@dataclass(frozen=True)
class Bound:
    """One figure of the variant that must be at most, or at least, so much.

    figure    a figure's name; "latency", "size" and "score" are short for latency_ms, size_bytes and the task's score
    most      whether the limit is the most that is allowed, else the least
    limit     finite, in the figure's unit
    """

    figure: str
    most: bool
    limit: float

    @classmethod
    def parse(cls, text: str) -> Bound:
        """The bound in "latency_ms<=3", "accuracy>=92%", "size<=1.5MB". Raises InvalidInput."""
        found = WRITTEN.fullmatch(text[:200])
        key = "a bound must be FIGURE<=NUMBER or FIGURE>=NUMBER such as latency_ms<=3 or accuracy>=92%, got {got!r}"
        try:
            name, sign, number, unit = found.groups()  # type: ignore[union-attr]
            limit = float(number) * UNITS[unit.lower()]
        except (AttributeError, ValueError, KeyError):
            raise InvalidInput(key, got=shown_text(text)) from None
        if not math.isfinite(limit):
            raise InvalidInput(key, got=shown_text(text))
        return cls(SHORT.get(name, name), sign == "<=", limit)

    def of(self, point: Point) -> Estimate:
        """The figure that it is for. Raises UnknownName where the point has none of that name."""
        name = point.score if self.figure in ("score", "accuracy") else self.figure
        if name not in point.variant:
            raise unknown("the figure of a bound", self.figure, {*point.variant, "score"})
        return point.variant[name]

    def __str__(self) -> str:
        return f"{self.figure} {'<=' if self.most else '>='} {self.limit:,.6g}"


@dataclass(frozen=True)
class Kept:
    """Whether a point keeps a bound; a figure that is missing keeps none.

    certain    whether the whole 95 % interval lies on that side
    """

    bound: Bound
    value: float | None
    holds: bool
    certain: bool

    def to_dict(self) -> dict[str, object]:
        """As plain data."""
        return {"bound": str(self.bound), "value": self.value, "holds": self.holds, "certain": self.certain}


def checked(points: Sequence[Point], bounds: Sequence[Bound]) -> list[list[Kept]]:
    """For each point, every bound and whether it holds. Raises UnknownName for a figure that a point lacks."""
    return [[_kept(bound, bound.of(point)) for bound in bounds] for point in points]


def _kept(bound: Bound, got: Estimate) -> Kept:
    if got.value is None or got.low is None or got.high is None:
        return Kept(bound, None, False, False)
    holds = [end <= bound.limit if bound.most else end >= bound.limit for end in (got.value, got.low, got.high)]
    return Kept(bound, got.value, holds[0], len(set(holds)) == 1)

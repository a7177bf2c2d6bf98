"""Many points beside each other: tradeoff by group, bounds, and each beside the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.comparing.basis import groups
from engine.comparing.beside import Beside, beside
from engine.comparing.bounds import Bound, Kept, checked
from engine.comparing.frontier import Dominated, Tradeoff, tradeoff
from engine.comparing.points import Point
from engine.errors import unknown


@dataclass(frozen=True)
class Comparison:
    """Points and how they stand to each other, all by index.

    x           the figure that is to be small; the score is to be large
    tradeoffs   one for each group of points whose x and score can be compared
    kept        for each point, every bound and whether it holds
    besides     each point beside the first; None for the first itself
    """

    points: tuple[Point, ...]
    x: str
    tradeoffs: tuple[Tradeoff, ...]
    kept: tuple[tuple[Kept, ...], ...]
    besides: tuple[Beside | None, ...]

    def to_dict(self) -> dict[str, object]:
        """As plain data."""
        return {
            "x": self.x,
            "points": [
                {
                    "model": p.model,
                    "recipe": p.recipe.to_list(),
                    "source": p.source,
                    "content": p.content,
                    "score": p.score,
                    "protocol": dict(p.protocol),
                    "evaluated": {"examples": p.examples, "of": p.of},
                    "variant": {name: one.to_dict() for name, one in p.variant.items()},
                }
                for p in self.points
            ],
            "tradeoffs": [one.to_dict() for one in self.tradeoffs],
            "bounds": [[one.to_dict() for one in kept] for kept in self.kept],
            "beside_first": [None if one is None else one.to_dict() for one in self.besides],
        }


def compared(points: Sequence[Point], x: str = "parameters", bounds: Sequence[Bound] = ()) -> Comparison:
    """Points beside each other. Raises UnknownName where no point has the figure x, or a point not that of a bound."""
    known = {name for point in points for name in point.variant}
    if points and x not in known:
        raise unknown("the figure x", x, known)
    besides = (None, *(beside(points[0], other) for other in points[1:])) if points else ()
    kept = tuple(tuple(one) for one in checked(points, bounds))
    return Comparison(tuple(points), x, tuple(tradeoffs(points, x)), kept, besides)


def tradeoffs(points: Sequence[Point], x: str) -> list[Tradeoff]:
    """Frontier, knee and dominated points of x against the score, for each group that can be compared; by index."""
    found = []
    for group in groups(points, x, *{point.score for point in points}):
        chosen = [points[i] for i in group]
        one = tradeoff([p.variant.get(x) for p in chosen], [p.variant[p.score] for p in chosen])
        beaten = {group[i]: Dominated(tuple(group[f] for f in d.by), d.certain) for i, d in one.dominated.items()}
        knee = None if one.knee is None else group[one.knee]
        found.append(Tradeoff(_at(group, one.frontier), knee, beaten, _at(group, one.missing)))
    return found


def _at(group: Sequence[int], places: Sequence[int]) -> tuple[int, ...]:
    return tuple(group[i] for i in places)

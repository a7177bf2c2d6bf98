"""Example by example and class by class: what one of two points gets right and the other wrong.

A record says which examples a point gained and lost beside the original, so two points of one original can be held
against each other without running either again.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.comparing.points import Point
from engine.metrics.accuracy import drawn_order
from engine.metrics.paired import of_counts
from engine.metrics.record import Estimate


@dataclass(frozen=True)
class ClassBeside:
    """One class: the share of its examples that each gets right, and how many only one of them does.

    difference    of the shares, second − first, on the examples that both saw, with its paired interval
    """

    name: str
    first: Estimate
    second: Estimate
    only_first: int
    only_second: int
    difference: Estimate

    def to_dict(self) -> dict[str, object]:
        """As plain data."""
        return {
            "name": self.name, "first": self.first.to_dict(), "second": self.second.to_dict(),
            "only_first": self.only_first, "only_second": self.only_second, "difference": self.difference.to_dict(),
        }  # fmt: skip


@dataclass(frozen=True)
class AnswersBeside:
    """What each of two points alone gets right.

    only_first, only_second    places in the split, rising
    n             how many examples both saw
    p             how likely so uneven a difference is between equally good ones: McNemar's exact test
    difference    of the shares of right ones, second − first, with its paired 95 % interval
    """

    only_first: tuple[int, ...]
    only_second: tuple[int, ...]
    n: int
    p: float
    difference: Estimate
    classes: tuple[ClassBeside, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """As plain data."""
        return {
            "only_first": list(self.only_first), "only_second": list(self.only_second), "n": self.n, "p": self.p,
            "difference": self.difference.to_dict(), "classes": [one.to_dict() for one in self.classes],
        }  # fmt: skip


def answers_beside(one: Point, two: Point) -> AnswersBeside | None:
    """Both on the examples that both saw; None where the score counts no right ones. Of comparable points only."""
    if one.gained is None or two.gained is None:
        return None
    seen = _seen(one, two)
    only_first = _only(one, two, seen)
    only_second = _only(two, one, seen)
    n, uneven = min(one.examples, two.examples), len(only_first) + len(only_second)
    p = 1.0
    if uneven:
        from scipy.stats import binomtest  # half a second, which who compares nothing need not wait for

        p = float(binomtest(len(only_second), uneven).pvalue)
    difference = _apart(len(only_second), len(only_first), n, one.made_by == two.made_by)
    return AnswersBeside(
        tuple(sorted(only_first)), tuple(sorted(only_second)), n, p, difference,
        _classes(one, two, only_first, only_second),
    )  # fmt: skip


def _seen(one: Point, two: Point) -> set[int] | None:
    """The examples that both saw; None stands for all."""
    if one.examples == two.examples:
        return None
    order = drawn_order(one.of, int(str(one.protocol.get("seed", 0))))
    return set(order[: min(one.examples, two.examples)].tolist())


def _only(one: Point, two: Point, seen: set[int] | None) -> dict[int, int | None]:
    """What the first gets right and the second wrong, each with its class: gained by it alone, or lost by the other."""
    gained, lost, other_gained, other_lost = (side or {} for side in (one.gained, one.lost, two.gained, two.lost))
    right = {place: of for place, of in gained.items() if place not in other_gained}
    right |= {place: of for place, of in other_lost.items() if place not in lost}
    return {place: of for place, of in right.items() if seen is None or place in seen}


def _apart(second: int, first: int, n: int, same: bool) -> Estimate:
    if not n:
        return Estimate.missing("there are no examples", "fraction")
    return Estimate(0.0, 0.0, 0.0, n, "fraction") if same and first == second == 0 else of_counts(second, first, n)


def _classes(
    one: Point, two: Point, only_first: dict[int, int | None], only_second: dict[int, int | None]
) -> tuple[ClassBeside, ...]:
    if [name for name, _ in one.classes] != [name for name, _ in two.classes]:
        return ()
    found = []
    for number, ((name, first), (_, second)) in enumerate(zip(one.classes, two.classes, strict=True)):
        alone = [list(side.values()).count(number) for side in (only_first, only_second)]
        n = min(first.n, second.n)
        difference = Estimate.missing("there are no examples of it", "fraction")
        if n:
            difference = _apart(alone[1], alone[0], n, one.made_by == two.made_by)
        found.append(ClassBeside(name, first, second, alone[0], alone[1], difference))
    return tuple(found)

"""Two points side by side: recipes in words, figures with what can be told apart, answers."""

from __future__ import annotations

from dataclasses import dataclass

from engine.comparing.answers import AnswersBeside, answers_beside
from engine.comparing.basis import Differing, differing, kind_of
from engine.comparing.points import Point
from engine.comparing.words import count_in_words, joined, recipes_apart, score_in_words, time_in_words
from engine.errors import Message
from engine.metrics.record import Estimate

SUMMED_UP = ("parameters", "nonzero", "multiply_adds", "size_bytes", "latency_ms", "latency_ms_64")
HIGHER, LOWER, SAME, APART, MISSING = "higher", "lower", "same", "not comparable", "missing"


@dataclass(frozen=True)
class FigureBeside:
    """One figure of both.

    change     second / first for times, second − first for all else, with its 95 % interval; missing where it cannot
               be told
    verdict    of the second: "higher", "lower", "same" (within the interval), "not comparable", "missing"
    """

    name: str
    first: Estimate
    second: Estimate
    change: Estimate
    verdict: str

    def to_dict(self) -> dict[str, object]:
        """As plain data."""
        return {
            "name": self.name, "first": self.first.to_dict(), "second": self.second.to_dict(),
            "change": self.change.to_dict(), "verdict": self.verdict,
        }  # fmt: skip


@dataclass(frozen=True)
class Beside:
    """The second point beside the first.

    recipes    what differs in the recipes
    basis      what else differs, and what cannot be compared for it
    summary    what came of it, a sentence a figure
    answers    None where the scores cannot be compared or count no right ones
    """

    recipes: tuple[Message, ...]
    basis: Differing
    summary: tuple[Message, ...]
    figures: tuple[FigureBeside, ...]
    answers: AnswersBeside | None

    def to_dict(self) -> dict[str, object]:
        """As plain data."""
        return {
            "recipes": [str(one) for one in self.recipes],
            "basis": self.basis.to_dict(),
            "summary": joined(self.summary),
            "figures": [one.to_dict() for one in self.figures],
            "answers": None if self.answers is None else self.answers.to_dict(),
        }


def beside(one: Point, two: Point) -> Beside:
    """The second point beside the first; figures that cannot be compared are marked so."""
    basis = differing(one, two)
    scored = not basis.workload and one.score not in basis.figures
    answers = answers_beside(one, two) if scored else None
    names = [name for name in one.variant if name in two.variant]
    figures = tuple(_figure(name, one, two, basis, answers) for name in names)
    return Beside(_recipes(one, two), basis, _summary(figures, one.score), figures, answers)


def _recipes(one: Point, two: Point) -> tuple[Message, ...]:
    if one.content == two.content:
        return recipes_apart(one.recipe, two.recipe)
    sides = {"one": one.label, "two": two.label}
    for name, side in (("one", one), ("two", two)):
        if side.ended is not None:
            sides[name] += f", its training ended after step {side.ended[0]} of {side.ended[1]}"
    return (Message("the first is {one}, the second {two}", dict(sides)),)


def _figure(name: str, one: Point, two: Point, basis: Differing, answers: AnswersBeside | None) -> FigureBeside:
    first, second = one.variant[name], two.variant[name]
    if name in basis.figures:
        nothing = Estimate.missing("they were not measured alike", first.unit)
        return FigureBeside(name, first, second, nothing, APART)
    if first.value is None or second.value is None:
        nothing = Estimate.missing(first.reason or second.reason, first.unit)
        return FigureBeside(name, first, second, nothing, MISSING)
    kind = kind_of(name)
    if kind == "time":
        change = _times(name, one, two)
        return FigureBeside(name, first, second, change, _verdict(change, 1.0))
    if name == one.score and answers is not None:
        change = answers.difference
    elif name == one.score and one.difference is not None and two.difference is not None:
        change = minus(two.difference, one.difference)
    else:
        change = minus(second, first)
    return FigureBeside(name, first, second, change, _verdict(change, 0.0))


def _times(name: str, one: Point, two: Point) -> Estimate:
    """Second / first: of both beside the original, which ran in turn with each, where there is such; else of both."""
    batch = name.rpartition("_")[2]
    batch = batch if batch.isdigit() else "1"
    if name.startswith("latency_ms") and batch in one.ratio and batch in two.ratio:
        return over(two.ratio[batch], one.ratio[batch])
    return over(two.variant[name], one.variant[name])


def minus(one: Estimate, two: Estimate) -> Estimate:
    """The first less the second; the interval holds however both hang together, so it is rather too wide."""
    if one.value is None or two.value is None:
        return Estimate.missing(one.reason or two.reason, one.unit)
    low, high = (one.low or 0.0) - (two.high or 0.0), (one.high or 0.0) - (two.low or 0.0)
    return Estimate(one.value - two.value, low, high, min(one.n, two.n), one.unit)


def over(one: Estimate, two: Estimate) -> Estimate:
    """The first by the second; the interval holds however both hang together. Of positive figures."""
    ends = (one.value, one.low, one.high, two.value, two.low, two.high)
    if any(end is None or end <= 0 for end in ends):
        return Estimate.missing(one.reason or two.reason or "a time is not positive", "ratio")
    value, low, high, other, other_low, other_high = (float(end or 0.0) for end in ends)
    return Estimate(value / other, low / other_high, high / other_low, min(one.n, two.n), "ratio")


def _verdict(change: Estimate, still: float) -> str:
    if change.low is None or change.high is None:
        return MISSING
    return SAME if change.low <= still <= change.high else HIGHER if change.low > still else LOWER


def _summary(figures: tuple[FigureBeside, ...], score: str) -> tuple[Message, ...]:
    """The score first, then what it costs."""
    by_name = {one.name: one for one in figures if one.change.value is not None}
    found = [score_in_words(score, by_name[score].change)] if score in by_name else []
    for name in SUMMED_UP:
        if name not in by_name or (name == "nonzero" and _as_parameters(by_name)):
            continue
        one = by_name[name]
        if kind_of(name) == "time":
            found.append(time_in_words("64" if name.endswith("64") else "1", one.change))
        else:
            found.append(count_in_words(name, float(one.first.value or 0), float(one.second.value or 0)))
    return tuple(found)


def _as_parameters(figures: dict[str, FigureBeside]) -> bool:
    """Whether as large a share of the weights that are not zero went as of all."""
    sides = [figures[name] for name in ("parameters", "nonzero") if name in figures]
    shares = [float(one.second.value or 0) / float(one.first.value) for one in sides if one.first.value]
    return len(shares) == 2 and abs(shares[0] - shares[1]) < 5e-3

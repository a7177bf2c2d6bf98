"""A measured point as it is compared: from a measurement, or from what `measure --json` printed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from engine.errors import InvalidInput, Message, SecateurError, first_line
from engine.measured import Measured
from engine.metrics.precision import BASELINES
from engine.metrics.record import Estimate
from engine.recipe import Recipe
from engine.sweeps import Failed

Figures = Mapping[str, Estimate]
SHAPE = "a point must be an object as `measure --json` prints it, got {why}: measure it again"
MOST_EXAMPLES = 10_000_000  # of a split: so many places are drawn again to know which were evaluated
FAULTS = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)


@dataclass(frozen=True)
class Point:
    """One measured point, as far as comparing needs it.

    protocol         as plain data
    examples, of     how many of the split's examples were evaluated
    ratio            variant / original latency by batch size
    gained, lost     place in the split -> its class by number, where the point and not the original is right, and the
                     other way round; the class is None where the task has none. None where the score counts no right
                     ones
    difference       of the scores, variant − original
    classes          of each class the name, and the share of its examples that is right
    content, ended   as in `Measured`
    source           where it was read
    """

    model: str
    recipe: Recipe
    protocol: Mapping[str, object]
    original: Figures
    variant: Figures
    score: str
    chance: float
    examples: int
    of: int
    ratio: Figures = field(default_factory=dict)
    gained: Mapping[int, int | None] | None = None
    lost: Mapping[int, int | None] | None = None
    difference: Estimate | None = None
    classes: tuple[tuple[str, Estimate], ...] = ()
    content: str = ""
    ended: tuple[int, int] | None = None
    source: str = ""

    @classmethod
    def of_plain(cls, plain: object, source: str = "") -> Point:
        """The point in plain data. Raises InvalidInput with one sentence."""
        try:
            return _read(cast("dict[str, Any]", plain), source)
        except SecateurError:
            raise
        except FAULTS as error:
            why = f"no {error}" if isinstance(error, KeyError) else first_line(error)
            raise InvalidInput(SHAPE, why=why) from error

    @classmethod
    def of_measured(cls, measured: Measured) -> Point:
        """The point that was measured just now."""
        return cls.of_plain(measured.to_dict())

    @property
    def made_elsewhere(self) -> bool:
        """Whether no recipe made the variant."""
        return bool(self.content) and self.ended is None

    @property
    def made_by(self) -> tuple[str, str]:
        """What the variant is: points that agree in it, and in model and protocol, are of one model."""
        return str(self.recipe), self.content

    @property
    def label(self) -> str:
        """What made it, as text."""
        if self.content in BASELINES:
            return f"the original in {self.content}"
        if self.made_elsewhere:
            return f"a variant made elsewhere ({self.content[:12]})"
        return str(self.recipe)


def point_or_failed(plain: object, source: str = "") -> Point | Failed:
    """A point, or one that could not be measured. Raises InvalidInput for anything else."""
    if isinstance(plain, Mapping) and "failed" in plain:
        recipe = plain.get("recipe")
        return Failed(Recipe.of(cast("list[object]", recipe)), Message("{why}", {"why": str(plain["failed"])}))
    return Point.of_plain(plain, source)


def _read(plain: dict[str, Any], source: str) -> Point:
    if not isinstance(plain, Mapping):
        raise TypeError(type(plain).__name__)
    protocol, score, evaluated = dict(plain["protocol"]), _text(plain["score"]), plain["evaluated"]
    original, variant = (_figures(plain[side]) for side in ("original", "variant"))
    if _count(evaluated["examples"]) > _count(evaluated["of"]) or evaluated["of"] > MOST_EXAMPLES:
        raise ValueError(f"{evaluated['examples']} examples of {evaluated['of']}")
    _count(protocol["seed"])
    for side in (original, variant):
        if score not in side:
            raise KeyError(score)
    paired, ended = plain.get("paired"), plain.get("ended")
    gained, lost = (None, None) if paired is None else _turned(paired)
    return Point(
        _text(plain["model"]), Recipe.of(plain["recipe"]), protocol, original, variant, score,
        _finite(plain["chance"]), _count(evaluated["examples"]), _count(evaluated["of"]),
        _figures(plain["latency_ratio"]), gained, lost,
        None if paired is None else _estimate(paired["difference"]),
        tuple((_text(one["name"]), _estimate(one["variant"])) for one in plain.get("classes", ())),
        _text(plain.get("content", "")), None if ended is None else (_count(ended["step"]), _count(ended["steps"])),
        source,
    )  # fmt: skip


def _turned(paired: dict[str, Any]) -> tuple[dict[int, int | None], dict[int, int | None]] | tuple[None, None]:
    """The examples that turned, each with its class: what the side that is right says."""
    found = []
    for name, right in (("gained", 1), ("lost", 0)):
        places = paired["examples"][name]
        if places is None:
            return None, None
        said = paired["said"].get(name) or [None] * len(places)
        classes = [None if pair is None else _count(pair[right]) for pair in said]
        found.append(dict(zip(map(_count, places), classes, strict=True)))
    return found[0], found[1]


def _figures(plain: dict[str, Any]) -> dict[str, Estimate]:
    return {_text(name): _estimate(one) for name, one in plain.items()}


def _estimate(plain: dict[str, Any]) -> Estimate:
    made = Estimate(**plain)
    ends = (made.low, made.value, made.high)
    _text(made.unit), _text(made.reason), _count(made.n)
    if made.value is None:
        return Estimate(None, None, None, made.n, made.unit, made.reason)
    low, value, high = map(_finite, ends)
    if not low <= value <= high:
        raise ValueError(f"a figure of {value} outside its interval {low} to {high}")
    return made


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where a text stands")
    return value


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise TypeError("something else where a count stands")
    return value


def _finite(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError("something else where a finite number stands")
    return float(value)

"""One knob as data: the same data validate a value, word its error, draw its slider and lay out its grid."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Literal, TypeAlias

from engine.errors import InvalidCoefficient, InvalidInput, shown

Kind: TypeAlias = Literal["fraction", "count", "real", "choice", "layers"]
Value: TypeAlias = "float | int | str | tuple[str, ...]"
LONGEST_NAME = 200
NUMERIC: frozenset[str] = frozenset({"fraction", "count", "real"})


@dataclass(frozen=True)
class Coefficient:
    """One knob of a method.

    name     the same word for the same thing in every method
    kind     fraction (0..1), count (a whole number), real, choice (one of `choices`), layers (module paths)
    default  what a recipe that leaves it out gets
    help     one line for a reader
    low, high    the range; `high` itself is allowed unless `below` says that values stay below it
    scale    how a slider and a grid are spaced: "linear" or "log"
    counts   what a fraction is a fraction of ("layers", "nodes"), where a slider should show a count
    """

    name: str
    kind: Kind
    default: Value
    help: str
    low: float = 0.0
    high: float = 1.0
    below: bool = False
    unit: str = ""
    scale: Literal["linear", "log"] = "linear"
    choices: tuple[str, ...] = ()
    counts: str = ""

    @property
    def numeric(self) -> bool:
        """Whether a sweep can vary it."""
        return self.kind in NUMERIC

    @property
    def top(self) -> float:
        """The largest value that a slider or a grid offers: just inside `high` where `high` is not allowed."""
        return self.high - (self.high - self.low) / 20 if self.below else self.high

    def validate(self, value: object, owner: str) -> Value:
        """The value in its canonical type.

        Raises InvalidCoefficient where the value is of the wrong kind, out of range or not finite.
        """
        if self.kind == "choice":
            return self._choice(value, owner)
        if self.kind == "layers":
            return self._layers(value, owner)
        return self._number(value, owner)

    def _choice(self, value: object, owner: str) -> str:
        if not isinstance(value, str) or value not in self.choices:
            self._refuse(owner, "be one of " + ", ".join(self.choices), value)
        return str(value)

    def _layers(self, value: object, owner: str) -> tuple[str, ...]:
        names = value if isinstance(value, list | tuple) else [None]
        if not all(_is_name(name) for name in names):
            self._refuse(owner, "be a list of layer names", value)
        return tuple(sorted({str(name) for name in names}))

    def _number(self, value: object, owner: str) -> float | int:
        if isinstance(value, bool) or not isinstance(value, numbers.Real):  # NumPy's numbers are such, too
            self._refuse(owner, "be a number", value)
        number = _as_float(value)  # type: ignore[arg-type]
        if not math.isfinite(number):
            self._refuse(owner, "be finite", value)
        if self.kind == "count" and number != int(number):
            self._refuse(owner, "be a whole number", value)
        inside = self.low <= number < self.high if self.below else self.low <= number <= self.high
        if not inside:
            self._refuse(owner, self._range(), value)
        return int(number) if self.kind == "count" else number + 0.0  # -0.0 becomes 0.0

    def _range(self) -> str:
        bound = "below" if self.below else "at most"
        return f"be at least {self.low:g} and {bound} {self.high:g}"

    def _refuse(self, owner: str, rule: str, value: object) -> None:
        key = "{owner}: {name} must {rule}, got {got}"
        raise InvalidCoefficient(key, owner=owner, name=self.name, rule=rule, got=shown(value))

    def grid(
        self, points: int, low: float | None = None, high: float | None = None, owner: str = "sweep"
    ) -> list[Value]:
        """Exactly `points` different values from low to high, both ends included, in ascending order.

        Raises InvalidInput where the range holds fewer values, is empty, or the coefficient is not a number.
        """
        if not self.numeric:
            raise InvalidInput(
                "{owner}: {name} must be a number to be varied, got a {kind}",
                owner=owner,
                name=self.name,
                kind=self.kind,
            )
        start = float(self.validate(self.low if low is None else low, owner))  # type: ignore[arg-type]
        stop = float(self.validate(self.top if high is None else high, owner))  # type: ignore[arg-type]
        if start > stop or (start == stop and points > 1):
            raise InvalidInput(
                "{owner}: the start of a range must lie below its end, got {start:g} to {stop:g}",
                owner=owner,
                start=start,
                stop=stop,
            )
        inner = {self._spaced(start, stop, i / (points - 1)) for i in range(1, points - 1)}
        ends = [start, stop][:points] if self.kind != "count" else [int(start), int(stop)][:points]
        distinct = sorted(inner.union(ends))
        if len(distinct) < points:
            raise InvalidInput(
                "{owner}: points must be at most {most}, all values of {name} from {start:g} to {stop:g}; got {points}",
                owner=owner, most=int(stop - start) + 1, name=self.name, start=start, stop=stop, points=points,
            )  # fmt: skip
        return list(distinct)

    def between(self, start: float, stop: float) -> float | int:
        """The value half-way from one to another, on an axis of powers of ten where it has one."""
        return self._spaced(start, stop, 0.5)

    def _spaced(self, start: float, stop: float, share: float) -> float | int:
        if self.scale == "log" and start > 0:
            value = start * float((stop / start) ** share)
        else:
            value = start + (stop - start) * share
        if self.kind == "count":
            return round(value)
        return min(max(float(f"{value:.6g}"), start), stop)

    def just_outside(self) -> list[object]:
        """Values that `validate` must refuse: for tests, and for nobody else to write by hand."""
        if self.kind == "choice":
            return ["no such choice", 1, None]
        if self.kind == "layers":
            return ["one name", [1], None]
        step = 1 if self.kind == "count" else (self.high - self.low) * 1e-6
        above = self.high if self.below else self.high + step
        wrong: list[object] = [self.low - step, above, math.nan, math.inf, -math.inf, "much", None, True, [0.1]]
        return [*wrong, self.low + 0.5] if self.kind == "count" else wrong

    def to_dict(self) -> dict[str, object]:
        """As plain data, for `secateur methods --json`."""
        numbers: dict[str, object] = (
            {"low": self.low, "high": self.high} if self.numeric else {"low": None, "high": None}
        )
        if self.kind == "count":
            numbers = {"low": int(self.low), "high": int(self.high)}
        default = list(self.default) if isinstance(self.default, tuple) else self.default
        rest = {"unit": self.unit, "default": default, "below": self.below, "scale": self.scale}
        return {
            "name": self.name,
            "kind": self.kind,
            **numbers,
            **rest,
            "choices": list(self.choices),
            "help": self.help,
        }


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number of a thousand digits
        return math.inf


def fraction(name: str, default: float, help: str, **options: object) -> Coefficient:
    """A share from 0 to 1."""
    return Coefficient(name, "fraction", default, help, **options)  # type: ignore[arg-type]


def count(name: str, default: int, help: str, low: int, high: int, **options: object) -> Coefficient:
    """A whole number from low to high."""
    return Coefficient(name, "count", default, help, low, high, **options)  # type: ignore[arg-type]


def _is_name(value: object) -> bool:
    """A short text that can be written down: half a surrogate pair, as JSON lets pass, cannot."""
    if not isinstance(value, str) or len(value) > LONGEST_NAME:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in value)

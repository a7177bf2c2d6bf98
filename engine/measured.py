"""One measured point as a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from engine.metrics.compute import DEFINITION
from engine.metrics.record import Estimate, Measurement, Protocol
from engine.recipe import Recipe


@dataclass(frozen=True)
class Measured:
    """One point: a recipe, how it was measured, the original's figures and the variant's.

    ratio      variant / original latency by batch size
    score      which figure is the task's score: "accuracy" or what the task calls it
    chance     what the best constant guess scores
    content    a hash of the variant where it was made elsewhere, by no recipe, or its training was ended
    ended      after which step of how many somebody ended the first training that was: then the figures are those
               of that model, and not the recipe's
    of         how many examples the split has; the protocol says how many were evaluated
    speeds     by batch size: verdict, ratio with its 99 % interval, throughput, how it was timed
    uncounted  of each side, the operators that are not in its multiply-adds, and how often they ran
    elsewhere  the same pair timed on other machines, by a kit
    pair       original against variant, example by example: `paired`, `classes`, `calibration_error`
    """

    recipe: Recipe
    model: str
    protocol: Protocol
    original: Measurement
    variant: Measurement
    ratio: dict[int, Estimate] = field(default_factory=dict)
    chance: float = 0.0
    content: str = ""
    score: str = "accuracy"
    pair: Mapping[str, object] = field(default_factory=dict)
    uncounted: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    elsewhere: Sequence[Mapping[str, object]] = ()
    speeds: Mapping[int, Mapping[str, object]] = field(default_factory=dict)
    ended: tuple[int, int] | None = None
    of: int = 0

    def to_dict(self) -> dict[str, object]:
        """As plain data: `measure --json` prints it."""
        return {
            "model": self.model,
            "recipe": self.recipe.to_list(),
            "protocol": self.protocol.to_dict(),
            "original": self.original.to_dict(),
            "variant": self.variant.to_dict(),
            "latency_ratio": {str(batch): estimate.to_dict() for batch, estimate in self.ratio.items()},
            "evaluated": {"examples": self.protocol.examples, "of": self.of},
            "score": self.score,
            "chance": self.chance,
            "compute": {"definition": str(DEFINITION), "uncounted": {k: dict(v) for k, v in self.uncounted.items()}},
            **self.pair,
            **self._speed(),
            "elsewhere": [dict(found) for found in self.elsewhere],
            **({"content": self.content} if self.content else {}),
            **({"ended": {"step": self.ended[0], "steps": self.ended[1]}} if self.ended else {}),
        }

    def _speed(self) -> dict[str, object]:
        """The verdict of the smallest batch size, and all of them."""
        if not self.speeds:
            return {}
        first = self.speeds[min(self.speeds)]
        evidence = cast("dict[str, dict[str, dict[str, float]]]", first["verdict"])["evidence"]
        return {
            "verdict": first["verdict"],
            "noise_floor": evidence["machine"]["noise_floor"],
            "speed": {str(batch): dict(found) for batch, found in self.speeds.items()},
        }


@dataclass(frozen=True)
class Variant:
    """Stands where a recipe does for a model that was made elsewhere."""

    content: str

    def __str__(self) -> str:
        return f"content:{self.content}"

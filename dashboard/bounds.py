"""Bounds that a point must keep, for a pipeline that goes on or stops."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from engine import InvalidInput, Measured

BROKEN_BOUND = 1  # the exit status


@dataclass(frozen=True)
class Bounds:
    """What must hold; None where nothing is asked.

    min_accuracy      of the task's score
    max_latency_ms    median at a batch of 1
    max_parameters    a count
    """

    min_accuracy: float | None = None
    max_latency_ms: float | None = None
    max_parameters: float | None = None

    def __post_init__(self) -> None:
        told = {name: value for name, value in asdict(self).items() if value is not None}
        if not told:
            key = "check must be given a bound, got none: --min-accuracy, --max-latency-ms or --max-parameters"
            raise InvalidInput(key)
        for name, value in told.items():
            if not math.isfinite(value):
                raise InvalidInput("--{name} must be a number, got {got}", name=name.replace("_", "-"), got=value)


@dataclass(frozen=True)
class Check:
    """One bound, the figure it is for, and whether it holds."""

    bound: str
    limit: float
    figure: str
    value: float | None
    holds: bool

    def to_dict(self) -> dict[str, object]:
        """As plain data."""
        return asdict(self)

    def __str__(self) -> str:
        got = "not measured" if self.value is None else f"{self.value:,.6g}"
        return f"{'holds' if self.holds else 'FAILS'}  {self.bound} {self.limit:,.6g}: {self.figure} is {got}"


def checked(measured: Measured, bounds: Bounds) -> list[Check]:
    """Every bound that was asked for; a figure that could not be measured breaks its bound."""
    figures = {"min_accuracy": measured.score, "max_latency_ms": "latency_ms", "max_parameters": "parameters"}
    found = []
    for name, limit in asdict(bounds).items():
        if limit is None:
            continue
        value = measured.variant[figures[name]].value
        least = name.startswith("min")
        holds = value is not None and (value >= limit if least else value <= limit)
        found.append(Check(f"--{name.replace('_', '-')}", limit, figures[name], value, holds))
    return found

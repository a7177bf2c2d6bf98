"""One way of doing a method, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from engine.coefficient import Value

Quantity: TypeAlias = Literal["parameters", "nonzero"]


@dataclass(frozen=True)
class Effect:
    """What a form may do to a model; a test holds every form to it.

    changes       of "values" (numbers in tensors), "shapes" (widths), "modules" (layers replaced or skipped)
    makes_zeros   more weights may be exactly zero afterwards
    keeps_zeros   a weight that is zero stays zero (where its layer stays)
    monotone      coefficient -> (quantity, -1 or +1): which way the quantity can only go as the coefficient grows
    """

    changes: frozenset[str]
    makes_zeros: bool = False
    keeps_zeros: bool = True
    monotone: Mapping[str, tuple[Quantity, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Form:
    """One way of doing a method.

    coefficients  the names of those that it uses; another one is an error
    neutral       values that leave the model untouched, or none
    needs         of "data", "original", "training"
    baseline      the form of the same method that removes as much and chooses at random, where this one chooses
    """

    name: str
    coefficients: tuple[str, ...]
    effect: Effect
    latex: str
    summary: str
    source: str
    neutral: Mapping[str, Value] | None = None
    needs: frozenset[str] = frozenset()
    baseline: str = ""

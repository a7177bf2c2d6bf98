"""The order of steps matters: every order of a recipe's active steps, measured and ranked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations

from engine.errors import InvalidInput
from engine.measured import Measured
from engine.measurement import Measurer
from engine.metrics.record import Protocol
from engine.recipe import Recipe, RecipeLike
from engine.sweeps import Failed, point

MOST_ACTIVE = 4


def orders(recipe: RecipeLike) -> list[Recipe]:
    """Every order of the steps that do something, each once, the recipe's own first; the others are left out.

    Raises InvalidInput where there are more than four.
    """
    active = [step for step in Recipe.of(recipe) if not step.neutral]
    if len(active) > MOST_ACTIVE:
        key = "orders must be asked of at most {most} active steps, got {n}: leave steps out"
        raise InvalidInput(key, most=MOST_ACTIVE, n=len(active))
    found = [Recipe(order) for order in permutations(active)]
    return list({str(one): one for one in found}.values())


def measured_orders(
    measurer: Measurer, recipe: RecipeLike, along: Protocol | None = None
) -> Iterator[Measured | Failed]:
    """Each order as a point, in turn; one that cannot be measured comes as Failed.

    along    as in `Measurer.measure`

    Raises InvalidInput at once for too many steps, Cancelled later.
    """
    return (point(measurer, one, along) for one in orders(recipe))


def ranked(points: Sequence[Measured | Failed]) -> list[Measured | Failed]:
    """The best score first, of equal ones the fewest parameters; then what has no score, and what failed."""
    return sorted(points, key=_rank)


def _rank(one: Measured | Failed) -> tuple[int, float, float, str]:
    if isinstance(one, Failed):
        return (2, 0.0, 0.0, str(one.recipe))
    score, parameters = one.variant[one.score].value, one.variant["parameters"].value or 0.0
    return (1, 0.0, parameters, str(one.recipe)) if score is None else (0, -score, parameters, str(one.recipe))

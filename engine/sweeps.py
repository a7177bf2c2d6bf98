"""A recipe with one coefficient let loose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Unpack

import torch

from engine.errors import Cancelled, InvalidInput, Message, SecateurError, first_line
from engine.measured import Measured
from engine.measurement import Measurer, Options
from engine.recipe import Recipe, RecipeLike
from engine.workload import Workload

DEFAULT_POINTS = 11
MOST_POINTS = 1000


@dataclass(frozen=True)
class Failed:
    """A point that could not be measured, and why."""

    recipe: Recipe
    error: Message

    def to_dict(self) -> dict[str, object]:
        """As plain data."""
        return {"recipe": self.recipe.to_list(), "failed": str(self.error)}


@dataclass(frozen=True)
class Sweep:
    """Which coefficient of which step takes which values.

    vary         (step, coefficient), steps counted from 0
    grid         the values; or else
    points       how many, from low to high; default 11
    """

    recipe: Recipe
    vary: tuple[int, str]
    grid: tuple[object, ...] | None = None
    points: int | None = None
    low: float | None = None
    high: float | None = None

    def recipes(self) -> list[Recipe]:
        """The recipes of all points, each once, coarse first.

        Raises InvalidInput where the step or coefficient is not there, is not a number, or the grid is not allowed.
        """
        index, name = self._place()
        step = self.recipe.step(index)
        coefficient = step.coefficient(name)
        owner = f"{step.name} (step {index})"
        if self.grid is None:
            points = DEFAULT_POINTS if self.points is None else self.points
            if isinstance(points, bool) or not isinstance(points, int) or not 1 <= points <= MOST_POINTS:
                raise InvalidInput(
                    "points must be a whole number from 1 to {most}, got {got}", most=MOST_POINTS, got=points
                )
            if self.points is None and coefficient.kind == "count":
                ends = (
                    coefficient.low if self.low is None else self.low,
                    coefficient.top if self.high is None else self.high,
                )
                low, high = (coefficient.validate(end, owner) for end in ends)
                points = min(points, _room(float(str(low)), float(str(high))))
            values: Sequence[object] = coefficient.grid(points, self.low, self.high, owner)
        else:
            values = self._given(len(self.grid))
            if not coefficient.numeric:
                raise InvalidInput(
                    "{owner}: {name} must be a number to be varied, got a {kind}",
                    owner=owner,
                    name=name,
                    kind=coefficient.kind,
                )
        made = [self.recipe.vary(index, name, value) for value in values]
        return [made[i] for i in coarse_first(len(made))] if self.grid is None else _each_once(made)

    def _place(self) -> tuple[int, str]:
        try:
            index, name = self.vary
        except (TypeError, ValueError):
            raise InvalidInput("vary must be (step, coefficient), got {got}", got=self.vary) from None
        return index, name

    def _given(self, n: int) -> Sequence[object]:
        if not 1 <= n <= MOST_POINTS:
            raise InvalidInput("a grid must hold 1 to {most} values, got {n}", most=MOST_POINTS, n=n)
        return self.grid or ()


def _room(low: float, high: float) -> int:
    return max(1, int(high) - int(low) + 1)


def _each_once(recipes: list[Recipe]) -> list[Recipe]:
    ordered = list({str(recipe): recipe for recipe in recipes}.values())
    return [ordered[i] for i in coarse_first(len(ordered))]


def coarse_first(n: int) -> list[int]:
    """The numbers 0 to n - 1: both ends, then the middles of what is left, ever finer."""
    order, seen = [], set()
    gap = max(1, n - 1)
    while True:
        for place in [*range(0, n, gap), n - 1]:
            if 0 <= place < n and place not in seen:
                seen.add(place)
                order.append(place)
        if gap == 1:
            return order
        gap = (gap + 1) // 2 if gap > 2 else 1


def sweep(
    workload: Workload,
    recipe: RecipeLike,
    vary: tuple[int, str],
    grid: Sequence[object] | None = None,
    points: int | None = None,
    **options: Unpack[Options],
) -> Iterator[Measured | Failed]:
    """Measure a recipe at each value of one coefficient; each point comes once, after it has been committed.

    vary       (step, coefficient), steps counted from 0
    grid       the values, exactly these; or
    points     how many, over the coefficient's range, both ends included; default 11
    options    device, protocol, store, fresh, channel: see Options

    A point that cannot be measured comes as Failed. Raises InvalidInput at once for a bad grid, Cancelled later.
    """
    plan = Sweep(Recipe.of(recipe), vary, None if grid is None else tuple(grid), points)
    return run_sweep(plan, Measurer(workload, **options))


def run_sweep(plan: Sweep, measurer: Measurer) -> Iterator[Measured | Failed]:
    """The points of a planned sweep, one by one. Raises InvalidInput at once for a bad plan."""
    recipes = plan.recipes()
    return (point(measurer, recipe) for recipe in recipes)


def point(measurer: Measurer, recipe: Recipe) -> Measured | Failed:
    """One point, with its failure as a value; only a cancellation is raised."""
    try:
        return measurer.measure(recipe)
    except Cancelled:
        raise
    except SecateurError as error:
        return Failed(recipe, error.message)
    except torch.OutOfMemoryError as error:
        return Failed(
            recipe, Message("the device must have room for the model, got: {why}", {"why": first_line(error)})
        )

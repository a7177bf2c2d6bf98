"""A recipe with one coefficient let loose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Unpack, cast

import torch

from engine.errors import Cancelled, InvalidInput, Message, SecateurError, first_line
from engine.gathering import Options
from engine.measured import Measured
from engine.measurement import Measurer
from engine.metrics.record import Protocol
from engine.recipe import Recipe, RecipeLike
from engine.refining import Refining
from engine.workload import Workload

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
    points       how many, from low to high; where neither is given, as many as the curve needs
    """

    recipe: Recipe
    vary: tuple[int, str]
    grid: tuple[object, ...] | None = None
    points: int | None = None
    low: float | None = None
    high: float | None = None

    @property
    def adaptive(self) -> bool:
        """Whether the curve itself says where its points are."""
        return self.grid is None and self.points is None

    def refining(self) -> Refining:
        """What chooses the values of an adaptive sweep. Raises InvalidInput as `recipes` does."""
        index, name = self._place()
        step = self.recipe.step(index)
        coefficient, owner = step.coefficient(name), f"{step.name} (step {index})"
        if not coefficient.numeric:
            coefficient.grid(1, owner=owner)  # which says so
        ends = (coefficient.low if self.low is None else self.low, coefficient.top if self.high is None else self.high)
        low, high = (coefficient.validate(end, owner) for end in ends)
        return Refining(coefficient, low, high, owner)

    def recipes(self) -> list[Recipe]:
        """The recipes of all points, each once, coarse first; of an adaptive sweep the first ones.

        Raises InvalidInput where the step or coefficient is not there, is not a number, or the grid is not allowed.
        """
        index, name = self._place()
        step = self.recipe.step(index)
        coefficient = step.coefficient(name)
        owner = f"{step.name} (step {index})"
        if self.adaptive:
            return [self.recipe.vary(index, name, value) for value in self.refining().first]
        if self.grid is None:
            points = self.points
            if isinstance(points, bool) or not isinstance(points, int) or not 1 <= points <= MOST_POINTS:
                raise InvalidInput(
                    "points must be a whole number from 1 to {most}, got {got}", most=MOST_POINTS, got=points
                )
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
    full: bool = False,
    **options: Unpack[Options],
) -> Iterator[Measured | Failed]:
    """Measure a recipe at values of one coefficient; each point comes once, after it has been committed.

    vary       (step, coefficient), steps counted from 0
    grid       the values, exactly these; or
    points     how many, over the coefficient's range, both ends included; where neither is given, the curve says where
               it needs them: the ends and the middle, then where it bends, 25 at most
    full       every example of every point; else the evaluation of a point ends where its difference from the
               original is known to ± 1 point with 95 %, and says how many examples it took. Either way few rounds are
               timed, and why a point is faster is told by `measure`
    options    device, protocol, store, fresh, channel: see Options

    A point that cannot be measured comes as Failed. Raises InvalidInput at once for a bad grid, Cancelled later.
    """
    plan = Sweep(Recipe.of(recipe), vary, None if grid is None else tuple(grid), points)
    return run_sweep(plan, Measurer(workload, **options), full)


def run_sweep(plan: Sweep, measurer: Measurer, full: bool = False) -> Iterator[Measured | Failed]:
    """The points of a planned sweep, one by one. Raises InvalidInput at once for a bad plan."""
    recipes, along = plan.recipes(), measurer.protocol.along_curve(full)
    if plan.adaptive:
        return _refined(plan, plan.refining(), measurer, along)
    return (point(measurer, recipe, along) for recipe in recipes)


def _refined(plan: Sweep, refining: Refining, measurer: Measurer, along: Protocol) -> Iterator[Measured | Failed]:
    """The points of an adaptive sweep, each chosen by those before it."""
    while (value := refining.next()) is not None:
        found = point(measurer, plan.recipe.vary(*plan.vary, value), along)
        if isinstance(found, Failed):
            refining.heard(value, None)
        else:
            apart = cast("dict[str, dict[str, float | None]]", found.pair["paired"])["difference"]
            half = 0.0 if apart["high"] is None or apart["low"] is None else (apart["high"] - apart["low"]) / 2
            refining.heard(value, found.variant[found.score].value, half)
        yield found


def point(measurer: Measurer, recipe: Recipe, along: Protocol | None = None) -> Measured | Failed:
    """One point, with its failure as a value; only a cancellation is raised."""
    try:
        return measurer.measure(recipe, along)
    except Cancelled:
        raise
    except SecateurError as error:
        return Failed(recipe, error.message)
    except torch.OutOfMemoryError as error:
        return Failed(
            recipe, Message("the device must have room for the model, got: {why}", {"why": first_line(error)})
        )

"""The curve of the coefficient that was touched last: its points, what stands beside them, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard import cache, forms
from dashboard.view import View
from engine import Recipe, Sweep

REPAIR = "repair"  # the step that a curve is drawn with and without


@dataclass(frozen=True)
class Curve:
    """The points of the curve, coarse ones first.

    mark         names the curve, whatever value the varied coefficient has just now
    trainings    how many of its points train
    things       how many layers or nodes the coefficient is a share of
    """

    name: str
    values: list[float]
    recipes: list[Recipe]
    mark: str
    trainings: int
    things: int | None = None


def at_random(view: View, curve: Curve | None) -> list[Recipe]:
    """The recipes of a curve with its varied step choosing at random; none where it does not choose, or trains."""
    if curve is None or curve.trainings or view.active_vary is None:
        return []
    index = view.active_vary[0]
    by_lot = [(recipe, recipe.step(index).at_random()) for recipe in curve.recipes]
    return [
        Recipe((*recipe.steps[:index], step, *recipe.steps[index + 1 :])) for recipe, step in by_lot if step is not None
    ]


def without_repair(view: View, curve: Curve | None) -> list[Recipe]:
    """The recipes of a curve with no step that repairs; none where there is no other, or the curve trains."""
    names = [step.name for step in view.active]
    if curve is None or curve.trainings or view.active_vary is None or REPAIR not in names:
        return []
    if names[view.active_vary[0]] == REPAIR:  # it is what varies
        return []
    return [Recipe(tuple(step for step in recipe if step.name != REPAIR)) for recipe in curve.recipes]


def curve_of(view: View) -> Curve | None:
    """The curve of the coefficient that was touched last, among the active steps."""
    if view.active_vary is None:
        return None
    index, name = view.active_vary
    step = view.active.step(index)
    coefficient = step.coefficient(name)
    count = cache.things(view.model, view.active, index)[0] if coefficient.counts else None
    value = step.number(name)
    grid = forms.grid(coefficient, value, count)
    recipes = Sweep(view.active, (index, name), tuple(sorted(grid))).recipes()
    values = [recipe.step(index).number(name) for recipe in recipes]
    mark = f"{view.model} {view.active.vary(index, name, min(values))} {index}.{name}"
    return Curve(name, values, recipes, mark, _trainings(recipes, index), count)


def _trainings(recipes: list[Recipe], index: int) -> int:
    """How many points of a curve train for themselves: none where only steps after the last training vary."""
    last = max((i for r in recipes for i, s in enumerate(r) if "training" in s.how.needs), default=-1)
    return sum(r.trains for r in recipes) if index <= last else 0


def curve_seconds(curve: Curve, view: View, training_s: float, point_s: float) -> float:
    """About how long a curve takes: its trainings, scaled by their steps, and measuring each point."""
    now = _steps(view.active)
    trained = sum(_steps(r) for r in curve.recipes) / now if now and curve.trainings else 0
    return trained * training_s + len(curve.recipes) * point_s


def _steps(recipe: Recipe) -> int:
    return sum(s.whole("steps") for s in recipe if "training" in s.how.needs)

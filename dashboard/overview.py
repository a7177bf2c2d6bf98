"""One model under all methods at once: what is seen before any step is chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import itemgetter
from typing import TypeAlias

from dashboard import cache, state
from dashboard.charts import FRAME, LABELS, CurvePoint, curve_point, errors, method_colour
from dashboard.curve import REPAIR, curve_of
from dashboard.live_chart import MUTED
from dashboard.picture import Picture
from dashboard.view import View, first_vary
from dashboard.words import t, title
from engine import Job, Protocol, Recipe, available_methods

POINTS = 5  # of each method's curve
FEW_STEPS = 20  # of a training here: what many steps bring is seen in the method's own curve
Place: TypeAlias = tuple[float, Recipe]  # of a curve: the coefficient's value, and the recipe there
TRAINED_BY = "learning_rate"  # what varies there


@dataclass(frozen=True)
class Along:
    """One method's points, in its default form.

    values    of the coefficient, one a job
    trains    whether it takes gradient steps, which are asked for first
    """

    method: str
    name: str
    values: tuple[float, ...]
    jobs: tuple[Job, ...]
    trains: bool

    def recipe_at(self, value: float) -> str:
        """The recipe of one of its points, as text."""
        return self.jobs[self.values.index(value)].recipe


def mark_of(view: View) -> str:
    """What a click on the button for the trainings pays for."""
    return f"overview {view.model}"


@lru_cache(maxsize=50)
def overview_of(view: View, protocol: Protocol, _: str) -> tuple[Along, ...]:
    """Every method in its default form over its first number; none where the view has steps."""
    if len(view.recipe):
        return ()
    workload = cache.workload(view.model)
    found = []
    for name, kind in available_methods().items():
        recipe = Recipe((kind(),))
        if name == REPAIR or (vary := first_vary(recipe)) is None:
            continue
        if recipe.trains:
            recipe, vary = recipe.vary(0, "steps", FEW_STEPS), (0, TRAINED_BY)
        curve = curve_of(replace(view, recipe=recipe, vary=vary, off=frozenset()))
        if curve is None:
            continue
        chosen = dict(_spread(sorted(zip(curve.values, curve.recipes, strict=True), key=itemgetter(0))))
        jobs = tuple(Job.of("anytime", workload, one, protocol) for one in chosen.values())
        found.append(Along(name, curve.name, tuple(chosen), jobs, recipe.trains))
    return tuple(found)


def _spread(places: Sequence[Place]) -> list[Place]:
    """A few of them, the ends and what lies evenly between."""
    if len(places) <= POINTS:
        return list(places)
    return [places[round(i * (len(places) - 1) / (POINTS - 1))] for i in range(POINTS)]


def wanted(view: View, along: Sequence[Along]) -> list[Job]:
    """What of it is to be measured now: the coarse ends of every method first, trainings where they were asked for."""
    paid = state.marked("paid", mark_of(view))
    free = [one.jobs for one in along if paid or not one.trains]
    order = (POINTS - 1, POINTS // 2, *range(POINTS))
    return list(dict.fromkeys(jobs[i] for i in order for jobs in free if i < len(jobs)))


def points_of(along: Along, results: Mapping[str, dict[str, object]], axis: str) -> list[CurvePoint]:
    """The measured points of one method, by rising place on the axis."""
    pairs = [(value, results.get(job.key)) for value, job in zip(along.values, along.jobs, strict=True)]
    found = [curve_point(result, value, axis) for value, result in pairs if result is not None]
    return sorted((point for point in found if point is not None), key=lambda point: (point.x, point.value))


def axis_of(view: View) -> str:
    """The horizontal axis: methods have no coefficient in common."""
    return "parameters" if view.x == "coefficient" else view.x


def overview_chart(
    along: Sequence[Along], results: Mapping[str, dict[str, object]], view: View, original: CurvePoint | None
) -> Picture:
    """All methods on one chart, one colour each; a click on a point opens its recipe."""
    figure, task, axis = Picture(), cache.workload(view.model).task, axis_of(view)
    for one in along:
        points, colour = points_of(one, results, axis), method_colour(one.method)
        if not points:
            continue
        name = t(available_methods()[one.method].title)
        figure.add_scatter(
            x=[p.x for p in points], y=[p.y for p in points], mode="lines+markers", name=name,
            customdata=[one.recipe_at(p.value) for p in points],
            hovertext=[f"<b>{name}</b>, {title(one.name)} {p.value:.4g}<br>{p.hover}" for p in points],
            hovertemplate="%{hovertext}<extra></extra>", line={"color": colour, "width": 2},
            marker={"size": 7, "color": colour},
            error_y=errors(points, colour),
        )  # fmt: skip
    if original is not None:
        figure.add_scatter(
            x=[original.x], y=[original.y], mode="markers", name=t("original"), hovertext=[original.hover],
            hovertemplate=f"<b>{t('original')}</b><br>%{{hovertext}}<extra></extra>",
            marker={"size": 13, "color": MUTED, "symbol": "diamond"},
        )  # fmt: skip
    chance = cache.workload(view.model).chance
    figure.add_hline(y=chance, line={"color": MUTED, "width": 1, "dash": "dot"})
    vertical: dict[str, object] = {"title": {"text": t(task.scores)}}
    if task.unit == "fraction":
        vertical |= {"tickformat": ".0%", "range": [0, 1.03]}
    across = {"title": {"text": t(LABELS[axis])}, "rangemode": "tozero"}
    figure.update_layout({**FRAME, "xaxis": across, "yaxis": vertical, "uirevision": f"overview {axis}"})
    return figure

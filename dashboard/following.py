"""What a drag of the slider is drawn from, in the browser: the measured curve, in the slider's own numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, cast

from dashboard import cache, forms, state
from dashboard.charts import curve_point, figures_of
from dashboard.measuring import Wishes
from dashboard.view import View
from engine import Job, Runner


class Axis(NamedTuple):
    """The chart's horizontal axis, and how many things the coefficient counts there."""

    name: str
    things: int | None


@dataclass(frozen=True)
class Stop:
    """One measured point, as plain data for the browser, numbers as short as a screen shows them.

    at       where the slider stands for it
    place    x, y on the tradeoff chart, and the six figures by name
    bins     edges, after: the histogram of the weights under the microscope; empty where it is not known
    """

    at: float
    place: Mapping[str, object]
    bins: Mapping[str, object]


@dataclass(frozen=True)
class Follow:
    """The curve that a slider runs along.

    slider     the key of the widget
    at         where it stands for the recipe that is shown
    measured   whether that one is
    stops      by rising position
    """

    slider: str
    at: float
    measured: bool
    stops: tuple[Stop, ...]

    def to_dict(self) -> dict[str, object]:
        """As plain data for the browser."""
        stops = [{"at": stop.at, **stop.place, **stop.bins} for stop in self.stops]
        return {"slider": self.slider, "at": self.at, "measured": self.measured, "stops": stops}


def follow_of(view: View, wishes: Wishes) -> Follow | None:
    """What the varied slider's drag is drawn from; None where it has no slider, or nothing is measured."""
    curve, vary, queue = wishes.curve, view.vary, cache.runner()
    if curve is None or vary is None or view.active_vary is None:
        return None
    step = view.recipe.step(vary[0])
    coefficient, now = step.coefficient(curve.name), step.number(curve.name)
    weights = dict(zip(curve.values, wishes.histograms, strict=False)) | {now: wishes.weights}
    chart = Axis(view.x, curve.things if view.x == "coefficient" else None)
    stops = {}
    for value, job in sorted(_measured(wishes, now).items()):
        at, place = forms.position(coefficient, value, now, curve.things), _place(queue, job, chart, value)
        if at is not None and place is not None:
            stops[at] = Stop(at, place, _bins(queue, weights.get(value)))
    here = forms.position(coefficient, now, now, curve.things)
    if here is None or not stops:
        return None
    slider = forms.slider_key(state.uid(vary[0]), step, curve.name)
    measured = queue.outcome(wishes.here).status == "done"
    return Follow(slider, here, measured, tuple(sorted(stops.values(), key=lambda stop: stop.at)))


def _measured(wishes: Wishes, now: float) -> dict[float, Job]:
    """All that is known along the slider: the curve's points, and in their place whatever was measured as a whole."""
    values = wishes.curve.values if wishes.curve else []
    jobs = [*zip(values, wishes.points, strict=True), *wishes.stops, (now, wishes.here)]
    return {value: job for value, job in jobs if cache.runner().outcome(job).status == "done"}


def _place(queue: Runner, job: Job, axis: Axis, value: float) -> Mapping[str, object] | None:
    """Where a measured point stands on the chart, and its figures; None where it has no place there."""
    if "ended" in queue.outcome(job).result:  # another model's: it may train on
        return _placed.__wrapped__(queue, job, axis, value)
    return _placed(queue, job, axis, value)


@lru_cache(maxsize=5000)  # a move of the slider looks at all of them again
def _placed(queue: Runner, job: Job, axis: Axis, value: float) -> Mapping[str, object] | None:
    result = queue.outcome(job).result
    point = curve_point(result, value, axis.name, axis.things)
    if point is None:
        return None
    figures = figures_of(result, "variant").items()
    known = {name: _short(figure.value) for name, figure in figures if figure.value is not None}
    return {"x": _short(point.x), "y": _short(point.y), "figures": known}


def _bins(queue: Runner, job: Job | None) -> Mapping[str, object]:
    """The histogram of the weights; empty where it is not known."""
    done = job is not None and queue.outcome(job).status == "done"
    return _counted(queue, job) if job is not None and done else {"edges": [], "after": []}


@lru_cache(maxsize=1000)
def _counted(queue: Runner, job: Job) -> Mapping[str, object]:
    seen = queue.outcome(job).result
    edges = cast("Sequence[float]", seen.get("edges", ()))
    return {"edges": [_short(edge) for edge in edges], "after": seen.get("after", ())}


def _short(value: float) -> float:
    return float(f"{value:.5g}") if abs(value) < 1e5 else round(value)

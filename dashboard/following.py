"""What a drag of the slider is drawn from, in the browser: the measured curve, in the slider's own numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dashboard import cache, forms, state
from dashboard.charts import CurvePoint, figures_of
from dashboard.measuring import Wishes
from dashboard.view import View
from engine import Job, Outcome

Place = Callable[[dict[str, object], float], CurvePoint | None]


@dataclass(frozen=True)
class Stop:
    """One measured point.

    at           where the slider stands for it
    x, y         its place on the tradeoff chart
    figures      the six, by name
    edges, after the histogram of the weights under the microscope; empty where it is not known
    """

    at: float
    x: float
    y: float
    figures: Mapping[str, float]
    edges: Sequence[float] = ()
    after: Sequence[int] = ()


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
        """As plain data for the browser, numbers as short as a screen shows them."""
        stops = [
            {
                "at": stop.at, "x": _short(stop.x), "y": _short(stop.y),
                "figures": {name: _short(value) for name, value in stop.figures.items()},
                "edges": [_short(edge) for edge in stop.edges], "after": list(stop.after),
            }
            for stop in self.stops
        ]  # fmt: skip
        return {"slider": self.slider, "at": self.at, "measured": self.measured, "stops": stops}


def follow_of(view: View, wishes: Wishes, outcomes: Mapping[str, Outcome], place: Place) -> Follow | None:
    """What the varied slider's drag is drawn from; None where it has no slider, or nothing is measured.

    place    a result and the coefficient's value -> its place on the tradeoff chart
    """
    curve, vary = wishes.curve, view.vary
    if curve is None or vary is None or view.active_vary is None:
        return None
    step = view.recipe.step(vary[0])
    coefficient, now = step.coefficient(curve.name), step.number(curve.name)
    weights = dict(zip(curve.values, wishes.histograms, strict=False)) | {now: wishes.weights}
    stops = {}
    for value, outcome in sorted(_measured(wishes, now, outcomes).items()):
        at, point = forms.position(coefficient, value, now, curve.things), place(outcome.result, value)
        if at is not None and point is not None:
            stops[at] = _stop(at, point, outcome, weights.get(value))
    here = forms.position(coefficient, now, now, curve.things)
    if here is None or not stops:
        return None
    slider = forms.slider_key(state.uid(vary[0]), step, curve.name)
    measured = outcomes[wishes.here.key].status == "done"
    return Follow(slider, here, measured, tuple(sorted(stops.values(), key=lambda stop: stop.at)))


def _measured(wishes: Wishes, now: float, outcomes: Mapping[str, Outcome]) -> dict[float, Outcome]:
    """All that is known along the slider: the curve's points, and in their place whatever was measured as a whole."""
    curve, queue = wishes.curve, cache.runner()
    values = curve.values if curve else []
    along = {value: outcomes[job.key] for value, job in zip(values, wishes.points, strict=True)}
    whole = {value: queue.outcome(job) for value, job in wishes.stops} | {now: outcomes[wishes.here.key]}
    known = [(value, outcome) for found in (along, whole) for value, outcome in found.items()]
    return {value: outcome for value, outcome in known if outcome.status == "done"}


def _stop(at: float, point: CurvePoint, outcome: Outcome, weights: Job | None) -> Stop:
    known = {name: e.value for name, e in figures_of(outcome.result, "variant").items() if e.value is not None}
    seen = cache.runner().outcome(weights).result if weights is not None else {}
    return Stop(at, point.x, point.y, known, seen.get("edges", ()), seen.get("after", ()))  # type: ignore[arg-type]


def _short(value: float) -> float:
    return float(f"{value:.5g}") if abs(value) < 1e5 else round(value)

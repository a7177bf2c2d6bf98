"""What a drag of the slider is drawn from, in the browser: the measured curve, in the slider's own numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dashboard import cache, forms, state
from dashboard.charts import CurvePoint, figures_of
from dashboard.measuring import Wishes
from dashboard.view import View
from engine import Outcome


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


def follow_of(
    view: View, wishes: Wishes, outcomes: Mapping[str, Outcome], points: Mapping[float, CurvePoint]
) -> Follow | None:
    """What the varied slider's drag is drawn from; None where it has no slider, or nothing is measured.

    points    of the curve and the recipe shown, by the coefficient's value
    """
    curve, vary = wishes.curve, view.vary
    if curve is None or vary is None or view.active_vary is None:
        return None
    step = view.recipe.step(vary[0])
    coefficient, now = step.coefficient(curve.name), step.number(curve.name)
    measured = dict(zip(curve.values, wishes.points, strict=True)) | {now: wishes.here}
    weights = dict(zip(curve.values, wishes.histograms, strict=False)) | {now: wishes.weights}
    stops = []
    for value, job in measured.items():
        at, point = forms.position(coefficient, value, now, curve.things), points.get(value)
        outcome, seen = outcomes[job.key], weights.get(value)
        if at is None or point is None or outcome.status != "done":
            continue
        known = {name: e.value for name, e in figures_of(outcome.result, "variant").items() if e.value is not None}
        histogram = cache.runner().outcome(seen).result if seen is not None else {}
        stops.append(Stop(at, point.x, point.y, known, histogram.get("edges", ()), histogram.get("after", ())))  # type: ignore[arg-type]
    here = forms.position(coefficient, now, now, curve.things)
    if here is None or not stops:
        return None
    ordered = {stop.at: stop for stop in sorted(stops, key=lambda stop: stop.at)}
    slider = forms.slider_key(state.uid(vary[0]), step, curve.name)
    return Follow(slider, here, outcomes[wishes.here.key].status == "done", tuple(ordered.values()))


def _short(value: float) -> float:
    return float(f"{value:.5g}") if abs(value) < 1e5 else round(value)

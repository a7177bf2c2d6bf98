"""What a view wants measured, in which order, and what that will cost."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import cast

from dashboard import cache, forms, state
from dashboard.curve import Curve, at_random, curve_of, curve_seconds, without_repair
from dashboard.overview import Along, overview_of, wanted
from dashboard.view import View
from engine import BASELINES, Job, Protocol, Recipe, Workload

FEW_SECONDS = 5.0
BESIDE = "SECATEUR_BASELINES"  # in the environment: "off" on a server that is too slow for what stands beside a curve
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


@dataclass(frozen=True)
class Wishes:
    """The jobs of one view.

    price     of its trainings, None where it has none
    closer    what is looked at more closely: all layers, all batch sizes, what can be done; None for nothing
    random    the curve with its varied step choosing at random, where it chooses
    baselines    the original in other numbers
    bare      the curve without its repair, where it has one
    stops     every place of the slider with the point that is measured there; what of them is stored is shown at once
    pins      what is kept to compare, each on its own model
    overview  all methods' points, of a model to which nothing is done
    histograms    the weights of the layer under the microscope along the curve; none where the curve trains
    """

    original: Job
    here: Job
    price: Job | None
    weights: Job | None
    line: Job | None
    curve: Curve | None
    points: list[Job]
    closer: Job | None = None
    random: tuple[Job, ...] = ()
    baselines: tuple[Job, ...] = ()
    bare: tuple[Job, ...] = ()
    histograms: tuple[Job, ...] = ()
    stops: tuple[tuple[float, Job], ...] = ()
    pins: tuple[Job, ...] = ()
    overview: tuple[Along, ...] = ()


def protocol_of(view: View) -> Protocol:
    """How a view is measured."""
    return cache.protocol(json.dumps(view.how.to_dict(), sort_keys=True))


def job_of(view: View) -> Job:
    """The measurement of the recipe that is on the screen."""
    return Job.of("point", cache.workload(view.model), view.active, protocol_of(view))


def wishes_of(view: View) -> Wishes:
    """Everything that a view wants to know."""
    return _wishes(view, cache.workload(view.model).fingerprint)


@lru_cache(maxsize=500)  # of all visitors: the page asks twice a run, and again at every look at the queue
def _wishes(view: View, _: str) -> Wishes:
    workload, protocol = cache.workload(view.model), protocol_of(view)
    recipe, curve = view.active, curve_of(view)

    def job(kind: str, of: Recipe, detail: str = "") -> Job:
        return Job.of(kind, workload, of, protocol, detail)

    names, along = cache.layers(view.model), "point" if view.full else "anytime"
    layer = view.layer if view.layer in names else cache.largest_layer(view.model)
    return Wishes(
        original=job("point", Recipe()),
        here=job_of(view),
        price=job("price", recipe) if recipe.trains else None,
        weights=job("weights", recipe, layer) if layer else None,
        line=job("line", recipe, str(view.line)) if workload.decode is not None else None,
        curve=curve,
        points=[job(along, r) for r in curve.recipes] if curve else [],
        closer=_closer(view, workload, protocol),
        random=tuple(job(along, r) for r in at_random(view, curve)),
        bare=tuple(job(along, r) for r in without_repair(view, curve)),
        histograms=tuple(job("weights", r, layer) for r in curve.recipes)
        if layer and curve and not curve.trainings
        else (),
        stops=_stops(_any_value(view, curve), workload.fingerprint) if curve and not curve.trainings else (),
        pins=tuple(Job.of("point", cache.workload(pin.model), pin.recipe, protocol) for pin in view.pins),
        overview=overview_of(replace(view, pins=(), beside=""), protocol, workload.fingerprint),
        baselines=tuple(job("baseline", Recipe(), n) for n in BASELINES if protocol.dtype in ("", workload.dtype)),
    )


def _any_value(view: View, curve: Curve) -> View:
    """The same view whatever the varied coefficient's value is just now."""
    index, name = cast("tuple[int, str]", view.vary)
    return replace(view, recipe=view.recipe.vary(index, name, min(curve.values)))


@lru_cache(maxsize=100)
def _stops(view: View, _: str) -> tuple[tuple[float, Job], ...]:
    """The points of all places of the varied slider, where it has some that are even."""
    curve, (index, name) = curve_of(view), cast("tuple[int, str]", view.active_vary)
    values = forms.places(view.active.step(index).coefficient(name), curve.things if curve else None)
    recipes = [view.active.vary(index, name, value) for value in values]
    workload, protocol = cache.workload(view.model), protocol_of(view)
    return tuple((value, Job.of("point", workload, r, protocol)) for value, r in zip(values, recipes, strict=True))


def _closer(view: View, workload: Workload, protocol: Protocol) -> Job | None:
    if view.closer == "layers":
        step = view.active_vary[0] if view.active_vary else None
        return Job.of("layers", workload, view.active, protocol, "" if step is None else str(step))
    if view.closer == "batches":
        return Job.of("point", workload, view.active, replace(protocol, batches=BATCHES))
    return Job.of("map", workload, Recipe(), protocol) if view.closer == "map" else None


@dataclass(frozen=True)
class Plan:
    """What is to be asked of the queue now, and what waits for a word of the reader.

    jobs            in order of urgency
    beside          what the chart compares with, once all else is done
    ask_point, ask_curve    seconds that a press of the button costs, None where nothing is asked
    """

    jobs: list[Job]
    ask_point: float | None = None
    ask_curve: float | None = None
    beside: list[Job] = field(default_factory=list, compare=False)

    @property
    def all(self) -> list[Job]:
        """Everything, in order of urgency."""
        return [*self.jobs, *self.beside]


def plan(view: View, wishes: Wishes) -> Plan:
    """What to measure at once, and what to ask first because it takes more than a few seconds."""
    queue = cache.runner()
    queue.look_up(
        [wishes.here, *wishes.points, *wishes.pins, *(job for one in wishes.overview for job in one.jobs)]
    )  # what is stored is shown, whatever must be asked
    jobs, seconds = [wishes.original], 0.0
    if wishes.price is not None:
        jobs.append(wishes.price)
        priced = queue.outcome(wishes.price)
        if priced.status in ("waiting", "running"):
            return Plan(jobs)
        seconds = float(priced.result.get("seconds", 0.0))  # type: ignore[arg-type]
    free = seconds <= FEW_SECONDS or _tried(wishes.here) or state.marked("paid", f"{view.model} {view.active}")
    if not free:
        # a curve without trainings of its own waits, too: its first point would do the one that all of them share
        agreed = _agreed(view, wishes, seconds) if wishes.curve and wishes.curve.trainings else []
        return Plan([*jobs, *agreed], ask_point=seconds, ask_curve=_asked(view, wishes, seconds))
    if "ended" in queue.outcome(wishes.here).result:  # all else about it would train to the end
        return Plan([*jobs, wishes.here])
    jobs += [job for job in (wishes.here, wishes.line, wishes.weights, wishes.closer) if job is not None]
    if wishes.line is not None and wishes.price is None:  # written in a fraction of the time that any figure takes
        jobs.remove(wishes.line)
        jobs.insert(0, wishes.line)
    # a training is nothing that a link may start
    jobs += [job for pin, job in zip(view.pins, wishes.pins, strict=True) if not pin.recipe.trains]
    jobs += wanted(view, wishes.overview)
    curve = _agreed(view, wishes, seconds)
    if curve and wishes.histograms:  # each right after its point, while the worker still has the model
        curve = [job for pair in zip(curve, wishes.histograms, strict=True) for job in pair]
    beside = [*wishes.baselines, *(wishes.random if curve else ())] if os.environ.get(BESIDE) != "off" else []
    return Plan(
        [*jobs, *curve, *(wishes.bare if curve else ())], ask_curve=_asked(view, wishes, seconds), beside=beside
    )


def _tried(job: Job) -> bool:
    """Whether the worker did this job: then it keeps the trained model. What came from the store it does not have."""
    outcome = cache.runner().outcome(job)
    return outcome.status == "failed" or (outcome.status == "done" and outcome.seconds > 0)


def _agreed(view: View, wishes: Wishes, training_s: float) -> list[Job]:
    """The curve's points, where they are free, cheap or paid for, and nobody stopped them."""
    curve = wishes.curve
    if curve is None or state.marked("stopped", curve.mark) or _asked(view, wishes, training_s) is not None:
        return []
    return list(wishes.points)


def _asked(view: View, wishes: Wishes, training_s: float) -> float | None:
    curve = wishes.curve
    if curve is None or not curve.trainings or state.marked("paid", curve.mark):
        return None
    if all(cache.runner().outcome(job).status in ("done", "failed") for job in wishes.points):
        return None
    seconds = curve_seconds(curve, view, training_s, point_seconds(wishes))
    return seconds if seconds > FEW_SECONDS else None


def point_seconds(wishes: Wishes) -> float:
    """How long one point of this curve took so far, without its training; a second where nothing is known."""
    known = known_point_seconds(wishes)
    return 1.0 if known is None else known


def known_point_seconds(wishes: Wishes) -> float | None:
    """How long one point of this curve took so far, None before the first of them.

    The original counts only until there is another: it comes first, and so with all that is done once.
    """
    of_points = [cache.runner().outcome(job).seconds for job in wishes.points]
    known = [s for s in of_points if s > 0] or [s for s in (cache.runner().outcome(wishes.original).seconds,) if s > 0]
    return sum(known) / len(known) if known else None

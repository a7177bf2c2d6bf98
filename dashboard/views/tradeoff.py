"""The tradeoff chart: what the varied step costs, beside the original and what chance would do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import cast

import streamlit as st

from dashboard import cache, state
from dashboard.charts import CurveData, CurvePoint, curve_chart, curve_point, method_colour
from dashboard.following import follow_of
from dashboard.live_chart import live_chart
from dashboard.measuring import Wishes
from dashboard.overview import axis_of
from dashboard.pin_chart import add_pins
from dashboard.pinning import open_pin
from dashboard.view import AXES, View
from dashboard.views import all_methods, pins, recipe
from dashboard.words import plain, t, title
from engine import Outcome

AXIS_LABELS = {
    "parameters": "parameters", "nonzero": "non-zeros", "multiply_adds": "multiply-adds", "size_bytes": "size",
    "latency_ms": "latency × 1", "latency_ms_64": "latency × 64",
}  # fmt: skip
Points = tuple[CurvePoint, ...]
Place = Callable[[dict[str, object]], CurvePoint | None]


def show(view: View, wishes: Wishes, outcomes: dict[str, Outcome]) -> None:
    """Draw the chart with the choice of its horizontal axis."""
    name = wishes.curve.name if wishes.curve else "coefficient"
    labels = {"coefficient": title(name), **AXIS_LABELS}

    def changed(axis: str) -> None:
        state.show(replace(state.view(), x=axis))

    shared = bool(wishes.overview)  # the methods have no coefficient in common
    state.put("axis", axis_of(view) if shared else view.x)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.segmented_control(
            t("Horizontal axis"), AXES[shared:], key="axis", on_change=state.on_move("axis", changed), required=True,
            format_func=lambda a: t(labels[a]), label_visibility="collapsed",
        )  # fmt: skip
        _all_examples(view)
    if wishes.overview:
        all_methods.show(view, wishes)
        pins.show(view, wishes)
        return
    data = curve_data(view, wishes, outcomes)
    along = follow_of(view, wishes)
    chart = curve_chart(data)
    if view.x != "coefficient":
        add_pins(chart, pins.pinned(view, wishes))
    live_chart(
        chart, key="curve", height=400, alt=_in_words(data), on_pick=_pick,
        follow=along.to_dict() if along else None,
    )  # fmt: skip
    if few := rests_on([o.result for job in wishes.points if (o := outcomes[job.key]).status == "done"]):
        st.caption(few)
    missing = [cache.runner().outcome(job) for job in wishes.baselines]
    if reasons := [plain(outcome.error) for outcome in missing if outcome.status == "failed"]:
        st.caption(t("Not drawn: {why}.", why="; ".join(reasons)))
    pins.show(view, wishes)


def _all_examples(view: View) -> None:
    """The switch from as many examples as a curve needs to all of them."""

    def changed(full: bool) -> None:
        state.show(replace(state.view(), full=full))

    state.put("full", view.full)
    note = "Evaluate every example at every point, and not only until its difference is known to ± 1 point."
    st.toggle(t("All examples"), key="full", on_change=state.on_move("full", changed), help=t(note))


def rests_on(results: Sequence[Mapping[str, object]]) -> str:
    """On how many examples the points rest, where not on all of them, as a sentence."""
    seen = [cast("dict[str, int]", result["evaluated"]) for result in results]
    some = [counts["examples"] for counts in seen if counts["examples"] < counts["of"]]
    if not some:
        return ""
    key = (
        "{n} of {points} points rest on {least} to {most} of {of} examples: until the difference from the original is "
        "known to ± 1 point."
    )
    counts = {"least": f"{min(some):,}", "most": f"{max(some):,}", "of": f"{seen[0]['of']:,}"}
    return t(key, n=len(some), points=len(seen), **counts)


def _pick() -> None:
    """A click on a point of the curve sets the coefficient to that point's value."""
    picked = st.session_state["curve"].get("picked")
    view = state.view()
    value = picked.get("customdata") if isinstance(picked, dict) else None
    if isinstance(value, str):
        open_pin(value)
    if view.vary is not None and isinstance(value, int | float):
        index, name = view.vary
        recipe.change_coefficient(index, name, value)


def curve_data(view: View, wishes: Wishes, outcomes: dict[str, Outcome]) -> CurveData:
    """What the tradeoff chart shows just now."""
    curve, vary = wishes.curve, view.active_vary
    values = curve.values if curve else []
    place = partial(curve_point, axis=view.x, things=_counted(view, wishes))
    along = partial(_along, values, place)
    measured = cache.runner().outcome
    workload = cache.workload(view.model)
    here, original = outcomes[wishes.here.key], outcomes[wishes.original.key]
    step = view.active.step(vary[0]) if vary else None
    value = step.number(vary[1]) if step and vary else 0.0
    neutral = _neutral_value(view)
    return CurveData(
        name=curve.name if curve else "recipe",
        x=view.x,
        score=workload.task.scores,
        colour=method_colour(step.name) if step else "#0072B2",
        points=along([outcomes[job.key] for job in wishes.points]),
        here=place(here.result, value) if here.status == "done" else None,
        original=place(original.result, neutral) if original.status == "done" else None,
        chance=workload.chance,
        span=_span(view, wishes),
        axis=_axis(view, wishes),
        unit=workload.task.unit,
        random=along(map(measured, wishes.random)),
        bare=along(map(measured, wishes.bare)),
        baselines=_baselines(wishes, partial(place, value=neutral)),
    )


def _along(values: Sequence[float], place: Callable[..., CurvePoint | None], outcomes: Iterable[Outcome]) -> Points:
    """The points of a curve over these values, as far as it has been measured."""
    done = [(o.result, value) for value, o in zip(values, outcomes, strict=False) if o.status == "done"]
    found = [place(result, value) for result, value in done]
    return tuple(sorted((point for point in found if point), key=lambda point: point.value))


def _baselines(
    wishes: Wishes, place: Callable[[dict[str, object]], CurvePoint | None]
) -> tuple[tuple[str, CurvePoint], ...]:
    """The original in other numbers, where it has been measured."""
    found = [(job.detail, cache.runner().outcome(job)) for job in wishes.baselines]
    placed = [(name, place(outcome.result)) for name, outcome in found if outcome.status == "done"]
    return tuple((name, point) for name, point in placed if point is not None)


def _counted(view: View, wishes: Wishes) -> int | None:
    """How many layers or nodes there are, where the horizontal axis counts them."""
    return wishes.curve.things if wishes.curve and view.x == "coefficient" else None


def _span(view: View, wishes: Wishes) -> tuple[float, float] | None:
    if view.x != "coefficient" or wishes.curve is None:
        return None
    things, values = wishes.curve.things, wishes.curve.values
    return (0, things) if things else (min(values), max(values))


def _axis(view: View, wishes: Wishes) -> str:
    things = _counted(view, wishes)
    if things is None or view.active_vary is None:
        return ""
    index, name = view.active_vary
    counts = view.active.step(index).coefficient(name).counts
    return t("{things} kept, of {n}", things=counts, n=f"{things:,}")


def _neutral_value(view: View) -> float:
    """Where the original stands on the coefficient's own axis: at the value that changes nothing."""
    if view.active_vary is None:
        return 0.0
    index, name = view.active_vary
    step = view.active.step(index)
    still = step.how.neutral or {}
    value = still.get(name, step.coefficient(name).low)
    return float(cast("float", value))


def _in_words(data: CurveData) -> str:
    if not data.points:
        return t("Tradeoff chart; no point is measured yet")
    best, worst = max(p.y for p in data.points), min(p.y for p in data.points)
    return t(
        "Tradeoff chart: {score} from {worst:.3f} to {best:.3f} over {n} values of {name}",
        score=data.score, worst=worst, best=best, n=len(data.points), name=title(data.name),
    )  # fmt: skip

"""Explore: pick a model, move a slider, see what it loses and gains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import cast

import streamlit as st

from dashboard import cache, measuring, state
from dashboard.charts import CurveData, CurvePoint, curve_chart, curve_point, method_colour
from dashboard.live_chart import live_chart
from dashboard.measuring import Plan, Wishes
from dashboard.view import AXES, View
from dashboard.views import closer, figures, lines, recipe, speed, weights
from dashboard.words import duration, plain, sentence, t, title
from engine import Outcome

POLL_S = 0.4
SLOWLY_S = 2.0  # while only what stands beside the curve is open
Place = Callable[[dict[str, object]], CurvePoint | None]
AXIS_LABELS = {
    "parameters": "parameters", "nonzero": "non-zeros", "multiply_adds": "multiply-adds", "size_bytes": "size",
    "latency_ms": "latency × 1", "latency_ms_64": "latency × 64",
}  # fmt: skip


def show() -> None:
    """Draw the page."""
    view = state.begin()
    with st.sidebar:
        recipe.show(view)
    _model(view)
    if state.complaint():
        st.error(sentence(state.complaint()), icon=":material/error:")
    wishes = measuring.wishes_of(view)
    plan = measuring.plan(view, wishes)
    cache.runner().want(state.owner(), plan.jobs, plan.beside)
    busy = _busy(plan)
    st.fragment(_results, run_every=busy or None)(busy, str(view.recipe))


def _busy(plan: Plan) -> float:
    """After how many seconds to look again, 0 where nothing is open."""
    for jobs, seconds in ((plan.jobs, POLL_S), (plan.beside, SLOWLY_S)):
        if any(cache.runner().outcome(job).status in ("waiting", "running") for job in jobs):
            return seconds
    return 0.0


def _model(view: View) -> None:
    workload = cache.workload(view.model)
    about, splits = workload.about, workload.splits
    st.title(about.get("title", workload.name), anchor=False)
    with st.container(horizontal=True, vertical_alignment="center", key="about"):
        st.markdown(about.get("what", ""), width="stretch")
        facts = st.popover(t("About model and data"), type="tertiary", icon=":material/info:")
    with facts:
        rows = {
            "Task": title(workload.task.name),
            "Data": about.get("data", ""),
            "Licence": about.get("licence", ""),
            "Examples": ", ".join(f"{n:,} {part}" for part, n in splits.items()),
            "Classes": ", ".join(workload.classes),
            "Trained": about.get("trained", ""),
            "Known to confuse": about.get("confuses", ""),
        }
        st.markdown("\n".join(f"- **{t(name)}**: {text}" for name, text in rows.items() if text))


def _results(was_busy: float, shown: str) -> None:
    """Everything that is measured: runs again and again while the queue is at work.

    shown    the recipe that the sidebar shows
    """
    state.settle()  # a widget in here reruns this part alone
    view = state.view()
    if str(view.recipe) != shown:  # a point was clicked: the sliders stand outside
        st.rerun()
    wishes = measuring.wishes_of(view)
    plan = measuring.plan(view, wishes)
    queue = cache.runner()
    queue.want(state.owner(), plan.jobs, plan.beside)
    outcomes = {job.key: queue.outcome(job) for job in [*plan.all, wishes.original, wishes.here, *wishes.points]}
    task = cache.workload(view.model).task
    figures.show_original(outcomes[wishes.original.key], task)
    figures.show(wishes, outcomes, task, waits=plan.ask_point is not None)
    _questions(view, wishes, plan)
    failed = [job for job in [wishes.original, wishes.here, *wishes.points] if outcomes[job.key].status == "failed"]
    if any(outcomes[job.key].refused_by is None for job in failed):  # a worker that died spoils nothing for good
        st.button(t("Try again"), key="try-again", on_click=lambda: queue.forget(failed))
    with st.container(border=True, key="tradeoff"):
        _tradeoff(view, wishes, outcomes)
    _progress(wishes, plan, outcomes)
    speed.show(outcomes[wishes.here.key])
    closer.show(view, wishes, outcomes[wishes.here.key])
    lines.show(wishes, plan.ask_point is not None)
    weights.show(view, wishes, plan.ask_point is not None)
    if _busy(plan) != was_busy:
        st.rerun()


def _tradeoff(view: View, wishes: Wishes, outcomes: dict[str, Outcome]) -> None:
    name = wishes.curve.name if wishes.curve else "coefficient"
    labels = {"coefficient": title(name), **AXIS_LABELS}

    def changed(axis: str) -> None:
        state.show(replace(state.view(), x=axis))

    state.put("axis", view.x)
    st.segmented_control(
        t("Horizontal axis"), AXES, key="axis", on_change=state.on_move("axis", changed), required=True,
        format_func=lambda a: t(labels[a]), label_visibility="collapsed",
    )  # fmt: skip
    data = curve_data(view, wishes, outcomes)
    picked = live_chart(curve_chart(data), key="curve", height=400, alt=_in_words(data), on_pick=_pick)
    del picked  # read in the callback
    missing = [cache.runner().outcome(job) for job in wishes.baselines]
    if reasons := [plain(outcome.error) for outcome in missing if outcome.status == "failed"]:
        st.caption(t("Not drawn: {why}.", why="; ".join(reasons)))


def _pick() -> None:
    """A click on a point of the curve sets the coefficient to that point's value."""
    picked = st.session_state["curve"].get("picked")
    view = state.view()
    value = picked.get("customdata") if isinstance(picked, dict) else None
    if view.vary is not None and isinstance(value, int | float):
        index, name = view.vary
        recipe.change_coefficient(index, name, value)


def curve_data(view: View, wishes: Wishes, outcomes: dict[str, Outcome]) -> CurveData:
    """What the tradeoff chart shows just now."""
    curve, vary = wishes.curve, view.active_vary
    values = curve.values if curve else []
    place = partial(curve_point, axis=view.x, things=_counted(view, wishes))
    found = [
        place(outcomes[job.key].result, value)
        for value, job in zip(values, wishes.points, strict=True)
        if outcomes[job.key].status == "done"
    ]
    by_lot = [
        place(outcome.result, value)
        for value, outcome in zip(values, map(cache.runner().outcome, wishes.random), strict=False)
        if outcome.status == "done"
    ]
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
        points=tuple(sorted((p for p in found if p), key=lambda p: p.value)),
        here=place(here.result, value) if here.status == "done" else None,
        original=place(original.result, neutral) if original.status == "done" else None,
        chance=workload.chance,
        span=_span(view, wishes),
        axis=_axis(view, wishes),
        unit=workload.task.unit,
        random=tuple(sorted((p for p in by_lot if p), key=lambda p: p.value)),
        baselines=_baselines(wishes, partial(place, value=neutral)),
    )


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


def _questions(view: View, wishes: Wishes, plan: Plan) -> None:
    """What takes more than a few seconds is asked first, with its price."""
    with st.container(horizontal=True, key="questions"):
        if plan.ask_point is not None:
            known = cache.runner().outcome(wishes.here).status == "done"
            label = "Train again, to see the weights, {time}" if known else "Train and measure this recipe, {time}"
            label = t(label, time=duration(plan.ask_point))
            st.button(
                label, key="pay-point", type="primary", icon=":material/play_arrow:",
                on_click=lambda: state.mark("paid", f"{view.model} {view.active}"),
            )  # fmt: skip
        if plan.ask_curve is not None and wishes.curve is not None:
            curve = wishes.curve
            label = t("Measure the curve: {n} trainings, {time}", n=curve.trainings, time=duration(plan.ask_curve))
            st.button(
                label, key="pay-curve", icon=":material/show_chart:", on_click=lambda: state.mark("paid", curve.mark)
            )


def _progress(wishes: Wishes, plan: Plan, outcomes: dict[str, Outcome]) -> None:
    """How far the curve is, with a button to stop it or to go on."""
    curve = wishes.curve
    if curve is None:
        return
    states = [outcomes[job.key].status for job in wishes.points]
    done, asked = sum(s in ("done", "failed") for s in states), plan.ask_curve is not None
    failed = [outcomes[j.key].error for j in wishes.points if outcomes[j.key].status == "failed"]
    if failed:
        text = t("{n} points could not be measured: {why}", n=len(failed), why=plain(failed[0]))
        st.warning(text, icon=":material/warning:")
    if done == len(states) or asked:
        return
    stopped = state.marked("stopped", curve.mark)
    with st.container(horizontal=True, vertical_alignment="center", key="progress"):
        each = measuring.known_point_seconds(wishes)
        left = t("an unknown time") if each is None else duration((len(states) - done) * each)
        text = t("{done} of {n} points, {left} to go", done=done, n=len(states), left=left)
        if stopped:
            text = t("Stopped at {done} of {n} points; what was measured is kept.", done=done, n=len(states))
        st.progress(done / len(states), text=text)
        if stopped:
            st.button(t("Go on"), key="go-on", on_click=lambda: state.mark("stopped", curve.mark, on=False))
        else:
            st.button(t("Cancel"), key="cancel", on_click=lambda: state.mark("stopped", curve.mark))

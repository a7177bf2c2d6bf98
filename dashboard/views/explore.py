"""Explore: pick a model, move a slider, see what it loses and gains."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import count

import streamlit as st

from dashboard import cache, measuring, state
from dashboard.measuring import Plan, Wishes
from dashboard.view import View
from dashboard.views import beside, closer, figures, lines, recipe, speed, tradeoff, training, weights
from dashboard.words import duration, plain, sentence, t, title
from engine import Job, Outcome

AT_FIRST_S = 0.15  # a run waits so long for the recipe's own figures before it draws: what takes less comes at once
IN_LINE_S = 0.4  # and so long between two looks, while the worker does other jobs
PEEK_S = 0.03  # and looks so often whether the reader has moved on
SOON_S = (
    0.25  # after so long it looks again, while they are open: longer than a look takes, or one would follow on another
)
POLL_S = 0.4  # while its curve is
SLOWLY_S = 2.0  # while only what stands beside the curve is


def show() -> None:
    """Draw the page."""
    view = state.begin()
    state.note_sidebar(view)
    with st.sidebar:
        recipe.show(view)
    _model(view)
    if state.complaint():
        st.error(sentence(state.complaint()), icon=":material/error:")
    wishes = measuring.wishes_of(view)
    plan = measuring.plan(view, wishes)
    cache.runner().want(state.owner(), plan.jobs, plan.beside)
    _wait(_figures(wishes, plan), AT_FIRST_S)
    busy = _busy(wishes, measuring.plan(view, wishes))
    st.fragment(_results, run_every=busy or None, key=recipe.RESULTS)(busy, count())


def _open(jobs: Iterable[Job]) -> list[Job]:
    return [job for job in jobs if cache.runner().outcome(job).status in ("waiting", "running")]


def _own(wishes: Wishes, plan: Plan) -> list[Job]:
    """What is asked for about the very recipe on the screen, and is not there yet."""
    return _open(job for job in plan.jobs if job in (wishes.price, wishes.here, wishes.weights))


def _figures(wishes: Wishes, plan: Plan) -> list[Job]:
    """The same without its weights, which nothing else hangs on."""
    return [job for job in _own(wishes, plan) if job != wishes.weights]


def _wait(own: list[Job], seconds: float) -> None:
    """Wait a moment for the first of these to be done, but no longer than until the reader's next move.

    Not only until it has partial figures: a small model's are complete a moment later, and drawing costs one, too.
    """
    end = time.monotonic() + seconds
    while own and _open(own[:1]) and time.monotonic() < end:
        cache.runner().wait_for(own[0], PEEK_S, partial=False)
        state.owner()  # whatever touches the session ends a run that a newer one is to follow


def _wait_again(own: list[Job]) -> None:
    """The same between two looks: longer where others come first, for then there is nothing to see before the end."""
    running = own and cache.runner().outcome(own[0]).status == "running"
    _wait(own, AT_FIRST_S if running else IN_LINE_S)


def _busy(wishes: Wishes, plan: Plan) -> float:
    """After how many seconds to look again, 0 where nothing is open."""
    for jobs, seconds in ((_own(wishes, plan), SOON_S), (_open(plan.jobs), POLL_S), (_open(plan.beside), SLOWLY_S)):
        if jobs:
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


def _results(was_busy: float, looks: Iterator[int]) -> None:
    """Everything that is measured: runs again and again while the queue is at work, and where a slider has moved.

    looks    counts how often this has run since the whole page did
    """
    state.settle()  # a widget in here reruns this part alone
    state.note_results()
    view = state.view()
    if not state.in_sidebar(view):  # a point was clicked: the sliders stand outside
        st.rerun()
    wishes = measuring.wishes_of(view)
    plan = measuring.plan(view, wishes)
    queue = cache.runner()
    queue.want(state.owner(), plan.jobs, plan.beside)
    if next(looks) > 0:
        _wait_again(_figures(wishes, plan))
        plan = measuring.plan(view, wishes)
    outcomes = {job.key: queue.outcome(job) for job in [*plan.all, wishes.original, wishes.here, *wishes.points]}
    task = cache.workload(view.model).task
    figures.show_original(outcomes[wishes.original.key], task)
    figures.show(wishes, outcomes, task, waits=plan.ask_point is not None)
    here = outcomes[wishes.here.key]
    training.show(wishes.here, here, task)
    _questions(view, wishes, plan)
    failed = [job for job in [wishes.original, wishes.here, *wishes.points] if outcomes[job.key].status == "failed"]
    if any(outcomes[job.key].refused_by is None for job in failed):  # a worker that died spoils nothing for good
        st.button(t("Try again"), key="try-again", on_click=lambda: queue.forget(failed))
    with st.container(border=True, key="tradeoff"):
        tradeoff.show(view, wishes, outcomes)
    beside.show(view, wishes)
    if not training.ended(here):
        _progress(wishes, plan, outcomes)
    speed.show(here)
    closer.show(view, wishes, here)
    waits = plan.ask_point is not None or training.ended(here)  # for a model that nobody has
    lines.show(wishes, waits)
    if not waits and not _figures(wishes, plan):
        _wait(_own(wishes, plan), AT_FIRST_S)  # for the weights: all else is on its way to the browser by now
        plan = measuring.plan(view, wishes)
    weights.show(view, wishes, waits)
    more = queue.look_up([job for _, job in wishes.stops])  # last, for it may take a moment
    busy = _busy(wishes, plan)
    if more or busy != was_busy or (busy and state.alone()):
        st.rerun()


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

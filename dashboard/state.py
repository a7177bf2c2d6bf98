"""The session and the address: the only file that touches either.

The address holds the whole view in one versioned parameter, as text; never an instance.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import streamlit as st

from dashboard import models
from dashboard.view import View, first_vary, first_view
from engine import Method, Recipe, SecateurError

PARAMETER = "s"
LATE_S = 0.7


def begin() -> View:
    """The view at the start of a run: the address's where it changed, else the session's.

    An address that cannot be read leaves the last good view, and a complaint to be shown.
    """
    session, text = st.session_state, st.query_params.get(PARAMETER)
    if "view" not in session:
        session.view, session.owner, session.uids, session.next_uid = first_view(), uuid.uuid4().hex, [], 0
        session.complaint, session.address, session.stopped, session.paid = "", None, frozenset(), frozenset()
        session.moved, session.written, session.replaced, session.frames = False, {}, {}, {}
        session.models, session.uploads = (), 0
        session.sidebar, session.results, session.alone = None, False, False
    if text is not None and text != session.address and not _stale(text):
        try:
            session.view, session.complaint = View.from_text(text), ""
        except SecateurError as error:
            session.complaint = str(error)
    settle()
    return cast("View", session.view)


def _stale(text: str) -> bool:
    """Whether an address that differs from the session's is only late, and nobody's wish.

    The browser sends its address with every move. While moves come fast it may send one that this session wrote
    just before; taking it for a followed link would undo the last move.
    """
    session = st.session_state
    return bool(session.moved) or time.monotonic() - session.written.get(text, -LATE_S) < LATE_S


def settle() -> None:
    """Bring address and step numbers in line with the view."""
    session = st.session_state
    text, now = session.view.to_text(), time.monotonic()
    if text != session.address and session.address is not None:
        late = {old: at for old, at in session.written.items() if now - at < LATE_S}
        session.written = {**late, session.address: now}
    if st.query_params.get(PARAMETER) != text:
        st.query_params[PARAMETER] = text
    session.address, session.moved = text, False
    while len(session.uids) < len(session.view.recipe):
        session.uids = [*session.uids, session.next_uid]
        session.next_uid += 1
    session.uids = session.uids[: len(session.view.recipe)]


def put(key: str, value: object, stops: tuple[object, ...] = ()) -> None:
    """Show a value in a widget; for a moment it is remembered what this replaced.

    stops    of a slider: while they stay the same, a value that it shows anyway is not put again, since that would
             take back the last of several moves in quick succession
    """
    session = st.session_state
    shown, frame = key in session, session.frames.get(key)
    session.frames[key] = stops
    if shown and session[key] == value and stops and stops == frame:
        return
    if shown and session[key] != value:
        session.replaced[key] = session[key], value, time.monotonic()
    session[key] = value


def on_move(key: str, act: Callable[[Any], object]) -> Callable[[], None]:
    """A widget's callback: act on its new value, unless that is only late.

    The browser sends all widgets with every move and every poll, and may not have seen yet what was put just before.
    """

    def call() -> None:
        session = st.session_state
        old, new, at = session.replaced.get(key, (None, None, -LATE_S))
        if session[key] == old and time.monotonic() - at < LATE_S:
            session[key] = new
        else:
            act(session[key])

    return call


def view() -> View:
    """The view as it stands."""
    return cast("View", st.session_state.view)


def show(new: View) -> None:
    """Change the view; a callback's only way to do so."""
    st.session_state.view = new
    st.session_state.complaint = ""
    st.session_state.moved = True


def complain(sentence: str) -> None:
    """Say why the last move was refused."""
    st.session_state.complaint = sentence


def complaint() -> str:
    """Why the last move was refused, or nothing."""
    return str(st.session_state.complaint)


def in_sidebar(view: View) -> bool:
    """Whether the sidebar shows this view's model and recipe."""
    return bool(st.session_state.sidebar == (view.model, str(view.recipe)))


def note_sidebar(view: View, alone: bool = False) -> None:
    """Note that the sidebar shows this view's model and recipe.

    alone    whether it was not drawn anew for it: the results are drawn alone
    """
    st.session_state.sidebar, st.session_state.alone = (view.model, str(view.recipe)), alone


def alone() -> bool:
    """Whether the results are drawn without the rest since the last move: the browser has then given up its looks."""
    return bool(st.session_state.alone)


def note_results() -> None:
    """Note that the results have been drawn: from then on they can be drawn by themselves."""
    st.session_state.results = True


def drawn() -> bool:
    """Whether the results have been drawn once."""
    return bool(st.session_state.results)


def owner() -> str:
    """A name for this session."""
    return str(st.session_state.owner)


def uid(index: int) -> int:
    """The number that a step keeps while others come and go."""
    return int(st.session_state.uids[index])


def model_names() -> tuple[str, ...]:
    """The names of all models that can be picked: those of the server, and those with this session's uploads."""
    names = (*models.available(), *st.session_state.models)
    return names if view().model in names else (*names, view().model)


def remember_model(name: str) -> None:
    """Add a model with uploaded files to those that can be picked."""
    st.session_state.models = tuple(dict.fromkeys([*st.session_state.models, name]))


def uploads() -> int:
    """How many files this session has uploaded."""
    return int(st.session_state.uploads)


def next_upload() -> None:
    """Make room for the next file: a widget's file is taken away only with the widget."""
    st.session_state.uploads += 1


def marked(name: str, mark: str) -> bool:
    """Whether a curve was stopped ("stopped") or its price agreed to ("paid")."""
    return mark in st.session_state[name]


def mark(name: str, mark: str, on: bool = True) -> None:
    """Note that a curve was stopped, or its price agreed to."""
    held = st.session_state[name]
    st.session_state[name] = held | {mark} if on else held - {mark}


def set_step(index: int, step: Method, vary: str | None = None) -> None:
    """Put another method or other coefficients in a step's place."""
    now = view()
    recipe = Recipe((*now.recipe.steps[:index], step, *now.recipe.steps[index + 1 :]))
    changed = (index, vary) if vary else now.vary
    if changed is None or changed[1] not in recipe.step(changed[0]).values:
        changed = first_vary(recipe, index)
    show(replace(now, recipe=recipe, vary=changed))


def add_step(step: Method) -> None:
    """Append a step; the curve follows it."""
    now = view()
    recipe = Recipe.of([*now.recipe.steps, step])
    show(replace(now, recipe=recipe, vary=first_vary(recipe, len(now.recipe))))


def insert_step(index: int, step: Method) -> None:
    """Put a step in that place; the curve goes on following what it follows."""
    now, last = view(), len(view().recipe)
    show(replace(now, recipe=Recipe.of([*now.recipe.steps, step])))
    settle()  # the new step gets its number
    _reorder([*range(index), last, *range(index, last)])


def remove_step(index: int) -> None:
    """Take a step out."""
    order = [i for i in range(len(view().recipe)) if i != index]
    _reorder(order)


def move_step(index: int, by: int) -> None:
    """Move a step up (-1) or down (+1)."""
    order = list(range(len(view().recipe)))
    target = index + by
    if 0 <= target < len(order):
        order[index], order[target] = order[target], order[index]
    _reorder(order)


def _reorder(order: list[int]) -> None:
    now, session = view(), st.session_state
    recipe = Recipe(tuple(now.recipe.step(i) for i in order))
    off = frozenset(new for new, old in enumerate(order) if old in now.off)
    vary = first_vary(recipe)
    if now.vary is not None and now.vary[0] in order:
        vary = order.index(now.vary[0]), now.vary[1]
    session.uids = [session.uids[i] for i in order]
    show(replace(now, recipe=recipe, off=off, vary=vary))


def switch_step(index: int, on: bool) -> None:
    """Switch a step on or off."""
    now = view()
    show(replace(now, off=now.off - {index} if on else now.off | {index}))

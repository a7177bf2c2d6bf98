"""What the page shows, as text in the address: the only file that touches session state and the address."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import streamlit as st

from dashboard.gallery import FIRST_MODEL, RECIPES
from engine import InvalidInput, Method, Recipe, SecateurError
from sample_models import reference

VERSION = 1
PARAMETER = "s"
MOST_TEXT = 16_384
AXES = ("coefficient", "parameters", "nonzero", "multiply_adds", "size_bytes", "latency_ms", "latency_ms_64")


@dataclass(frozen=True)
class View:
    """What is on the screen.

    off     numbers of the steps that are switched off
    vary    (step, coefficient) that the curve lets loose
    x       the quantity on the chart's horizontal axis
    layer   the weights under the microscope; "" is the first
    """

    model: str
    recipe: Recipe
    off: frozenset[int] = frozenset()
    vary: tuple[int, str] | None = None
    x: str = "coefficient"
    layer: str = ""

    @property
    def active(self) -> Recipe:
        """The recipe without the steps that are switched off."""
        return Recipe(tuple(step for i, step in enumerate(self.recipe) if i not in self.off))

    @property
    def active_vary(self) -> tuple[int, str] | None:
        """What is varied, counted among the active steps; None where nothing can be."""
        if self.vary is None or self.vary[0] in self.off:
            return None
        index, name = self.vary
        return index - sum(1 for i in self.off if i < index), name

    def to_text(self) -> str:
        """The canonical text, as it stands in the address."""
        plain = {
            "v": VERSION,
            "model": self.model,
            "recipe": self.recipe.to_list(),
            "off": sorted(self.off),
            "vary": list(self.vary) if self.vary else None,
            "x": self.x,
            "layer": self.layer,
        }
        return json.dumps(plain, separators=(",", ":"))

    @staticmethod
    def from_text(text: str) -> View:
        """The view in an address. Raises InvalidInput, UnknownName or MalformedRecipe with one sentence."""
        if len(text) > MOST_TEXT:
            raise InvalidInput("the address must hold at most {most} characters, got {n}", most=MOST_TEXT, n=len(text))
        try:
            plain = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidInput("the address must hold a view as JSON, got: {why}", why=str(error)[:120]) from error
        if not isinstance(plain, dict):
            raise InvalidInput("the address must hold a view as an object, got {kind}", kind=type(plain).__name__)
        return _checked(plain)


def _checked(plain: Mapping[str, object]) -> View:
    if plain.get("v") != VERSION:
        raise InvalidInput(
            "the address must be of version {wanted}, got {got!r}", wanted=VERSION, got=str(plain.get("v"))[:20]
        )
    model = plain.get("model")
    if not isinstance(model, str):
        raise InvalidInput("the address must name a model, got {got}", got=str(model)[:40])
    reference(model)
    recipe = Recipe.of(cast("list[object]", plain.get("recipe", [])))
    off = plain.get("off", [])
    if not isinstance(off, list) or not all(type(i) is int and 0 <= i < len(recipe) for i in off):
        raise InvalidInput("the steps switched off must be steps of the recipe, got {got}", got=str(off)[:60])
    x, layer = plain.get("x", AXES[0]), plain.get("layer", "")
    if x not in AXES:
        raise InvalidInput(
            "the horizontal axis must be one of {axes}, got {got!r}", axes=", ".join(AXES), got=str(x)[:40]
        )
    if not isinstance(layer, str):
        raise InvalidInput("the layer must be a name, got {got}", got=str(layer)[:40])
    return View(model, recipe, frozenset(off), _vary(plain.get("vary"), recipe), str(x), layer)


def _vary(given: object, recipe: Recipe) -> tuple[int, str] | None:
    if given is None:
        return first_vary(recipe)
    if not isinstance(given, list) or len(given) != 2:
        raise InvalidInput("the varied coefficient must be [step, name], got {got}", got=str(given)[:60])
    step = recipe.step(given[0])
    coefficient = step.coefficient(given[1])
    if coefficient.name not in step.values or not coefficient.numeric:
        raise InvalidInput("{name} must be a number that the step uses to be varied", name=coefficient.name)
    return given[0], given[1]


def first_vary(recipe: Recipe, prefer: int = 0) -> tuple[int, str] | None:
    """The first number among the coefficients of the preferred step, or of any."""
    order = [prefer, *range(len(recipe))] if prefer < len(recipe) else list(range(len(recipe)))
    for index in order:
        step = recipe.step(index)
        for coefficient in type(step).coefficients:
            if coefficient.numeric and coefficient.name in step.values:
                return index, coefficient.name
    return None


def first_view() -> View:
    """What a visitor without a link sees."""
    recipe = Recipe.of(RECIPES[0].recipe)
    return View(FIRST_MODEL, recipe, vary=RECIPES[0].vary or first_vary(recipe))


# ---- the session ----------------------------------------------------------------------------------------------


def begin() -> View:
    """The view at the start of a run: the address's where it changed, else the session's.

    An address that cannot be read leaves the last good view, and a complaint to be shown.
    """
    session, text = st.session_state, st.query_params.get(PARAMETER)
    if "view" not in session:
        session.view, session.owner, session.uids, session.next_uid = first_view(), uuid.uuid4().hex, [], 0
        session.complaint, session.address, session.stopped, session.paid = "", None, frozenset(), frozenset()
    if text is not None and text != session.address:
        try:
            session.view = View.from_text(text)
        except SecateurError as error:
            session.complaint = str(error)
    _settle()
    return cast("View", session.view)


def _settle() -> None:
    """Bring address and step numbers in line with the view."""
    session = st.session_state
    text = session.view.to_text()
    if st.query_params.get(PARAMETER) != text:
        st.query_params[PARAMETER] = text
    session.address = text
    while len(session.uids) < len(session.view.recipe):
        session.uids = [*session.uids, session.next_uid]
        session.next_uid += 1
    session.uids = session.uids[: len(session.view.recipe)]


def view() -> View:
    """The view as it stands."""
    return cast("View", st.session_state.view)


def show(new: View) -> None:
    """Change the view; a callback's only way to do so."""
    st.session_state.view = new
    st.session_state.complaint = ""


def complain(sentence: str) -> None:
    """Say why the last move was refused."""
    st.session_state.complaint = sentence


def complaint() -> str:
    """Why the last move was refused, or nothing."""
    return str(st.session_state.complaint)


def owner() -> str:
    """A name for this session."""
    return str(st.session_state.owner)


def uid(index: int) -> int:
    """The number that a step keeps while others come and go."""
    return int(st.session_state.uids[index])


def marked(name: str, mark: str) -> bool:
    """Whether a curve was stopped ("stopped") or its price agreed to ("paid")."""
    return mark in st.session_state[name]


def mark(name: str, mark: str, on: bool = True) -> None:
    """Note that a curve was stopped, or its price agreed to."""
    held = st.session_state[name]
    st.session_state[name] = held | {mark} if on else held - {mark}


# ---- moves ----------------------------------------------------------------------------------------------------


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

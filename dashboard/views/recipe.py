"""The sidebar: which model, which recipe to start from, and its steps."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import streamlit as st

from dashboard import cache, forms, measuring, state
from dashboard.curve import REPAIR
from dashboard.gallery import RECIPES
from dashboard.view import View, first_vary
from dashboard.views import bring, protocol
from dashboard.words import plain, t, title
from engine import Method, Recipe, SecateurError, available_methods

RESULTS = "results"  # the key of the part of the page that shows what was measured
FAMILIES = {
    "compression": "Compression", "pruning": "Pruning", "optimization": "Optimisation", "recovery": "Recovery",
}  # fmt: skip


def show(view: View) -> None:
    """Draw the whole sidebar."""
    st.header("Secateur", anchor=False)
    st.caption(t("What a deep-learning model loses and gains as it is made smaller, measured on this machine."))
    _model_picker(view)
    bring.show(view)
    protocol.show(view)
    _gallery()
    st.subheader(t("Recipe"), divider="gray")
    if not len(view.recipe):
        st.caption(t("No steps: this is the original. Add one below."))
    for index, step in enumerate(view.recipe):
        _step(view, index, step)
    _add_step()


def _model_picker(view: View) -> None:
    def changed(model: str) -> None:
        state.show(replace(state.view(), model=model, layer=""))

    state.put("model", view.model)
    moved = state.on_move("model", changed)
    st.selectbox(t("Model"), state.model_names(), key="model", on_change=moved, format_func=cache.model_title)


def _gallery() -> None:
    def changed(chosen: int | None) -> None:
        state.put("gallery", None)
        if chosen is not None:
            start = RECIPES[chosen]
            recipe = Recipe.of(start.recipe)
            vary = start.vary or first_vary(recipe)
            state.show(replace(state.view(), recipe=recipe, off=frozenset(), vary=vary))

    st.selectbox(
        t("Start from a recipe"),
        range(len(RECIPES)),
        index=None,
        key="gallery",
        on_change=state.on_move("gallery", changed),
        placeholder=t("Choose what to see"),
        format_func=lambda i: t(RECIPES[i].title),
    )


def _step(view: View, index: int, step: Method) -> None:
    uid = state.uid(index)
    with st.container(border=True, key=f"step{uid}", gap="small"):
        key = f"step{uid}-on"
        state.put(key, index not in view.off)
        label = f"**{index + 1}. {t(step.title)}**"
        st.toggle(label, key=key, on_change=state.on_move(key, partial(state.switch_step, index)))
        if index in view.off:
            st.caption(t("Switched off."))
        else:
            _body(view, index, step, uid)
        _actions(view, index, uid)


def _body(view: View, index: int, step: Method, uid: int) -> None:
    """Form, formula, and a widget for each coefficient."""
    _form(index, step, uid)
    st.latex(step.how.latex)
    st.caption(t(step.how.summary))
    things, why = _things(view, index, step)
    if why:
        st.warning(plain(why), icon=":material/block:")
    names = [name.rpartition(".")[0] for name in cache.layers(view.model)]
    for coefficient in type(step).coefficients:
        if coefficient.name in step.values:
            key = forms.slider_key(uid, step, coefficient.name)
            change = partial(_move, index, coefficient.name)
            forms.widget(coefficient, step.values[coefficient.name], key, change, things, names)


def _actions(view: View, index: int, uid: int) -> None:
    last = len(view.recipe) - 1
    names = [step.name for step in view.recipe]
    mended = REPAIR in names[index : index + 2]  # it is one, or one follows
    with st.container(horizontal=True, horizontal_alignment="right", gap="small", wrap=False):
        for name, icon, note, act, dead in (
            ("repair", "healing", "Repair the model after this step", partial(_repair, index), mended),
            ("up", "arrow_upward", "Do this step earlier", partial(state.move_step, index, -1), index == 0),
            ("down", "arrow_downward", "Do this step later", partial(state.move_step, index, 1), index == last),
            ("reset", "restart_alt", "Back to the defaults", partial(_reset, index), False),
            ("remove", "close", "Remove this step", partial(state.remove_step, index), False),
        ):
            st.button(
                "", key=f"step{uid}-{name}", icon=f":material/{icon}:", type="tertiary", help=t(note), on_click=act,
                disabled=dead,
            )  # fmt: skip


def _form(index: int, step: Method, uid: int) -> None:
    key = f"step{uid}-form"

    def changed(form: str) -> None:
        kept = {k: v for k, v in step.values.items() if k in _coefficients(step, form)}
        state.set_step(index, type(step)(form, kept))

    state.put(key, step.form)
    st.segmented_control(
        t("Form"), [f.name for f in step.forms], key=key, on_change=state.on_move(key, changed), required=True,
        format_func=title, label_visibility="collapsed",
    )  # fmt: skip


def _coefficients(step: Method, form: str) -> tuple[str, ...]:
    return next(f.coefficients for f in step.forms if f.name == form)


def _things(view: View, index: int, step: Method) -> tuple[int | None, str]:
    """How many layers or nodes the step acts on, where one of its sliders counts them; and why it cannot act."""
    place = sum(1 for i in range(index) if i not in view.off)
    here = cache.runner().outcome(measuring.job_of(view))
    why = here.error if here.refused_by == place and index not in view.off else ""
    if not any(c.counts and c.name in step.values for c in type(step).coefficients):
        return None, why
    things, refusal = cache.things(view.model, view.active, place)
    return things, refusal or why


def change_coefficient(index: int, name: str, value: object) -> None:
    """Set one coefficient of one step, and let the curve follow it."""
    step = state.view().recipe.step(index)
    try:
        numeric = step.coefficient(name).numeric
        state.set_step(index, step.with_value(name, value), vary=name if numeric else None)
    except SecateurError as error:
        state.complain(str(error))


def _move(index: int, name: str, value: object) -> None:
    """A widget's move: where nothing else in the sidebar hangs on it, the results alone are drawn again."""
    before, complained = state.view(), state.complaint()
    change_coefficient(index, name, value)
    after = state.view()
    if state.drawn() and not (complained or state.complaint()) and _stays(before, after, index, name):
        state.note_sidebar(after, alone=True)
        st.rerun(RESULTS)


def _stays(before: View, after: View, index: int, name: str) -> bool:
    """Whether the sidebar is the same for both views, the value of that coefficient aside.

    Not where a slider counts what an earlier step left, has its own value among its stops, or a refusal comes or goes.
    """
    coefficient = before.recipe.step(index).coefficient(name)
    if not coefficient.numeric or before.vary != after.vary:
        return False
    if any(c.counts and c.name in step.values for step in after.recipe.steps[index:] for c in type(step).coefficients):
        return False
    values = [view.recipe.step(index).number(name) for view in (before, after)]
    if forms.spread(coefficient) and len({tuple(forms.series(coefficient, value)) for value in values}) > 1:
        return False
    known = [cache.runner().outcome(measuring.job_of(view)) for view in (before, after)]
    return all(outcome.refused_by is None for outcome in known)


def _repair(index: int) -> None:
    state.insert_step(index + 1, available_methods()[REPAIR]())


def _reset(index: int) -> None:
    step = state.view().recipe.step(index)
    state.set_step(index, type(step)())


def _add_step() -> None:
    kinds = available_methods()

    def changed(chosen: str | None) -> None:
        state.put("add", None)
        if chosen is not None:
            try:
                state.add_step(kinds[chosen]())
            except SecateurError as error:
                state.complain(str(error))

    st.selectbox(
        t("Add a step"), list(kinds), index=None, key="add", on_change=state.on_move("add", changed),
        placeholder=t("Choose a method"),
        format_func=lambda name: f"{t(kinds[name].title)} · {t(FAMILIES.get(kinds[name].family, kinds[name].family))}",
    )  # fmt: skip

"""Any recipe and any view, for hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from dashboard.view import AXES, View, first_vary
from engine import Coefficient, Method, Recipe, available_methods
from sample_models import available_models

WORDS = st.text(max_size=12)


def values_of(coefficient: Coefficient) -> st.SearchStrategy[object]:
    """Any value that the coefficient allows."""
    if coefficient.kind == "choice":
        return st.sampled_from(coefficient.choices)
    if coefficient.kind == "layers":
        return st.lists(WORDS, max_size=3).map(tuple)
    if coefficient.kind == "count":
        return st.integers(int(coefficient.low), int(coefficient.high))
    return st.floats(coefficient.low, coefficient.high, exclude_max=coefficient.below)


@st.composite
def methods(draw: st.DrawFn) -> Method:
    """Any step."""
    kind = draw(st.sampled_from(list(available_methods().values())))
    form = draw(st.sampled_from(kind.forms))
    return kind(form.name, {name: draw(values_of(kind.coefficient(name))) for name in form.coefficients})


@st.composite
def views(draw: st.DrawFn, least: int = 0) -> View:
    """Any view that a page can be in."""
    recipe = Recipe(tuple(draw(st.lists(methods(), min_size=least, max_size=4))))
    numbers = [
        (i, c.name) for i, s in enumerate(recipe) for c in type(s).coefficients if c.numeric and c.name in s.values
    ]
    return View(
        model=draw(st.sampled_from(available_models())),
        recipe=recipe,
        off=frozenset(draw(st.sets(st.integers(0, len(recipe) - 1)))) if len(recipe) else frozenset(),
        vary=draw(st.sampled_from(numbers)) if numbers else first_vary(recipe),
        x=draw(st.sampled_from(AXES)),
        layer=draw(WORDS),
        full=draw(st.booleans()),
    )

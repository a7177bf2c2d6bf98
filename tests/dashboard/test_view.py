"""The view as text: what comes back from an address, and what an address cannot do."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dashboard.gallery import FIRST_MODEL
from dashboard.view import AXES, MOST_TEXT, VERSION, View, first_vary, first_view
from engine import Recipe, SecateurError
from sample_models import available_models

from .views import views

NAMES = ", ".join(available_models())
PRUNE = ["weight_pruning", {"form": "magnitude_global", "amount": 0.5}]
GOOD = {"v": VERSION, "model": "digits_mlp", "recipe": [PRUNE], "off": [], "vary": [0, "amount"]}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def changed(**parts: object) -> str:
    return json.dumps(GOOD | parts)


def refusal(text: str) -> str:
    """The one sentence with which an address is refused."""
    with pytest.raises(SecateurError) as caught:
        View.from_text(text)
    sentence = str(caught.value)
    assert sentence.strip() == sentence
    assert "\n" not in sentence
    assert 0 < len(sentence) < 700
    return sentence


@given(views())
def test_a_view_comes_back_from_its_text(view: View) -> None:
    text = view.to_text()
    assert View.from_text(text) == view
    assert View.from_text(text).to_text() == text
    assert len(text) < MOST_TEXT
    assert text.isascii()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the address must hold a view as JSON, got: "),
        ("nonsense", "the address must hold a view as JSON, got: "),
        ("[" * 5000, "the address must hold a view as JSON, got: "),
        ("1" * 5000, "the address must hold a view as JSON, got: "),
        ("[]", "the address must hold a view as an object, got list"),
        ("null", "the address must hold a view as an object, got NoneType"),
        ("{}", "the address must be of version 1, got 'None'"),
        (" " * (MOST_TEXT + 1), f"the address must hold at most {MOST_TEXT} characters, got {MOST_TEXT + 1}"),
        (changed(v=2), "the address must be of version 1, got '2'"),
        (changed(model=None), "the address must name a model, got None"),
        (changed(model="../../etc/passwd"), f"model must be one of {NAMES}; got '../../etc/passwd'"),
        (changed(model="digits"), f"model must be one of {NAMES}; got 'digits', did you mean "),
        (changed(recipe=3), "a recipe must be a list of steps, got int"),
        (changed(recipe=[3]), "step 0 must be [method, {coefficient: value}], got 3"),
        (changed(recipe=[["magic", {}]]), "method must be one of "),
        (changed(recipe=[["weight_pruning", {"amount": 2}]]), "weight_pruning: amount must be at least 0 and below 1"),
        (changed(recipe=[["weight_pruning", {"amount": float("nan")}]]), "weight_pruning: amount must be finite, got"),
        (changed(recipe=[PRUNE] * 33), "a recipe must have at most 32 steps, got 33"),
        (changed(off=[1]), "the steps switched off must be steps of the recipe, got [1]"),
        (changed(off=[-1]), "the steps switched off must be steps of the recipe, got [-1]"),
        (changed(off=[True]), "the steps switched off must be steps of the recipe, got [True]"),
        (changed(off="0"), "the steps switched off must be steps of the recipe, got 0"),
        (changed(vary=[1, "amount"]), "a step must be one of the recipe's (0 to 0), got 1"),
        (changed(vary=[0, "form"]), "a coefficient of weight_pruning must be one of "),
        (changed(vary=[0, "alpha"]), "alpha must be a number that the step uses to be varied"),
        (changed(vary="0.amount"), "the varied coefficient must be [step, name], got 0.amount"),
        (changed(x="colour"), "the horizontal axis must be one of coefficient, "),
        (changed(x=["parameters"]), "the horizontal axis must be one of coefficient, "),
        (changed(layer=7), "the layer must be a name, got 7"),
    ],
    ids=lambda text: text[:40],
)
def test_a_hostile_address_is_one_sentence(text: str, sentence: str) -> None:
    assert refusal(text).startswith(sentence)


@given(st.sampled_from(["v", "model", "recipe", "off", "vary", "x", "layer"]), JSON)
@example("recipe", [["weight_pruning", {"amount": "{0.__class__}"}]])
@example("recipe", [["{0}", {}]])
@example("model", "{model}")
@example("model", "\ud800")
@example("vary", [[0], {"a": 1}])
@example("recipe", [["node_pruning", {"protect": [["deep"]]}]])
def test_whatever_stands_in_an_address_is_a_view_or_one_sentence(part: str, value: object) -> None:
    text = changed(**{part: value})
    try:
        view = View.from_text(text)
    except SecateurError:
        refusal(text)
    else:
        assert View.from_text(view.to_text()) == view


@given(st.text(max_size=300))
def test_any_text_is_refused_with_one_sentence(text: str) -> None:
    refusal(text)


@pytest.mark.parametrize("depth", [100, 900, 940, 960, 980, 990, 2000, 8000])
@pytest.mark.parametrize("part", ["off", "vary", "x", "model", "recipe", "layer", "v"])
def test_depth_is_no_way_in(part: str, depth: int) -> None:
    text = json.dumps(GOOD | {part: "HERE"}).replace('"HERE"', "[" * depth + "]" * depth)
    refusal(text)


def test_what_is_left_out_takes_its_default() -> None:
    view = View.from_text('{"v":1,"model":"digits_mlp","recipe":[["weight_pruning"]]}')
    assert view == View("digits_mlp", Recipe.of([PRUNE]), vary=(0, "amount"), x=AXES[0])
    assert View.from_text('{"v":1,"model":"digits_mlp"}') == View("digits_mlp", Recipe())


@given(views())
def test_the_active_steps_are_those_that_are_on(view: View) -> None:
    on = [step for i, step in enumerate(view.recipe) if i not in view.off]
    assert list(view.active) == on
    if view.vary is None or view.vary[0] in view.off:
        assert view.active_vary is None
    else:
        index, name = view.active_vary
        assert name == view.vary[1]
        assert view.active.step(index) is view.recipe.step(view.vary[0])


def test_what_varies_first() -> None:
    two = Recipe.of([["layer_pruning", {}], PRUNE])
    assert first_vary(Recipe()) is None
    assert first_vary(two) == (0, "amount")
    assert first_vary(two, prefer=1) == (1, "amount")
    assert first_vary(two, prefer=9) == (0, "amount")


def test_a_visitor_without_a_link_sees_a_view_that_has_one() -> None:
    view = first_view()
    assert view.model == FIRST_MODEL
    assert view.vary is not None
    assert View.from_text(view.to_text()) == view

"""Recipes as text: what is not one is refused with a sentence, whatever it is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import (
    Coefficient,
    InvalidCoefficient,
    InvalidInput,
    MalformedRecipe,
    Method,
    Recipe,
    SecateurError,
    UnknownName,
    available_methods,
)

METHODS = available_methods()
NAMES = sorted({c.name for m in METHODS.values() for c in m.coefficients} | {"form"})
FORMS = sorted({f.name for m in METHODS.values() for f in m.forms})

REFUSED = {
    "": MalformedRecipe,
    "{}": MalformedRecipe,
    "null": MalformedRecipe,
    "3": MalformedRecipe,
    '"[]"': MalformedRecipe,
    "[": MalformedRecipe,
    "[[]]": MalformedRecipe,
    "[3]": MalformedRecipe,
    "[null]": MalformedRecipe,
    '[["weight_pruning", {}, {}]]': MalformedRecipe,
    '[["weight_pruning", []]]': MalformedRecipe,
    '[["weight_pruning", "half"]]': MalformedRecipe,
    '["weight_prunning"]': UnknownName,
    "[[{}, {}]]": UnknownName,
    "[[[], {}]]": UnknownName,
    '[["weight_pruning", {"form": "magnitude"}]]': UnknownName,
    '[["weight_pruning", {"form": ""}]]': UnknownName,
    '[["weight_pruning", {"form": null}]]': UnknownName,
    '[["weight_pruning", {"form": []}]]': UnknownName,
    '[["weight_pruning", {"form": 0}]]': UnknownName,
    '[["weight_pruning", {"amuont": 0.5}]]': UnknownName,
    '[["weight_pruning", {"alpha": 0.5}]]': InvalidInput,
    '[["weight_pruning", {"amount": NaN}]]': InvalidCoefficient,
    '[["weight_pruning", {"amount": -Infinity}]]': InvalidCoefficient,
    '[["weight_pruning", {"amount": 1e999}]]': InvalidCoefficient,
    '[["weight_pruning", {"amount": 1}]]': InvalidCoefficient,
    '[["weight_pruning", {"amount": true}]]': InvalidCoefficient,
    '[["weight_pruning", {"amount": "0.5"}]]': InvalidCoefficient,
    '[["weight_pruning", {"amount": ' + "9" * 400 + "}]]": InvalidCoefficient,
    '[["weight_pruning", {"amount": ' + "9" * 5000 + "}]]": MalformedRecipe,
    '["\\ud800"]': UnknownName,
    "[" * 100_000: MalformedRecipe,
    json.dumps(["weight_pruning"] * 33): MalformedRecipe,
}


@pytest.mark.parametrize(("text", "kind"), REFUSED.items(), ids=[text[:48] for text in REFUSED])
def test_what_is_no_recipe_is_refused_in_one_sentence(text: str, kind: type[SecateurError]) -> None:
    with pytest.raises(SecateurError) as caught:
        Recipe.parse(text)
    assert type(caught.value) is kind
    said = str(caught.value)
    assert " must " in said
    assert "\n" not in said
    assert len(said) < 400
    said.encode()  # no half of a surrogate pair


@pytest.mark.parametrize("inside", ['{"amount": %s}', '{"form": %s}', '{"%s": 1}', "%s"])
def test_nesting_of_any_depth_is_refused(inside: str) -> None:
    for depth in [*range(50, 1500, 50), *range(900, 1000, 3)]:
        value = "[" * depth + "]" * depth
        with pytest.raises(SecateurError):
            Recipe.parse('[["weight_pruning", ' + inside % value + "]]")


def only_named_errors(text: str) -> None:
    """Whatever the text is: a recipe whose own text leads back to it, or an error of ours, in one line."""
    try:
        recipe = Recipe.parse(text)
    except SecateurError as error:
        assert "\n" not in str(error)  # noqa: PT017
        assert isinstance(error, InvalidInput)  # noqa: PT017
    else:
        assert Recipe.parse(str(recipe)) == recipe


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.sampled_from([*METHODS, *FORMS])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.sampled_from(NAMES), inner, max_size=3),
)


@given(st.text())
def test_any_text_is_a_recipe_or_a_named_error(text: str) -> None:
    only_named_errors(text)


@given(JSON)
def test_any_json_is_a_recipe_or_a_named_error(data: object) -> None:
    only_named_errors(json.dumps(data))


@given(st.sampled_from([*METHODS]), st.dictionaries(st.sampled_from(NAMES), JSON, max_size=3))
def test_any_values_of_a_known_method_are_a_recipe_or_a_named_error(name: str, values: dict[str, object]) -> None:
    only_named_errors(json.dumps([[name, values]]))


@settings(max_examples=60)
@given(st.sampled_from([*METHODS]), st.integers(0, 60), st.text(max_size=3))
def test_a_recipe_with_a_few_letters_changed_is_a_recipe_or_a_named_error(name: str, place: int, letters: str) -> None:
    text = str(Recipe.of([name]))
    only_named_errors(text[:place] + letters + text[place + len(letters) :])


def values_of(knob: Coefficient) -> st.SearchStrategy[object]:
    if knob.kind == "choice":
        return st.sampled_from(knob.choices)
    if knob.kind == "layers":
        return st.lists(st.text(max_size=5), max_size=3)
    if knob.kind == "count":
        return st.integers(int(knob.low), int(knob.high))
    return st.floats(knob.low, knob.high, exclude_max=knob.below)


@st.composite
def steps(draw: st.DrawFn) -> Method:
    method = METHODS[draw(st.sampled_from([*METHODS]))]
    form = draw(st.sampled_from(method.forms))
    names = draw(st.sets(st.sampled_from(form.coefficients)))
    return method(form.name, {name: draw(values_of(method.coefficient(name))) for name in names})


@given(st.lists(steps(), max_size=5), st.lists(steps(), max_size=5))
def test_equal_recipes_have_equal_texts_and_only_these(first: list[Method], second: list[Method]) -> None:
    one, other = Recipe(tuple(first)), Recipe(tuple(second))
    for recipe in (one, other):
        assert Recipe.parse(str(recipe)) == recipe
        assert str(Recipe.parse(str(recipe))) == str(recipe)
        assert hash(Recipe.parse(str(recipe))) == hash(recipe)
    assert (one == other) == (str(one) == str(other))


def test_shorthands_lead_to_the_same_recipe() -> None:
    wanted = Recipe((METHODS["weight_pruning"](),))
    for short in (
        wanted,
        str(wanted),
        ["weight_pruning"],
        [["weight_pruning"]],
        [("weight_pruning", {})],
        [wanted.steps[0]],
    ):
        assert Recipe.of(short) == wanted
    assert Recipe.of(None) == Recipe.of([]) == Recipe.parse("[]") == Recipe()
    assert str(Recipe()) == "[]"


def test_a_name_close_to_one_is_suggested() -> None:
    with pytest.raises(UnknownName, match=r"got 'weight_prunning', did you mean 'weight_pruning'\?"):
        Recipe.of(["weight_prunning"])
    with pytest.raises(UnknownName, match=r"a coefficient of weight_pruning must be .*did you mean 'amount'\?"):
        Recipe.of([["weight_pruning", {"amuont": 0.5}]])


def test_one_coefficient_of_one_step_can_be_varied() -> None:
    recipe = Recipe.of(["weight_clipping", ["weight_pruning", {"amount": 0.2}]])
    assert recipe.vary(1, "amount", 0.7) == Recipe.of(["weight_clipping", ["weight_pruning", {"amount": 0.7}]])
    assert recipe == Recipe.of(["weight_clipping", ["weight_pruning", {"amount": 0.2}]])
    for index in (2, -1, True, "0", 0.0, None):
        with pytest.raises(InvalidInput, match=r"a step must be one of the recipe's \(0 to 1\), got"):
            recipe.vary(index, "amount", 0.7)
    with pytest.raises(InvalidInput, match="none, for the recipe is empty"):
        Recipe().step(0)

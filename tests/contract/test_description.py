"""A form as text and as data: recipes, refused values, documentation."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from engine import Coefficient, Form, InvalidCoefficient, InvalidInput, Method, Recipe, describe_method
from tests.contract.cases import FORMS, METHODS, MODELS, every_form, gentle
from tests.tiny import tiny

ROOT = Path(__file__).parents[2]

KNOBS = [(method, form, method.coefficient(name)) for method, form in FORMS for name in form.coefficients]
every_knob = pytest.mark.parametrize(
    ("method", "form", "knob"), KNOBS, ids=[f"{m.name}-{f.name}-{c.name}" for m, f, c in KNOBS]
)
UNUSED = [(m, f, c.name) for m, f in FORMS for c in m.coefficients if c.name not in f.coefficients]


@every_form
def test_the_canonical_text_leads_back_to_the_recipe(method: type[Method], form: Form) -> None:
    recipe = Recipe((method(form.name), gentle(method, form)))
    again = Recipe.parse(str(recipe))
    assert again == recipe
    assert str(again) == str(recipe)
    assert hash(again) == hash(recipe)
    assert Recipe.of(recipe.to_list()) == recipe


@every_form
def test_defaults_written_out_are_defaults_left_out(method: type[Method], form: Form) -> None:
    written = {name: method.coefficient(name).default for name in reversed(form.coefficients)}
    short, full = (
        Recipe.of([[method.name, {"form": form.name}]]),
        Recipe.of([(method.name, written | {"form": form.name})]),
    )
    assert short == full
    assert str(short) == str(full)


@every_knob
def test_another_value_is_another_text(method: type[Method], form: Form, knob: Coefficient) -> None:
    other = {"choice": knob.choices[-1:] or None, "layers": (["head"],)}.get(knob.kind, (knob.low,))[0]
    recipe = Recipe((method(form.name),))
    changed = recipe.vary(0, knob.name, other)
    assert changed != recipe or knob.default == other
    assert (str(changed) == str(recipe)) == (changed == recipe)


def test_texts_and_fingerprints_are_the_same_in_another_process() -> None:
    script = (
        "import json; from tests.contract.cases import FORMS, MODELS, gentle; from tests.tiny import tiny;"
        "from engine import Recipe;"
        "print(json.dumps([[str(Recipe((gentle(m, f),))) for m, f in FORMS], [tiny(n).fingerprint for n in MODELS]]))"
    )
    environment = os.environ | {"PYTHONHASHSEED": "4242"}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, check=True)
    texts, prints = json.loads(done.stdout)
    assert texts == [str(Recipe((gentle(method, form),))) for method, form in FORMS]
    assert prints == [tiny(name).fingerprint for name in MODELS]
    assert len(set(prints)) == len(MODELS)


@every_knob
def test_values_just_outside_are_refused_in_one_sentence(method: type[Method], form: Form, knob: Coefficient) -> None:
    for value in knob.just_outside():
        with pytest.raises(InvalidCoefficient) as caught:
            method(form.name, {knob.name: value})
        assert re.fullmatch(rf"{method.name}: {knob.name} must [^\n]+, got [^\n]+", str(caught.value)), value


@every_knob
def test_values_just_inside_are_taken(method: type[Method], form: Form, knob: Coefficient) -> None:
    inside = {"choice": knob.choices, "layers": ([], ["head", "stem"])}.get(
        knob.kind, (knob.low, knob.top, knob.default)
    )
    for value in inside:
        method(form.name, {knob.name: value})


@pytest.mark.parametrize(("method", "form", "name"), UNUSED, ids=[f"{m.name}-{f.name}-{c}" for m, f, c in UNUSED])
def test_a_coefficient_that_the_form_does_not_use_is_refused(method: type[Method], form: Form, name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        method(form.name, {name: method.coefficient(name).default})
    said = str(caught.value)
    assert all(used in said for used in (method.name, form.name, *form.coefficients)), said
    assert said.endswith(f"got {name}")


def _numbers(text: str) -> set[float]:
    return {float(found.replace(",", "")) for found in re.findall(r"\d[\d,]*(?:\.\d+)?(?:e-?\d+)?", text)}


def _line(doc: str, name: str) -> str:
    """What the docstring's table says of one coefficient: its line and what is indented below it."""
    found = re.search(rf"^(    [\w, ]*\b{name}\b[\w, ]*?  .*(?:\n {{8,}}.*)*)", doc, flags=re.MULTILINE)
    assert found, f"no line for {name}"
    return found[1]


@every_knob
def test_the_docstring_gives_each_coefficient_with_its_range(
    method: type[Method], form: Form, knob: Coefficient
) -> None:
    line = _line(method.__doc__ or "", knob.name)
    if knob.numeric:
        assert {float(knob.low), float(knob.high)} <= _numbers(line), line
    elif knob.kind == "choice":
        assert f'"{knob.default}"' in line


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_the_docstring_has_formulas_errors_and_sources(method: type[Method]) -> None:
    doc = method.__doc__ or ""
    for form in method.forms:
        assert re.search(rf"^    {form.name}  +\S", doc, flags=re.MULTILINE), form.name
    assert "Raises" in doc
    assert "Source:" in doc


@every_form
def test_a_form_says_what_it_is(method: type[Method], form: Form) -> None:
    assert form.latex
    assert form.summary.endswith(".")
    assert form.source
    assert form.needs <= {"data", "original", "training"}
    assert set(form.neutral or {}) | set(form.effect.monotone) <= set(form.coefficients)


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_a_method_has_its_literal_formula_and_a_default_that_is_not_it(method: type[Method]) -> None:
    names = [form.name for form in method.forms]
    if method.name != "repair":  # it is no method of the source document
        assert names[0] == "formula"
        assert method.default_form in names[1:]
    assert method.default_form in names
    assert {name for form in method.forms for name in form.coefficients} == {c.name for c in method.coefficients}
    assert sys.modules[method.__module__].__name__ == f"engine.methods.{method.name}"


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_a_method_as_plain_data_is_json(method: type[Method]) -> None:
    data = json.loads(json.dumps(describe_method(method)))
    assert data["forms"] == [form.name for form in method.forms]
    assert {c["name"]: set(c["forms"]) for c in data["coefficients"]} == {
        c.name: {f.name for f in method.forms if c.name in f.coefficients} for c in method.coefficients
    }
    for plain in data["coefficients"]:
        assert {"name", "kind", "low", "high", "unit", "default", "forms"} <= plain.keys()


def test_the_same_coefficient_means_the_same_everywhere() -> None:
    kinds: dict[str, set[str]] = {}
    for method in METHODS:
        for knob in method.coefficients:
            kinds.setdefault(knob.name, set()).add("number" if knob.kind in ("real", "fraction") else knob.kind)
    assert all(len(kind) == 1 for kind in kinds.values()), kinds

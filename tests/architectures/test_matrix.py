"""A pairwise cover of architectures, forms and strengths, against the committed table; `make bench` runs all of it."""

from __future__ import annotations

from itertools import product

import pytest

from engine import available_methods
from tests.architectures.every import ARCHITECTURES, architecture
from tests.architectures.matrix import (
    DEAR,
    FORMS,
    STRENGTHS,
    Hangs,
    context_of,
    cover,
    limited,
    main_knob,
    outcomes,
    sound,
    strengths,
)
from tests.architectures.table import Table

COVER = [case for name in ARCHITECTURES for case in cover(name)]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_what_is_accepted_runs_and_what_is_refused_is_in_the_table(name: str) -> None:
    found = list(outcomes(cover(name)))
    assert not Table.read().differences(found)
    assert all(one.reason for one in found if one.status != "accepted")


def test_the_cover_holds_every_pair() -> None:
    forms = [(method.name, form.name) for method, form in FORMS]
    whole = [name for name in ARCHITECTURES if name not in DEAR]
    assert {(c.architecture, c.method, c.form) for c in COVER} >= {(n, *f) for n, f in product(whole, forms)}
    assert {(c.architecture, c.strength) for c in COVER} == set(product(ARCHITECTURES, STRENGTHS))
    assert {((c.method, c.form), c.strength) for c in COVER} == set(product(forms, STRENGTHS))
    assert {(c.architecture, c.method) for c in COVER} == set(product(ARCHITECTURES, available_methods()))


@pytest.mark.parametrize(("method", "form"), FORMS, ids=[f"{m.name}-{f.name}" for m, f in FORMS])
def test_strengths_are_three_values_none_of_them_neutral(method: object, form: object) -> None:
    knob = main_knob(method, form)  # type: ignore[arg-type]
    values = strengths(knob, form)  # type: ignore[arg-type]
    assert len(set(values)) == len(STRENGTHS)
    assert (form.neutral or {}).get(knob.name) not in values  # type: ignore[attr-defined]
    assert values[-1] in (knob.low, knob.top)


def test_a_case_without_an_end_is_ended_and_nothing_catches_that() -> None:
    def go_on() -> None:
        while True:
            try:
                sum(range(1000))
            except Exception:  # as the code that hangs may
                continue

    with pytest.raises(Hangs, match=r"more than 0\.2 s"), limited(0.2):
        go_on()


def test_a_variant_that_gives_another_shape_or_has_no_gradients_is_not_sound() -> None:
    name = "highway"
    other = architecture("resnet_basic").model()
    with pytest.raises(Exception, match="Expected 3D"):
        sound(other, name)
    narrow = architecture(name).model()
    narrow[-1] = narrow[-1].__class__(32, 4)
    with pytest.raises(AssertionError, match="another shape"):
        sound(narrow, name)
    sound(context_of(name).original, name)

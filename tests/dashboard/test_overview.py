"""All methods at once: what a model without steps shows."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from dashboard import measuring, state
from dashboard.overview import POINTS
from dashboard.view import View
from engine import Recipe, available_methods

from .conftest import OpenPage, Page

SEVEN = set(available_methods()) - {"repair"}


def lines(page: Page) -> dict[str, list[str]]:
    """The recipes of each method's points on the chart, by the method's title."""
    figure = json.loads(page.component("overview")["figure"])
    return {trace["name"]: trace["customdata"] for trace in figure["data"] if trace["mode"] == "lines+markers"}


def test_every_method_has_its_points_and_trainings_are_asked_first(open_page: OpenPage) -> None:
    page = open_page([])
    titles = {name: kind.title for name, kind in available_methods().items()}
    trained = {titles["knowledge_distillation"], titles["parameter_optimization"]}
    expected = {titles[name] for name in SEVEN} - trained
    page.until(lambda: set(lines(page)) == expected and min(map(len, lines(page).values())) >= POINTS - 1)
    free = lines(page)
    for name, recipes in free.items():
        assert 2 <= len(recipes) <= POINTS, name
        assert len(set(recipes)) == len(recipes)
        assert all(len(Recipe.parse(text)) == 1 for text in recipes)
    page.move("button", "pay-overview")
    page.until(lambda: set(lines(page)) == {titles[name] for name in SEVEN})


def test_there_is_none_where_a_step_is_chosen(open_page: OpenPage) -> None:
    page = open_page()
    assert "overview" not in {c.key for c in page.at.get("bidi_component")}
    assert page.chart()["data"]


def test_the_points_are_the_methods_defaults_over_their_first_number(monkeypatch: pytest.MonkeyPatch) -> None:
    view = View("digits_mlp", Recipe())
    monkeypatch.setattr(state, "marked", lambda name, mark: False)
    found = measuring.wishes_of(view).overview
    assert {one.method for one in found} == SEVEN
    for one in found:
        default = available_methods()[one.method]()
        for value, job in zip(one.values, one.jobs, strict=True):
            step = Recipe.parse(job.recipe).step(0)
            assert step.form == default.form
            assert step.number(one.name) == pytest.approx(value)
    assert measuring.wishes_of(replace(view, x="latency_ms")).overview == found

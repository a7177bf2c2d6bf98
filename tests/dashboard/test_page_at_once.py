"""What is known is drawn in the run that a move starts, and what takes a moment as soon as it is there."""

from __future__ import annotations

import json
import time

import pytest

from dashboard import cache, measuring
from dashboard.view import View
from dashboard.views import explore
from engine import Recipe, Runner, open_store

from .conftest import PRUNE, OpenPage, Page

AMOUNT = "step0-magnitude_global-amount"


def points(page: Page) -> dict[str, int]:
    """How many points each trace of the chart has; without what another test had measured beside the curve."""
    traces = [trace for trace in page.chart()["data"] if not trace["name"].startswith("original in")]
    return {trace["name"]: len(trace["x"]) for trace in traces}


def test_after_a_restart_all_that_is_stored_is_in_the_first_run(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = open_page()
    before.wait()
    full = points(before)
    assert full["amount"] == 11
    monkeypatch.setattr(explore, "AT_FIRST_S", 0.0)  # nothing is waited for
    fresh = Runner(open_store(cache.runner()._store.url))
    monkeypatch.setattr(cache, "runner", lambda: fresh)
    try:
        page = Page(json.dumps(before.address))
        assert points(page) == full
        assert [card.value for card in page.cards] == [card.value for card in before.cards]
    finally:
        fresh.close()


def test_a_moment_is_enough_for_a_small_models_figures(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    page = open_page()
    page.wait()
    monkeypatch.setattr(explore, "AT_FIRST_S", 20.0)
    began = time.monotonic()
    next(w for w in page.at.slider if w.key == AMOUNT).set_value(0.613)
    page.run()  # the only one
    assert time.monotonic() - began < 15  # and no longer than it takes
    assert points(page)["this recipe"] == 1


def test_the_page_looks_sooner_for_its_own_figures_than_for_the_curves(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explore, "AT_FIRST_S", 0.0)
    page = open_page()
    page.wait()
    view = View("digits_mlp", Recipe.of([[PRUNE[0], {**PRUNE[1], "amount": 0.777}]]), vary=(0, "amount"))
    wishes = measuring.wishes_of(view)
    known = cache.runner().outcome
    plan = measuring.Plan([wishes.original, wishes.here, *wishes.points], beside=list(wishes.random))
    assert explore._busy(wishes, plan) == explore.SOON_S
    monkeypatch.setattr(cache.runner(), "outcome", lambda job: known(wishes.original if job == wishes.here else job))
    new = wishes.random[0]
    assert explore._busy(wishes, measuring.Plan([wishes.here, new])) == explore.POLL_S
    assert explore._busy(wishes, measuring.Plan([wishes.here], beside=[new])) == explore.SLOWLY_S
    assert explore._busy(wishes, measuring.Plan([wishes.here])) == 0


def test_thirty_quick_moves_end_with_the_last_one_alone(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    page = open_page()
    page.wait()
    monkeypatch.setattr(explore, "AT_FIRST_S", 0.0)
    for move in range(30):
        page.move("slider", AMOUNT, round(0.11 + 0.02 * move, 2))
    page.wait()
    found = {trace["name"]: trace for trace in page.chart()["data"]}
    assert found["this recipe"]["x"] == [0.69]
    assert len(found["amount"]["x"]) == 11
    assert page.address["recipe"][0][1]["amount"] == 0.69
    assert len(page.cards) == 6


def test_a_sliders_move_draws_the_results_alone(open_page: OpenPage) -> None:
    page = open_page()
    page.wait()
    amount = next(w for w in page.at.slider if w.key == AMOUNT)
    amount.set_value(0.6)
    page.run()
    assert len(page.cards) == 6
    assert AMOUNT not in page.keys("slider")  # the sidebar was not drawn again
    assert page.address["recipe"][0][1]["amount"] == 0.6
    page.run()
    assert AMOUNT in page.keys("slider")


def test_a_move_that_the_sidebar_hangs_on_draws_all(open_page: OpenPage) -> None:
    page = open_page([["node_pruning", {"amount": 0.3}], PRUNE])
    page.wait()
    key = next(w.key for w in page.at.slider if w.key.startswith("step0") and w.key.endswith("amount"))
    next(w for w in page.at.slider if w.key == key).set_value(next(w for w in page.at.slider if w.key == key).value + 1)
    page.run()
    assert key in page.keys("slider")
    assert len(page.cards) == 6

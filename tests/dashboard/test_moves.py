"""The session: moves keep the curve on its step, and an address is followed, refused or recognised as late."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import state
from dashboard.view import View, first_view
from engine import Method, Recipe, available_methods

from .conftest import Session, Visit
from .views import methods, views


def varied(view: View) -> tuple[Method, str] | None:
    """The step itself that the curve is about, and its coefficient."""
    return None if view.vary is None else (view.recipe.step(view.vary[0]), view.vary[1])


def distinct(view: View) -> bool:
    """Whether no two steps are equal, so that a step can be told by what it is."""
    return len(set(view.recipe)) == len(view.recipe)


@given(views(least=2).filter(distinct), st.data())
def test_moving_a_step_keeps_the_curve_on_its_step(view: View, data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        visit = Visit(patch)
        state.begin()
        visit.at(view)
        names = dict(zip(view.recipe, visit.page.session_state.uids, strict=True))
        index, by = data.draw(st.integers(0, len(view.recipe) - 1)), data.draw(st.sampled_from([-1, 1]))
        state.move_step(index, by)
        after = state.begin()
        assert varied(after) == varied(view)
        assert set(after.recipe) == set(view.recipe)
        assert {after.recipe.step(i) for i in after.off} == {view.recipe.step(i) for i in view.off}
        assert dict(zip(after.recipe, visit.page.session_state.uids, strict=True)) == names
        moved = 0 <= index + by < len(view.recipe)
        assert (after.recipe.step(index + by if moved else index)) is view.recipe.step(index)
        assert visit.address == after.to_text()


@given(views(least=1).filter(distinct), st.data())
def test_removing_a_step_keeps_the_curve_on_another(view: View, data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        visit = Visit(patch)
        state.begin()
        visit.at(view)
        index = data.draw(st.integers(0, len(view.recipe) - 1))
        state.remove_step(index)
        after = state.begin()
        gone = view.recipe.step(index)
        assert list(after.recipe) == [step for step in view.recipe if step is not gone]
        assert {after.recipe.step(i) for i in after.off} == {view.recipe.step(i) for i in view.off} - {gone}
        if view.vary is not None and view.vary[0] != index:
            assert varied(after) == varied(view)
        assert View.from_text(after.to_text()) == after


@given(views(), methods())
def test_adding_a_step_lets_the_curve_follow_it(view: View, step: Method) -> None:
    with pytest.MonkeyPatch.context() as patch:
        visit = Visit(patch)
        state.begin()
        visit.at(view)
        before = list(visit.page.session_state.uids)
        state.add_step(step)
        after = state.begin()
        assert list(after.recipe) == [*view.recipe, step]
        assert after.off == view.off
        assert after.vary == (len(view.recipe), after.vary[1])  # every method has a number
        uids = visit.page.session_state.uids
        assert uids[:-1] == before
        assert len(set(uids)) == len(uids)


@given(views(least=1), st.data())
def test_switching_a_step_off_and_on_changes_nothing_else(view: View, data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        visit = Visit(patch)
        state.begin()
        visit.at(view)
        index = data.draw(st.integers(0, len(view.recipe) - 1))
        state.switch_step(index, False)
        assert state.begin() == replace(view, off=view.off | {index})
        state.switch_step(index, True)
        assert state.begin() == replace(view, off=view.off - {index})


@given(views(least=1), methods(), st.data())
def test_another_step_in_its_place_has_a_curve(view: View, step: Method, data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        visit = Visit(patch)
        state.begin()
        visit.at(view)
        index = data.draw(st.integers(0, len(view.recipe) - 1))
        state.set_step(index, step)
        after = state.begin()
        assert after.recipe.step(index) is step
        assert after.vary is not None
        assert after.vary[1] in after.recipe.step(after.vary[0]).values
        assert View.from_text(after.to_text()) == after


def test_the_coefficient_that_was_touched_is_varied(visit: Visit) -> None:
    step = available_methods()["weight_clipping"]()
    visit.at(View("digits_mlp", Recipe.of(["layer_pruning", step]), vary=(0, "amount")))
    state.set_step(1, step.with_value("alpha", 0.5), vary="alpha")
    assert state.begin().vary == (1, "alpha")
    state.set_step(1, step.with_value("scale", "std"))
    assert state.begin().vary == (1, "alpha")


def test_a_visitor_without_a_link_has_an_address_at_once(visit: Visit) -> None:
    assert state.view() == first_view()
    assert visit.address == first_view().to_text()
    assert state.complaint() == ""


def test_a_link_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    view = View("digits_mlp", Recipe.of(["layer_pruning"]), vary=(0, "amount"), x="parameters")
    visit = Visit(monkeypatch, view.to_text())
    assert state.begin() == view
    other = replace(view, x="latency_ms")
    visit.address = other.to_text()
    assert state.begin() == other


def test_a_bad_address_leaves_the_last_good_view_and_a_sentence(visit: Visit) -> None:
    good = visit.at(View("digits_mlp", Recipe(), x="parameters"))
    visit.address = "nonsense"
    assert state.begin() == good
    assert state.complaint().startswith("the address must hold a view as JSON")
    assert visit.address == good.to_text()
    state.begin()
    assert state.complaint() != ""  # until the next move
    visit.at(replace(good, x="nonzero"))
    assert state.complaint() == ""


def test_a_good_address_after_a_bad_one_takes_the_sentence_away(visit: Visit) -> None:
    visit.address = "nonsense"
    state.begin()
    visit.address = View("digits_mlp", Recipe()).to_text()
    assert state.begin() == View("digits_mlp", Recipe())
    assert state.complaint() == ""


def test_a_late_address_does_not_undo_a_move_and_an_old_one_is_followed(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = visit.at(View("digits_mlp", Recipe(), x="parameters"))
    new = visit.at(replace(old, x="nonzero"))
    visit.address = old.to_text()
    assert state.begin() == new
    monkeypatch.setattr(state, "LATE_S", 0.0)
    visit.address = old.to_text()
    assert state.begin() == old


def test_a_late_value_of_a_widget_does_not_undo_what_was_put(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The browser polls with all its widgets, and may not have seen yet what the page put there."""
    session, acted = visit.page.session_state, []
    callback = state.on_move("slider", acted.append)
    state.put("slider", 0.5)
    state.put("slider", 0.8)
    session.slider = 0.5
    callback()
    assert (acted, session.slider) == ([], 0.8)
    session.slider = 0.6
    callback()
    assert acted == [0.6]
    monkeypatch.setattr(state, "LATE_S", 0.0)
    session.slider = 0.5  # a while later it is the reader's wish
    callback()
    assert acted == [0.6, 0.5]


def test_what_a_reader_moves_is_never_taken_for_late(visit: Visit) -> None:
    session, acted = visit.page.session_state, []
    callback = state.on_move("slider", acted.append)
    state.put("slider", 1)
    for value in (2, 3, 2, 1):
        session.slider = value
        callback()
        state.put("slider", value)
    assert acted == [2, 3, 2, 1]


def test_what_a_slider_shows_anyway_is_not_put_again(visit: Visit) -> None:
    """To put it makes the browser go back to it, though by now the reader may have moved on."""
    session = visit.page.session_state
    put = []

    class Watched(Session):
        def __setitem__(self, key: str, value: object) -> None:
            put.append((key, value))
            super().__setitem__(key, value)

    visit.page.session_state = Watched(session)
    for value, stops in ((1, (1, 9)), (1, (1, 9)), (2, (1, 9)), (2, (1, 5)), (2, (1, 5))):
        state.put("slider", value, stops)
    assert put == [("slider", 1), ("slider", 2), ("slider", 2)]


def test_marks_are_kept_apart(visit: Visit) -> None:
    state.mark("paid", "a")
    state.mark("stopped", "b")
    assert state.marked("paid", "a")
    assert not state.marked("paid", "b")
    assert state.marked("stopped", "b")
    state.mark("stopped", "b", on=False)
    assert not state.marked("stopped", "b")

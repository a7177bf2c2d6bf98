"""What a reader does with pins."""

from __future__ import annotations

from dataclasses import replace

from dashboard import state
from dashboard.pin import LETTERS, MOST_PINS
from dashboard.view import first_vary


def pin() -> None:
    """Keep what is on the screen to compare, as long as there is room."""
    now = state.view()
    state.show(replace(now, pins=tuple(dict.fromkeys([*now.pins, now.pin]))[:MOST_PINS]))


def unpin(index: int) -> None:
    """Keep one no longer."""
    now = state.view()
    beside, letters = "", [letter for i, letter in enumerate(LETTERS[: len(now.pins)]) if i != index]
    if now.beside in letters:  # it keeps its pin, whose letter may be another now
        beside = LETTERS[letters.index(now.beside)]
    state.show(replace(now, pins=tuple(one for i, one in enumerate(now.pins) if i != index), beside=beside))


def hold_beside(letter: str) -> None:
    """Hold what is on the screen against a pin, or no longer against this one."""
    now = state.view()
    state.show(replace(now, beside="" if now.beside == letter else letter))


def open_pin(letter: str) -> None:
    """Put what was kept under that letter on the screen; nothing happens where there is none."""
    now, index = state.view(), LETTERS.find(letter) if len(letter) == 1 else -1
    if 0 <= index < len(now.pins):
        kept = now.pins[index]
        layer = now.layer if kept.model == now.model else ""
        vary = first_vary(kept.recipe)
        state.show(replace(now, model=kept.model, recipe=kept.recipe, off=frozenset(), vary=vary, layer=layer))

"""Coefficients as widgets: the only place that knows sliders."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import streamlit as st

from dashboard import state
from dashboard.words import t, title
from engine import Coefficient, Method

FINE = 200  # values that a slider can hold apart
Change = Callable[[object], None]


def series(coefficient: Coefficient, current: float) -> list[float]:
    """The stops of a slider over several powers of ten: 1, 2, 5, 10, ..., with the current value among them."""
    whole = coefficient.kind == "count"
    stops = {current, coefficient.low, coefficient.high}
    for exponent in range(-7, 7):
        for digit in (1, 2, 5):
            value = float(f"{digit}e{exponent}")
            if coefficient.low <= value <= coefficient.top and not (whole and value < 1):
                stops.add(value)
    return sorted(cast("list[float]", [int(s) if whole else s for s in stops]))


def spread(coefficient: Coefficient) -> bool:
    """Whether the range spans powers of ten."""
    if coefficient.kind == "count":
        return coefficient.high - coefficient.low > FINE
    return coefficient.scale == "log"


def widget(
    coefficient: Coefficient, value: object, key: str, change: Change, things: int | None, names: list[str]
) -> None:
    """The widget of one coefficient.

    things    how many layers or nodes there are, where the coefficient is a share of them: then it counts
    names     of the model's layers, to choose from
    """

    changed = state.on_move(key, change)
    label = f"{title(coefficient.name)}, {coefficient.unit}" if coefficient.unit else title(coefficient.name)
    note = t(coefficient.help)
    if coefficient.kind == "choice":
        state.put(key, value)
        st.segmented_control(label, coefficient.choices, key=key, help=note, on_change=changed, required=True)
    elif coefficient.kind == "layers":
        state.put(key, list(cast("tuple[str, ...]", value)))
        st.multiselect(label, sorted({*names, *cast("tuple[str, ...]", value)}), key=key, help=note, on_change=changed)
    elif coefficient.counts and things is not None and things > 1:
        _count_slider(coefficient, cast("float", value), key, change, things)
    elif spread(coefficient):
        stops = series(coefficient, cast("float", value))
        state.put(key, value, tuple(stops))
        st.select_slider(label, stops, key=key, help=note, on_change=changed, format_func=lambda v: f"{v:g}")
    else:
        _slider(coefficient, cast("float", value), key, changed, label)


def slider_key(uid: int, step: Method, name: str) -> str:
    """The key of the widget of a step's coefficient."""
    return f"step{uid}-{step.form}-{name}"


def position(coefficient: Coefficient, value: float, current: float, things: int | None) -> float | None:
    """Where the widget's thumb stands for a value, as the browser has it; None where it has no such place.

    current    what the widget shows just now, for it is among its stops
    things     how many layers or nodes there are, where the coefficient is a share of them
    """
    if coefficient.counts and things is not None and things > 1:
        return float(kept_of(value, things))
    if spread(coefficient):
        stops = series(coefficient, current)
        return float(stops.index(value)) if value in stops else None
    return float(min(value, _top(coefficient)))


def places(coefficient: Coefficient, things: int | None) -> list[float]:
    """The values of all places where a slider's thumb can stand; none where they are many, or no slider has them."""
    if coefficient.counts and things is not None and things > 1:
        return [amount_of(kept, things) for kept in range(1, things + 1)] if things <= FINE else []
    if spread(coefficient) or not coefficient.numeric:
        return []
    step, low = _step(coefficient), coefficient.low
    steps = round((_top(coefficient) - low) / step)
    return [round(low + i * step, 6) for i in range(steps + 1)] if steps <= FINE else []


def _top(coefficient: Coefficient) -> float:
    """The last place of a plain slider."""
    return coefficient.high - _step(coefficient) if coefficient.below else coefficient.high


def _step(coefficient: Coefficient) -> float:
    return 1 if coefficient.kind == "count" else 0.01


def _slider(coefficient: Coefficient, value: float, key: str, changed: Callable[[], None], label: str) -> None:
    whole = coefficient.kind == "count"
    step, top = _step(coefficient), _top(coefficient)
    low, high = (int(coefficient.low), int(top)) if whole else (float(coefficient.low), float(top))
    form = "%d" if whole else "%.2f"
    state.put(key, int(value) if whole else min(float(value), top), (low, high))
    st.slider(label, low, high, key=key, step=step, format=form, help=t(coefficient.help), on_change=changed)


def kept_of(amount: float, things: int) -> int:
    """How many of n stay where a share is removed; at least one."""
    return max(1, things - round(amount * things))


def amount_of(kept: int, things: int) -> float:
    """The share that is removed where so many of n stay."""
    return round((things - kept) / things, 6)


def _count_slider(coefficient: Coefficient, amount: float, key: str, change: Change, things: int) -> None:
    changed = state.on_move(key, lambda kept: change(amount_of(kept, things)))
    state.put(key, kept_of(amount, things), (1, things))
    label = t("{things} kept, of {n}", things=title(coefficient.counts), n=f"{things:,}")
    help_text = t("{name} = {amount}: {help}", name=coefficient.name, amount=f"{amount:g}", help=t(coefficient.help))
    st.slider(label, 1, things, key=key, step=1, help=help_text, on_change=changed)


def grid(coefficient: Coefficient, value: float, things: int | None) -> list[float]:
    """The values that the page's curve takes: every count where there are few, else eleven over the range."""
    if coefficient.counts and things is not None and 1 < things <= 24:
        return [amount_of(kept, things) for kept in range(things, 0, -1)]
    if spread(coefficient):
        stops = [s for s in series(coefficient, value) if s <= max(4 * value, 10 * coefficient.low, 20)]
        stops = stops if coefficient.kind == "count" else series(coefficient, value)
        return stops[:: -(-len(stops) // 11)]
    span = coefficient.high - coefficient.low
    points = 11 if coefficient.kind != "count" else min(11, int(span) + 1)
    return cast("list[float]", coefficient.grid(points))

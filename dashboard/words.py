"""Sentences and numbers as a reader sees them."""

from __future__ import annotations

import gettext
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from engine import Estimate, Message

LOCALE = Path(__file__).with_name("locale")


@cache
def _catalogue(language: str) -> gettext.NullTranslations:
    return gettext.translation("secateur", LOCALE, [language], fallback=True)


def t(key: str, language: str = "en", **fields: object) -> str:
    """The sentence of that key in a language, its fields filled in."""
    return _catalogue(language).gettext(key).format(**fields)


def say(message: Message, language: str = "en") -> str:
    """An error of the engine as a sentence."""
    return t(message.key, language, **message.fields)


def sentence(text: str) -> str:
    """A text that begins with a capital letter, shown to the letter: it may hold words out of a link."""
    return plain(text[:1].upper() + text[1:])


def plain(text: str) -> str:
    """A text in which Markdown finds no picture to fetch and no named link: the bracket pairs of both are broken."""
    return text.replace("](", "]\\(").replace("][", "]\\[").replace("]:", "]\\:")


def title(name: str) -> str:
    """A name of the engine as words: "magnitude_global" is "magnitude global"."""
    return name.replace("_", " ")


def share(value: float, digits: int = 1) -> str:
    """0.1234 as "12.3 %"."""
    return f"{100 * value:.{digits}f} %"


def quantity(value: float, unit: str) -> str:
    """A figure with its unit, to about three digits; counts of parameters are exact."""
    if unit == "bytes":
        return f"{value / 1e6:.2f} MB" if value >= 1e6 else f"{value / 1e3:.1f} kB"
    if unit == "ms":
        return f"{value:.3g} ms" if value < 999.5 else f"{value / 1000:.3g} s"
    if unit == "fraction":
        return share(value)
    if unit == "multiply-adds":
        return f"{value / 1e6:.2f} M" if value >= 1e6 else f"{value / 1e3:.1f} k"
    if unit == "parameters":
        return f"{value:,.0f}"
    return f"{value:.4g} {unit.removeprefix('R²')}".strip()  # what is called R² needs no other unit


def interval(estimate: Estimate) -> str:
    """The 95 % interval of a figure, or that it is exact, or why it is missing."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return estimate.reason
    if estimate.low == estimate.high:
        return t("exact")
    low, high = quantity(estimate.low, estimate.unit), quantity(estimate.high, estimate.unit)
    for unit in (" ms", " s", " %"):
        if high.endswith(unit):
            low = low.removesuffix(unit)
    return t("{low} to {high}", low=low, high=high)


def change(before: Estimate, after: Estimate) -> str | None:
    """How a figure differs from the original's: "-49.9 %", "-1.2 points", "unchanged"; None where either is missing."""
    if before.value is None or after.value is None:
        return None
    if before.value == after.value:
        return t("unchanged")
    if after.unit == "fraction":
        return _signed(100 * (after.value - before.value), t("points"))
    if before.value == 0 or after.unit not in ("parameters", "bytes", "ms", "multiply-adds"):
        return f"{after.value - before.value:+.3g}"
    return _signed(100 * (after.value / before.value - 1), "%")


def signed(plain: Mapping[str, float] | None) -> str:
    """A difference with its interval, "+0.0500 (+0.0219 to +0.0774)"; nothing where it is missing."""
    if plain is None or plain["value"] is None:
        return ""
    return "{value:+.4f} ({low:+.4f} to {high:+.4f})".format(**plain)


def _signed(value: float, unit: str) -> str:
    # an ASCII minus: Streamlit's metric takes a typographic one for a plus
    return f"{value:+.1f} {unit}" if abs(value) >= 0.05 else f"±0.0 {unit}"


def duration(seconds: float) -> str:
    """A time to wait: "about 40 s", "about 3 min"."""
    if seconds < 90:
        return t("about {n} s", n=max(1, round(seconds)))
    return t("about {n} min", n=round(seconds / 60))

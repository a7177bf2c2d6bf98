"""Numbers and sentences as a reader sees them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.words import change, duration, interval, plain, quantity, say, sentence, share, t, title
from engine import Estimate, Message, available_methods


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1_234_567, "parameters", "1,234,567"),
        (999, "bytes", "1.0 kB"),
        (45_600, "bytes", "45.6 kB"),
        (1_090_000, "bytes", "1.09 MB"),
        (271_616, "multiply-adds", "271.6 k"),
        (12_345_678, "multiply-adds", "12.35 M"),
        (0.0712, "ms", "0.0712 ms"),
        (12.345, "ms", "12.3 ms"),
        (999.4, "ms", "999 ms"),
        (999.7, "ms", "1 s"),
        (1500, "ms", "1.5 s"),
        (0.966, "fraction", "96.6 %"),
        (1.2345, "bits", "1.234 bits"),
        (1.2345, "", "1.234"),
    ],
)
def test_a_figure_has_its_unit(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate.exact(7, "parameters"), "exact"),
        (Estimate.missing("the model's outputs are not finite", "fraction"), "the model's outputs are not finite"),
        (Estimate(0.9, 0.88, 0.92, 500, "fraction"), "88.0 to 92.0 %"),
        (Estimate(2.0, 1.5, 3.0, 40, "ms"), "1.5 to 3 ms"),
        (Estimate(1000.0, 900.0, 1100.0, 40, "ms"), "900 ms to 1.1 s"),
        (Estimate(2000.0, 1900.0, 2100.0, 40, "ms"), "1.9 to 2.1 s"),
        (Estimate(2.0, 1.5, 3.0, 40, "bits"), "1.5 bits to 3 bits"),
    ],
)
def test_an_interval_has_its_unit_once_where_both_ends_share_it(estimate: Estimate, text: str) -> None:
    assert interval(estimate) == text


@pytest.mark.parametrize(
    ("before", "after", "unit", "text"),
    [
        (1000, 501, "parameters", "-49.9 %"),
        (1000, 1000, "parameters", "unchanged"),
        (2.0, 3.0, "ms", "+50.0 %"),
        (100_000, 99_999, "bytes", "±0.0 %"),
        (0, 5, "parameters", "+5"),
        (0.9, 0.888, "fraction", "-1.2 points"),
        (0.9, 0.9, "fraction", "unchanged"),
        (0.9, 0.90001, "fraction", "±0.0 points"),
        (1.5, 2.75, "bits", "+1.25"),
    ],
)
def test_a_change_has_an_ascii_sign(before: float, after: float, unit: str, text: str) -> None:
    assert change(Estimate.exact(before, unit), Estimate.exact(after, unit)) == text


def test_a_change_of_a_missing_figure_is_none() -> None:
    there, gone = Estimate.exact(1, "ms"), Estimate.missing("no clock", "ms")
    assert change(there, gone) is None
    assert change(gone, there) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "about 1 s"),
        (0.4, "about 1 s"),
        (40.4, "about 40 s"),
        (89.9, "about 90 s"),
        (90, "about 2 min"),
        (600, "about 10 min"),
    ],
)
def test_a_time_to_wait(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats(1e-3, 9e5))
def test_no_time_is_written_with_a_power_of_ten(ms: float) -> None:
    assert "e" not in quantity(ms, "ms")


def test_names_and_shares() -> None:
    assert title("magnitude_global") == "magnitude global"
    assert share(0.1234) == "12.3 %"
    assert share(0.1234, 2) == "12.34 %"
    assert sentence("the device must be there") == "The device must be there"
    assert sentence("") == ""


def test_a_sentence_has_its_fields() -> None:
    assert t("{n} of {m}", n=1, m=2) == "1 of 2"
    assert t("plain", language="no such language") == "plain"
    assert say(Message("{a} must be {b!r}", {"a": "x", "b": "y"})) == "x must be 'y'"


def test_every_text_of_a_method_is_a_sentence_without_fields() -> None:
    for kind in available_methods().values():
        texts = [kind.title, *(c.help for c in kind.coefficients), *(f.summary for f in kind.forms)]
        assert [t(text) for text in texts] == texts


@pytest.mark.parametrize(
    "hostile", ["![x](http://h.example/a.png)", "[x](http://h.example)", "![x][y]\n\n[y]: http://h.example"]
)
def test_a_sentence_out_of_a_link_fetches_no_picture(hostile: str) -> None:
    shown = plain(hostile)
    assert shown.replace("\\", "") == hostile
    assert not any(pair in shown for pair in ("](", "][", "]:"))

"""Ctrl-C: it ends a training with what it has, and leaves anywhere else."""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping

import pytest

from dashboard import interrupts
from dashboard.interrupts import SAID, Interrupts

from .conftest import MEMORY, PRUNE, Cli

LONG = '[["parameter_optimization", {"steps": 2000, "batch_size": 8}]]'


def pressed(monkeypatch: pytest.MonkeyPatch, times: int, when: str) -> None:
    """Ctrl-C is pressed at the first report of that kind."""

    class Pressing(Interrupts):
        left = times

        def report(self, partial: Mapping[str, object], at_once: bool = False) -> None:
            super().report(partial)
            while when in partial and self.left:
                self.left -= 1
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("dashboard.cli.Interrupts", Pressing)


def test_once_in_a_training_ends_it_and_what_it_has_is_measured(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    pressed(monkeypatch, 1, "loss")
    answer = cli("measure", "digits_mlp", "--recipe", LONG, *MEMORY, "--json")
    assert answer.status == 0
    assert answer.err == f"{SAID}\n"
    assert answer.json["ended"] == {"step": 40, "steps": 2000}
    assert answer.json["variant"]["accuracy"]["value"] > 0.5


def test_the_table_says_where_it_was_ended(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    pressed(monkeypatch, 1, "loss")
    answer = cli("measure", "digits_mlp", "--recipe", LONG, *MEMORY)
    first, *_ = answer.out.splitlines()
    assert first.endswith("(its training ended after step 40 of 2000)")
    assert "parameter_optimization" in first


@pytest.mark.parametrize(("times", "when", "recipe"), [(2, "loss", LONG), (1, "accuracy", PRUNE)])
def test_twice_or_anywhere_else_it_leaves(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, times: int, when: str, recipe: str
) -> None:
    pressed(monkeypatch, times, when)
    answer = cli("measure", "digits_mlp", "--recipe", recipe, *MEMORY)
    assert answer.status == 130
    assert answer.out == ""
    assert answer.err.endswith("secateur: stopped; what had been measured is kept\n")


def test_afterwards_ctrl_c_is_what_it_was() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts().listening():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_another_thread_measures_without_it() -> None:
    went: list[bool] = []

    def work() -> None:
        with interrupts.Interrupts().listening():
            went.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert went == [True]

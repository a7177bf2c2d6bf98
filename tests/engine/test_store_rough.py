"""Stores that several processes open at once, and stores that fail after they were opened."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine import StoreUnavailable, Sweep, open_store
from engine.errors import InvalidCoefficient
from engine.recipe import Recipe

OPEN = """
import time
from engine import open_store
time.sleep(max(0, {at} - time.time()))
open_store({url!r}).close()
"""


def test_processes_that_open_one_new_file_at_once_all_succeed(tmp_path: Path) -> None:
    url, at = f"sqlite:///{tmp_path / 'new.sqlite'}", time.time() + 6
    started = [subprocess.Popen([sys.executable, "-c", OPEN.format(at=at, url=url)]) for _ in range(3)]
    assert [process.wait(timeout=120) for process in started] == [0, 0, 0]


def test_a_store_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    open_store(f"sqlite:///{path}").close()
    store = open_store(f"sqlite:///{path}")
    path.unlink()
    path.mkdir()
    store.close()  # the next use opens what is there now
    with pytest.raises(StoreUnavailable, match="must be a database that can be read and written"):
        store.put("size", {"a": 1}, {"b": 2})
    store.close()


def test_a_password_is_not_repeated() -> None:
    with pytest.raises(StoreUnavailable) as caught:
        open_store("postgresql+nodriver://u:secret@h/x")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("end", [float("nan"), float("inf")])
def test_the_end_of_a_range_of_counts_must_be_finite(end: float) -> None:
    recipe = Recipe.of([["parameter_optimization", {}]])
    with pytest.raises(InvalidCoefficient, match="steps must be finite"):
        Sweep(recipe, (0, "steps"), high=end).recipes()

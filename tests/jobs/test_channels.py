"""A line between two processes: partial figures one way, a wish to stop the other."""

from __future__ import annotations

import pickle
import time
from pathlib import Path

import pytest

from engine import Cancelled, channels
from engine.channels import FolderChannel


@pytest.fixture
def line(tmp_path: Path) -> FolderChannel:
    return FolderChannel(tmp_path / "job1")


def other_side(line: FolderChannel) -> FolderChannel:
    return pickle.loads(pickle.dumps(line))  # noqa: S301 - our own


def test_what_one_side_reports_the_other_reads(line: FolderChannel) -> None:
    far = other_side(line)
    assert far.partial() == {}
    line.report({"step": 3, "accuracy": 0.5})
    assert far.partial() == {"step": 3, "accuracy": 0.5}


def test_reports_are_thinned(line: FolderChannel, monkeypatch: pytest.MonkeyPatch) -> None:
    line.report({"step": 1})
    line.report({"step": 2})
    assert line.partial() == {"step": 1}
    monkeypatch.setattr(channels, "REPORT_EVERY_S", 0.0)
    line.report({"step": 3})
    assert line.partial() == {"step": 3}


def test_the_first_report_goes_out_at_once_even_on_a_machine_that_was_just_started(
    line: FolderChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 0.01)
    line.report({"step": 1})
    assert line.partial() == {"step": 1}


def test_a_wish_to_stop_reaches_the_other_side_and_stays(line: FolderChannel) -> None:
    far = other_side(line)
    assert not far.cancelled()
    far.check()
    line.cancel()
    time.sleep(2 * channels.LOOK_EVERY_S)
    assert far.cancelled()
    with pytest.raises(Cancelled):
        far.check()
    line.clear()
    assert far.cancelled()


def test_enough_is_another_wish_than_to_stop(line: FolderChannel) -> None:
    far = other_side(line)
    assert not far.enough()
    line.finish()
    time.sleep(2 * channels.LOOK_EVERY_S)
    assert far.enough()
    far.check()
    line.clear()
    assert list(line.path.parent.iterdir()) == []
    assert far.enough()


def test_the_wish_to_stop_is_not_looked_up_at_every_step(line: FolderChannel) -> None:
    assert not line.cancelled()
    line.cancel()
    assert not line.cancelled()  # just looked
    time.sleep(2 * channels.LOOK_EVERY_S)
    assert line.cancelled()


def test_it_pickles_with_its_state(line: FolderChannel) -> None:
    assert other_side(line) == line
    line.cancel()
    assert line.cancelled()
    assert other_side(line).cancelled()


def test_clearing_leaves_nothing(line: FolderChannel) -> None:
    line.report({"step": 1})
    line.cancel()
    assert len(list(line.path.parent.iterdir())) == 2
    line.clear()
    line.clear()
    assert list(line.path.parent.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[1", "nonsense"])
def test_a_report_that_cannot_be_read_counts_as_none(line: FolderChannel, text: str) -> None:
    line.path.with_suffix(".partial").write_text(text)
    assert line.partial() == {}


def test_two_lines_in_one_folder_do_not_meet(line: FolderChannel, tmp_path: Path) -> None:
    other = FolderChannel(tmp_path / "job2")
    line.report({"step": 1})
    line.cancel()
    assert other.partial() == {}
    assert not other.cancelled()

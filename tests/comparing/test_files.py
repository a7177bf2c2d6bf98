"""Files of points: what is read, and what is refused with one sentence."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import Failed, InvalidInput, Point, read_points
from engine.comparing import files
from tests.comparing.points import plain

Change = Callable[[dict], object]
BAD: dict[str, bytes] = {
    "empty": b"", "no JSON": b"{", "no text": b"\xff\xfe\x00", "a number": b"3", "an empty list": b"[]",
    "null": b"null", "another object": b'{"a": 1}', "deep": b"[" * 100_000, "a bad line": b'{"a": 1}\n{',
    "half a surrogate pair": b'{"recipe": [], "failed": "\\ud800"}',
    "a list in a list": b"[[]]",
}  # fmt: skip
CHANGES: dict[str, Change] = {
    "no recipe": lambda p: p.pop("recipe"),
    "unknown method": lambda p: p.update(recipe=[["<script>", {}]]),
    "no score": lambda p: p["variant"].pop("accuracy"),
    "a score that is no text": lambda p: p.update(score=7),
    "a figure that is infinite": lambda p: p["variant"]["latency_ms"].update(high=float("inf")),
    "a figure that is no number": lambda p: p["variant"]["latency_ms"].update(value="fast"),
    "a figure outside its interval": lambda p: p["variant"]["latency_ms"].update(low=1e9),
    "a figure of another shape": lambda p: p["variant"]["latency_ms"].update(more=1),
    "a unit that is no text": lambda p: p["variant"]["latency_ms"].update(unit=["ms"]),
    "a negative count": lambda p: p["evaluated"].update(examples=-1),
    "more examples than there are": lambda p: p["evaluated"].update(examples=601),
    "a split without end": lambda p: p["evaluated"].update(of=10**12),
    "a seed that is none": lambda p: p["protocol"].update(seed="x"),
    "a count without end": lambda p: p["variant"]["latency_ms"].update(n=2**70),
    "a model that is no text": lambda p: p.update(model={}),
    "places that are no numbers": lambda p: p["paired"]["examples"].update(gained=["x"], lost=[]),
    "sides that do not fit": lambda p: p["paired"]["said"].update(lost=[[0, 1]] * 10_000),
    "a protocol that is none": lambda p: p.update(protocol=3),
    "classes that are none": lambda p: p.update(classes=[3]),
}


def one_sentence(path: Path) -> str:
    with pytest.raises(InvalidInput) as caught:
        read_points([path])
    text = str(caught.value)
    assert "\n" not in text
    assert path.name in text
    assert len(text) < 500
    return text


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_holds_no_points_is_one_sentence(name: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.json"
    file.write_bytes(BAD[name])
    one_sentence(file)


@pytest.mark.parametrize("name", CHANGES)
def test_a_point_that_is_none_is_one_sentence_with_its_number(name: str, tmp_path: Path) -> None:
    changed = copy.deepcopy(plain("heavy"))
    CHANGES[name](changed)
    file = tmp_path / "bad.json"
    file.write_text(json.dumps([plain("light"), changed]), "utf-8")
    assert "point 2" in one_sentence(file)


def test_what_is_not_there_or_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no such file" in one_sentence(tmp_path / "none.json")
    assert "no such file" in one_sentence(tmp_path)
    file = tmp_path / "many.json"
    file.write_text(json.dumps([plain("light")] * 3), "utf-8")
    monkeypatch.setattr(files, "MOST_POINTS", 2)
    assert "at most 2 points" in one_sentence(file)
    monkeypatch.setattr(files, "MOST_BYTES", 100)
    assert "must be of at most" in one_sentence(file)


@pytest.mark.parametrize("how", ["one", "list", "lines"])
def test_one_object_a_list_or_lines(how: str, tmp_path: Path) -> None:
    found = [plain("light")] if how == "one" else [plain("light"), plain("heavy")]
    text = {"one": json.dumps(found[0]), "list": json.dumps(found, indent=1)}.get(how)
    file = tmp_path / "points.json"
    file.write_text(text or "\n".join(map(json.dumps, found)) + "\n\n", "utf-8")
    got = read_points([file, file])
    assert len(got) == 2 * len(found)
    for point, told in zip(got, found * 2, strict=True):
        assert isinstance(point, Point)
        assert point.source == "points.json"
        assert point.recipe.to_list() == told["recipe"]
        for side in ("original", "variant"):
            assert {name: one.to_dict() for name, one in getattr(point, side).items()} == told[side]


def test_a_point_that_failed_is_kept_as_such(tmp_path: Path) -> None:
    file = tmp_path / "points.json"
    file.write_text(json.dumps({"recipe": [["repair", {}]], "failed": "it {must} not"}), "utf-8")
    (got,) = read_points([file])
    assert isinstance(got, Failed)
    assert got.to_dict()["failed"] == "it {must} not"

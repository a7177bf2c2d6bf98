"""What the README shows in Python is run as it stands there."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard import models

from .conftest import MEMORY, Cli

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
HALF = '[["node_pruning", {"amount": 0.5}]]'


def blocks(heading: str) -> list[str]:
    """The Python under a heading, block by block."""
    section = re.split(r"^##+ ", README.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    found = re.findall(r"^```python\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)
    assert found
    return found


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder of a user."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    models.settings.cache_clear()
    yield tmp_path
    models.settings.cache_clear()
    for name in ("my_models", "my_scores"):
        sys.modules.pop(name, None)


def test_a_model_of_ones_own_is_measured(good: Cli, folder: Path) -> None:
    workload, _ = blocks("Your own model")
    assert len(workload.splitlines()) < 40
    Path(folder, "my_models.py").write_text(workload, "utf-8")
    answer = good("measure", "my_models:wines", "--recipe", HALF, "--json", *MEMORY).json
    original, variant = answer["original"], answer["variant"]
    assert original["accuracy"]["value"] > 0.9
    assert original["accuracy"]["n"] == 50
    assert variant["parameters"]["value"] < original["parameters"]["value"] / 2


def test_a_score_of_ones_own_takes_the_place_of_accuracy(good: Cli, folder: Path) -> None:
    workload, task = blocks("Your own model")
    told = workload.replace("\n\n\ndef", f"\n{task}\n\ndef", 1).replace('task="classification"', "task=F1")
    Path(folder, "my_scores.py").write_text(told, "utf-8")
    answer = good("measure", "my_scores:wines", "--json", *MEMORY).json
    assert answer["score"] == "f1"
    assert answer["original"]["f1"]["value"] > 0.8


def test_the_lines_on_the_facade_run(capsys: pytest.CaptureFixture[str]) -> None:
    (lines,) = blocks("From Python")
    exec(compile(lines, "README.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 4
    assert "Estimate(" in printed[0]

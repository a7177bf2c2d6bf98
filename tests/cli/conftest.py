"""The command line in this process, with a user's data folder of its own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from dashboard import launcher, models
from dashboard.cli import run

PRUNE = '[["weight_pruning", {"form": "magnitude_global", "amount": 0.5}]]'
MEMORY = ("--store", "sqlite://")


class Answer(NamedTuple):
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, object]:
        """The one object that was printed."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[dict[str, object]]:
        """The objects that were printed, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]


Cli = Callable[..., Answer]


class Served:
    """Stands in for the server; remembers how it was started, and leaves nothing of it in this process."""

    def __init__(self) -> None:
        self.config: dict[str, object] = {}
        self.script = ""
        self.settings: dict[str, object] = {}
        self.end: BaseException | None = None

    def __call__(self, config: dict[str, object]) -> None:
        self.config, self.script = config, sys.argv[0]
        self.settings = json.loads(os.environ.pop(models.SETTINGS))
        models.settings.cache_clear()
        models.brought.cache_clear()
        if self.end is not None:
            raise self.end


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Served:
    """What `secateur run` would start."""
    made = Served()
    monkeypatch.setattr(launcher.app, "run", made)
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    return made


@pytest.fixture(autouse=True)
def data_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's data folder."""
    for name in ("HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that outlives a test."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def scored(data_home: Path, shared_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The original of every sample model is scored once, and not again for every list of them."""
    for name in ("HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(shared_home))


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run a command: `cli("measure", "digits_mlp", "--json")`."""

    def call(*arguments: str) -> Answer:
        try:
            status = run(list(arguments))
        except SystemExit as end:
            status = int(end.code or 0)
        return Answer(status, *capsys.readouterr())

    return call


@pytest.fixture
def good(cli: Cli) -> Cli:
    """Run a command that must succeed and print nothing but its answer."""

    def call(*arguments: str) -> Answer:
        answer = cli(*arguments)
        assert (answer.status, answer.err) == (0, "")
        return answer

    return call

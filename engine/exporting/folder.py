"""The folder that an export goes to, and what may stand in it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import InvalidInput, unknown
from engine.exporting.outcome import FORMATS

NAMES = {"safetensors": "model.safetensors", "onnx": "model.onnx", "pt2": "model.pt2", "script": "rebuild.py"}
NAMES |= {"replay": "replay.py", "card": "card.md"}
ARCHITECTURE = "architecture.json"
KIND = "secateur architecture"
OURS = frozenset((*NAMES.values(), ARCHITECTURE, "model.onnx.data"))
CACHE = "__pycache__"


def formats_of(formats: Iterable[str]) -> tuple[str, ...]:
    """The formats, each once, in their order. Raises UnknownName, or InvalidInput where there is none."""
    asked = list(formats.split(",") if isinstance(formats, str) else formats)
    for name in asked:
        if name not in FORMATS:
            raise unknown("a format", name, FORMATS)
    if not asked:
        raise InvalidInput("formats must be at least one of {known}, got none", known=", ".join(FORMATS))
    return tuple(name for name in FORMATS if name in asked)


def check_folder(folder: Path) -> None:
    """Raise InvalidInput where a folder can hold no export: it is a file, or holds what is not ours."""
    key = "an export must go to a new or empty folder, or one that holds an earlier export, got {got!r}: {why}"
    if folder.exists() and not folder.is_dir():
        raise InvalidInput(key, got=str(folder), why="it is a file")
    with writing(folder):
        names = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    other = [name for name in names if name not in (*OURS, CACHE)]
    if other or (names and not _is_ours(folder / ARCHITECTURE)):
        raise InvalidInput(key, got=str(folder), why=f"{(other or names)[0]} lies there")


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Raise InvalidInput where the folder cannot be written."""
    try:
        yield
    except OSError as error:
        key = "an export must go to a folder that can be written, got {got!r}: {why}"
        raise InvalidInput(key, got=str(folder), why=error.strerror or error) from error


def _is_ours(path: Path) -> bool:
    try:
        return str(json.loads(path.read_text("utf-8")).get("kind")) == KIND
    except (OSError, ValueError, AttributeError):
        return False

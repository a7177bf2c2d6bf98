"""The folder that an export goes to, and what may stand in it."""

from __future__ import annotations

import errno
import json
import os
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
    asked = [name for name in (formats.split(",") if isinstance(formats, str) else formats) if name]
    for name in asked:
        if name not in FORMATS:
            raise unknown("a format", name, FORMATS)
    if not asked:
        raise InvalidInput("formats must be at least one of {known}, got none", known=", ".join(FORMATS))
    return tuple(name for name in FORMATS if name in asked)


def exportable(to: Path | str, formats: Iterable[str] = FORMATS) -> tuple[str, ...]:
    """The formats, each once, in their order; the folder is made. Nothing is written.

    Raises UnknownName or InvalidInput where a format is none, the folder holds something else or cannot be written.
    """
    asked, folder = formats_of(formats), Path(to)
    _check_folder(folder)
    return asked


def _check_folder(folder: Path) -> None:
    key = "an export must go to a new or empty folder, or one that holds an earlier export, got {got!r}: {why}"
    if folder.exists() and not folder.is_dir():
        raise InvalidInput(key, got=str(folder), why="it is a file")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        names = sorted(path.name for path in folder.iterdir())
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
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

"""Files of measured points: what `measure --json` and `sweep --json` print."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from engine.comparing.points import Point, point_or_failed
from engine.comparing.table import named
from engine.errors import InvalidInput, SecateurError, first_line
from engine.sweeps import Failed

MOST_BYTES = 2**26  # of one file
MOST_POINTS = 2000  # of all files together
HOLDS = "{file} must hold points as `secateur measure --json` or `sweep --json` prints them, got {why}"


def read_points(paths: Sequence[Path]) -> list[Point | Failed]:
    """All points of JSON files, in order: one object a file, a list of them, or one a line.

    Raises InvalidInput with one sentence that names the file: not there, larger than 64 MiB, not JSON, no such points,
    more than 2,000 of them.
    """
    found: list[Point | Failed] = []
    for path in paths:
        plain = _objects(path)
        if len(found) + len(plain) > MOST_POINTS:
            key = "the files must hold at most {most} points together, got more in {file}: compare fewer"
            raise InvalidInput(key, most=MOST_POINTS, file=named(path))
        for number, one in enumerate(plain, 1):
            try:
                found.append(point_or_failed(one, path.name))
            except SecateurError as error:
                key = "{file}, point {number}: {why}"
                raise InvalidInput(key, file=named(path), number=number, why=first_line(error)) from error
    return found


def _objects(path: Path) -> list[object]:
    """The objects in a file. Raises InvalidInput."""
    text, name = _text(path), named(path)
    try:
        found = _parsed(text)
        json.dumps(found, ensure_ascii=False).encode()  # half a surrogate pair can be read, and written nowhere
    except UnicodeEncodeError as error:
        raise InvalidInput(HOLDS, file=name, why="a text that cannot be written") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(HOLDS, file=name, why=f"no JSON: {first_line(error)}") from error
    if not found:
        raise InvalidInput(HOLDS, file=name, why="none")
    return found


def _parsed(text: str) -> list[object]:
    try:
        whole = json.loads(text)
    except ValueError:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2:
            raise
        return [json.loads(line) for line in lines]
    return cast("list[object]", whole) if isinstance(whole, list) else [whole]


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            raise FileNotFoundError(2, "there is no such file")
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            key = "{file} must be of at most {most} MiB, got more: compare fewer points"
            raise InvalidInput(key, file=named(path), most=MOST_BYTES // 2**20)
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(HOLDS, file=named(path), why="no text in UTF-8") from error
    except OSError as error:
        key = "{file} must be a file that can be read: {why}"
        raise InvalidInput(key, file=named(path), why=error.strerror or error) from error

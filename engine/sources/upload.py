"""An uploaded file before anything is known about what is in it."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.errors import InvalidInput, shown


@dataclass(frozen=True)
class Wanted:
    """What labelled data must look like.

    example    the shape of one input
    target     the shape of one target
    names      whether a target may be a name instead of a number
    most       how many examples there may be
    """

    example: tuple[int, ...]
    target: tuple[int, ...]
    names: bool
    most: int


@contextmanager
def opened(path: Path, most: int) -> Iterator[tuple[io.BufferedReader, int]]:
    """The file open for reading, and its size in bytes, at most `most`.

    Raises InvalidInput where it is missing or too large, or cannot be read now or in what is done with it.
    """
    if not path.is_file():  # a pipe would wait for ever, so nothing else is opened
        raise InvalidInput("the file must exist, got {got}: choose it again", got=shown(path.name))
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > most:
                key = "the file must be at most {most}, got {got}: choose a smaller one"
                raise InvalidInput(key, most=amount(most), got=amount(size))
            yield file, size
    except OSError as error:
        key = "the file must be readable, got {got}: {why}, check its permissions"
        raise InvalidInput(key, got=shown(path.name), why=(error.strerror or type(error).__name__)[:60]) from error


def amount(size: int) -> str:
    """A number of bytes for a sentence: in bytes below 1 MiB, else in MiB."""
    return f"{size} bytes" if size < 2**20 else f"{size / 2**20:.1f} MiB"

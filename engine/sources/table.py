"""The rows of a .csv file."""

from __future__ import annotations

import array
import csv
import io
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidInput, first_line, shown
from engine.sources.upload import Wanted

LABELS = ("y", "label", "target", "class")


def read_table(file: io.BufferedReader, wanted: Wanted) -> tuple[NDArray[Any], NDArray[Any] | list[str]]:
    """Inputs (n, *example) and targets (n, *target) of a table in UTF-8, with commas and a line of names.

    The label is the column called y, label, target or class, in any case, else the last; where it may be a name it
    comes as text.

    Raises InvalidInput where a line has another number of cells or a cell is not a number.
    """
    if math.prod(wanted.target) != 1:
        key = "a .csv file must have one number as target, got an architecture of {got}: save an .npz file"
        raise InvalidInput(key, got=math.prod(wanted.target))
    with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        return _columns(_rows(text, math.prod(wanted.example) + 1), wanted)


def _columns(rows: Iterator[tuple[int, list[str]]], wanted: Wanted) -> tuple[NDArray[Any], NDArray[Any] | list[str]]:
    _, head = next(rows, (0, []))
    label = _label_column(head)
    inputs, numbers, names = array.array("d"), array.array("d"), list[str]()
    n = 0
    for n, (line, cells) in enumerate(rows, 1):
        if n > wanted.most:
            raise InvalidInput("the table must have at most {most} examples, got more: save a part", most=wanted.most)
        target = cells.pop(label)
        if wanted.names:
            names.append(target.strip())
        else:
            numbers.append(_number(target, line, head[label]))
        try:
            inputs.extend(map(float, cells))
        except ValueError:
            columns = (name for i, name in enumerate(head) if i != label)
            for cell, name in zip(cells, columns, strict=True):
                _number(cell, line, name)
    if n == 0:
        raise InvalidInput(
            "the table must have a line of names and at least one example, got {got}: {do}", got="none", do="add one"
        )
    x = np.frombuffer(inputs, np.float64).reshape(n, *wanted.example)
    return x, names if wanted.names else np.frombuffer(numbers, np.float64).reshape(n, *wanted.target)


def _rows(text: io.TextIOWrapper, columns: int) -> Iterator[tuple[int, list[str]]]:
    """Each line's number and cells; one line at a time and of bounded length, whatever its quotes say."""
    most = 4096 + 64 * columns
    line = 0
    while True:
        try:
            row = text.readline(most)
        except UnicodeDecodeError as error:
            key = "the table must be text in UTF-8, got byte {got} after line {line}: save it as UTF-8"
            raise InvalidInput(key, got=hex(error.object[error.start]), line=line) from error
        if not row:
            return
        line += 1
        if len(row) == most:
            key = "line {line} must be shorter than {most} characters for {columns} columns, got more: {do}"
            raise InvalidInput(key, line=line, most=most, columns=columns, do="write numbers with fewer digits")
        if row.strip():
            yield line, _cells(row, line, columns)


def _cells(row: str, line: int, columns: int) -> list[str]:
    try:
        cells = next(csv.reader([row], strict=True))
    except csv.Error as error:
        key = "line {line} must be cells between commas, got {why}: save the table again"
        raise InvalidInput(key, line=line, why=first_line(error, 60)) from error
    if len(cells) != columns:
        key = "line {line} must have {inputs} numbers and a label between commas, got {got} cells: {do}"
        raise InvalidInput(
            key, line=line, inputs=columns - 1, got=len(cells), do="write a column for each number of an example"
        )
    return cells


def _label_column(head: list[str]) -> int:
    if head and all(map(is_number, head)):
        key = "the first line must name the columns, got numbers beginning with {got}: put a line of names above"
        raise InvalidInput(key, got=shown(head[0]))
    found = [i for i, name in enumerate(head) if name.strip().lower() in LABELS]
    if len(found) > 1:
        key = "one column must be called y, label, target or class, got {got}: rename the others"
        raise InvalidInput(key, got=len(found))
    return found[0] if found else len(head) - 1


def _number(cell: str, line: int, column: str) -> float:
    try:
        return float(cell)
    except ValueError as error:
        key = "line {line}, column {column} must be a number, got {got}: correct it or leave the line out"
        raise InvalidInput(key, line=line, column=shown(column), got=shown(cell)) from error


def is_number(cell: str) -> bool:
    """Whether Python reads the text as a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True

"""All points as one table, with how each was measured: as CSV and as Parquet."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from engine.comparing.points import Figures, Point
from engine.comparing.words import recipe_in_words
from engine.errors import InvalidInput, first_line
from engine.sweeps import Failed

Cell: TypeAlias = str | int | float | None
Row: TypeAlias = dict[str, Cell]
MOST = 2**63  # of what Parquet takes as a whole number


def rows(points: Sequence[Point | Failed]) -> list[Row]:
    """A row a point; every row has every column, None where a point has no such thing.

    Figures are the columns original_F and variant_F, each with _low, _high, _n, _unit and _reason; what the protocol
    says is protocol_NAME.
    """
    made = [_failed(one) if isinstance(one, Failed) else _row(one) for one in points]
    columns = list(dict.fromkeys(name for row in made for name in row))
    return [{name: row.get(name) for name in columns} for row in made]


def write_csv(path: Path, table: Sequence[Row]) -> None:
    """The table as CSV; what is missing is an empty cell. Raises InvalidInput where it cannot be written."""
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(table[0]) if table else [])
            writer.writeheader()
            writer.writerows(dict(row) for row in table)
    except OSError as error:
        raise _unwritable(path, error) from error


def write_parquet(path: Path, table: Sequence[Row]) -> None:
    """The table as Parquet: text, whole and real numbers by column. Raises InvalidInput where it cannot be written."""
    import pyarrow as pa
    from pyarrow import parquet

    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    columns: dict[str, list[Cell]] = {}
    fields = []
    for name in table[0] if table else ():
        values = [row[name] for row in table]
        kind = _kind(values)
        columns[name] = [None if value is None else kind(value) for value in values]
        fields.append(pa.field(name, kinds[kind]))
    try:
        parquet.write_table(pa.table(columns, schema=pa.schema(fields)), path)
    except OSError as error:
        raise _unwritable(path, error) from error


def _kind(values: Sequence[Cell]) -> type[str] | type[int] | type[float]:
    found = {type(value) for value in values if value is not None}
    return str if str in found or not found else float if float in found else int


def _unwritable(path: Path, error: OSError) -> InvalidInput:
    why = error.strerror or first_line(error)
    return InvalidInput("{file} must be a file that can be written: {why}", file=named(path), why=why)


def named(path: Path) -> str:
    """How a file stands in a sentence: its path, of a long one the end."""
    text = str(path)
    return text if len(text) <= 60 else "..." + text[-57:]


def _failed(one: Failed) -> Row:
    return {"model": None, "recipe": str(one.recipe), "in_words": recipe_in_words(one.recipe), "failed": str(one.error)}


def _row(point: Point) -> Row:
    made: Row = {
        "model": point.model, "recipe": str(point.recipe),
        "in_words": point.label if point.made_elsewhere else recipe_in_words(point.recipe), "failed": None,
        "source": point.source or None, "content": point.content or None,
        "ended_step": point.ended[0] if point.ended else None, "ended_steps": point.ended[1] if point.ended else None,
        "score": point.score, "chance": point.chance, "evaluated": point.examples, "of": point.of,
    }  # fmt: skip
    for name, value in point.protocol.items():
        made[f"protocol_{name}"] = _cell(value)
    made |= _figures("original", point.original) | _figures("variant", point.variant)
    made |= _figures("latency_ratio", point.ratio)
    if point.difference is not None:
        made |= _figures("variant_less_original", {point.score: point.difference})
    for side, found in (("gained", point.gained), ("lost", point.lost)):
        made[side] = None if found is None else len(found)
    return made


def _figures(prefix: str, figures: Figures) -> Row:
    made: Row = {}
    for name, one in figures.items():
        key = f"{prefix}_{name}"
        ends = (("", one.value), ("_low", one.low), ("_high", one.high))
        made |= {key + end: None if value is None else float(value) for end, value in ends}
        made |= {f"{key}_n": one.n, f"{key}_unit": one.unit, f"{key}_reason": one.reason or None}
    return made


def _cell(value: object) -> Cell:
    """A setting of the protocol as a cell."""
    if isinstance(value, bool) or value is None:
        return None if value is None else str(value)
    if isinstance(value, str):
        return str(value)  # torch's version is a text of a kind of its own
    if isinstance(value, float) or (isinstance(value, int) and abs(value) < MOST):
        return value
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)

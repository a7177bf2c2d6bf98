"""All points as CSV and Parquet: what is written is what was measured."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from pyarrow import parquet

from engine import Failed, InvalidInput, Message, Point, Recipe, rows, write_csv, write_parquet
from tests.comparing.points import RECIPES, otherwise, point

FAILED = Failed(Recipe.of([["repair", {}]]), Message('it, "the" step\n{why}', {"why": "failed"}))


def points() -> list[Point | Failed]:
    return [FAILED, *(point(name) for name in RECIPES), otherwise(point("nodes"), threads=7)]


def cells(one: Point) -> dict[str, float | int | str | None]:
    """What must stand in a row of the figures."""
    found = {}
    for side in ("original", "variant"):
        for name, e in getattr(one, side).items():
            found |= {f"{side}_{name}": e.value, f"{side}_{name}_low": e.low, f"{side}_{name}_high": e.high}
            found |= {f"{side}_{name}_n": e.n, f"{side}_{name}_unit": e.unit}
    return found | {f"protocol_{name}": one.protocol[name] for name in ("machine", "threads", "seed", "dtype", "split")}


def test_csv_gives_the_figures_back(tmp_path: Path) -> None:
    file = tmp_path / "points.csv"
    write_csv(file, rows(points()))
    with file.open(newline="", encoding="utf-8") as opened:
        failed, *found = csv.DictReader(opened)
    assert failed["failed"] == str(FAILED.error)
    assert failed["variant_accuracy"] == ""
    for row, one in zip(found, points()[1:], strict=True):
        assert Recipe.parse(row["recipe"]) == one.recipe
        for name, value in cells(one).items():
            got = row[name] if value is None or isinstance(value, str) else float(row[name])
            assert got == ("" if value is None else value)


def test_parquet_gives_the_figures_back(tmp_path: Path) -> None:
    file = tmp_path / "points.parquet"
    write_parquet(file, rows(points()))
    failed, *found = parquet.read_table(file).to_pylist()
    assert failed["failed"] == str(FAILED.error)
    assert failed["variant_accuracy"] is None
    for row, one in zip(found, points()[1:], strict=True):
        assert {name: row[name] for name in cells(one)} == cells(one)
        assert isinstance(row["variant_accuracy_n"], int)
        assert isinstance(row["variant_parameters"], float)
        assert row["evaluated"] == one.examples


def test_every_row_has_every_column() -> None:
    found = rows(points())
    assert len({tuple(row) for row in found}) == 1
    assert rows([]) == []


def test_columns_of_two_kinds_and_of_none_are_written(tmp_path: Path) -> None:
    odd = otherwise(point("light"), threads="many", seed=2**70, warm_up=0.5)
    file = tmp_path / "points"
    write_parquet(file, rows([odd, point("heavy")]))
    one, two = parquet.read_table(file).to_pylist()
    assert (one["protocol_threads"], two["protocol_threads"]) == ("many", "1")
    assert (one["protocol_seed"], two["protocol_seed"]) == (str(2**70), "0")
    assert (one["protocol_warm_up"], two["protocol_warm_up"]) == (0.5, 1.0)
    write_csv(tmp_path / "none", [])
    write_parquet(tmp_path / "none", [])


@pytest.mark.parametrize("write", [write_csv, write_parquet])
def test_a_file_that_cannot_be_written_is_one_sentence(write, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="must be a file that can be written"):
        write(tmp_path / "no" / "folder", rows(points()))


def test_an_ended_training_says_so() -> None:
    (row,) = rows([replace(point("heavy"), ended=(3, 9), content="abc")])
    assert (row["ended_step"], row["ended_steps"], row["content"]) == (3, 9, "abc")

"""`secateur sweep`: one object a line, each point once."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from .conftest import MEMORY, PRUNE, Cli

# A batch of one is too small for this step: its first point fails, its second does not.
FAILS_FIRST = '[["parameter_optimization", {"form": "formula", "alpha": 0.15, "steps": 100}]]'


def amounts(lines: list[dict[str, object]], name: str = "amount") -> list[float]:
    return [line["recipe"][0][1][name] for line in lines]


@pytest.fixture
def sweep(good: Cli) -> Cli:
    """Sweep the digits, in memory."""
    return lambda recipe, *rest: good("sweep", "digits_mlp", "--recipe", recipe, *rest, *MEMORY)


@pytest.mark.parametrize("points", [1, 2, 3, 5])
def test_so_many_points_are_exactly_so_many_each_once(sweep: Cli, points: int) -> None:
    lines = sweep(PRUNE, "--vary", "0.amount", "--points", str(points), "--json").lines
    assert len(set(amounts(lines))) == len(lines) == points
    assert all({"recipe", "protocol", "original", "variant"} <= line.keys() for line in lines)


def test_ends_are_measured_first(sweep: Cli) -> None:
    lines = sweep(PRUNE, "--vary", "0.amount", "--from", "0.2", "--to", "0.6", "--points", "5", "--json").lines
    assert sorted(amounts(lines)) == pytest.approx([0.2, 0.3, 0.4, 0.5, 0.6])
    assert amounts(lines)[:3] == pytest.approx([0.2, 0.6, 0.4])


def test_without_a_number_the_coefficient_has_its_range(sweep: Cli) -> None:
    lines = sweep('["layer_pruning"]', "--vary", "0.amount", "--json").lines
    assert 5 <= len(set(amounts(lines))) == len(lines) <= 25
    assert min(amounts(lines)) == 0.0


def test_a_count_has_whole_values(sweep: Cli) -> None:
    recipe = '[["parameter_optimization", {"steps": 1}]]'
    lines = sweep(recipe, "--vary", "0.steps", "--from", "0", "--to", "3", "--points", "4", "--json").lines
    assert sorted(amounts(lines, "steps")) == [0, 1, 2, 3]
    assert all(type(value) is int for value in amounts(lines, "steps"))


def test_another_step_can_vary(sweep: Cli) -> None:
    recipe = '[["layer_pruning", {}], ["structure_optimization", {}]]'
    lines = sweep(recipe, "--vary", "1.rank", "--from", "0.1", "--to", "0.2", "--points", "2", "--json").lines
    assert [line["recipe"][1][1]["rank"] for line in lines] == [0.1, 0.2]
    assert {json.dumps(line["recipe"][0]) for line in lines} == {json.dumps(lines[0]["recipe"][0])}


def test_a_table_has_the_same_points(sweep: Cli, tmp_path: Path) -> None:
    file = tmp_path / "points.csv"
    lines = sweep(PRUNE, "--vary", "0.amount", "--points", "3", "--csv", str(file), "--json").lines
    with file.open(newline="", encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    assert len(rows) == 3
    for row, line in zip(rows, lines, strict=True):
        assert json.loads(row["recipe"]) == line["recipe"]
        assert float(row["amount"]) == line["recipe"][0][1]["amount"]
        assert row["failed"] == ""
        for side in ("original", "variant"):
            for name, estimate in line[side].items():
                cells = [row[f"{side}_{name}{end}"] for end in ("", "_low", "_high")]
                got = [float(cell) if cell else None for cell in cells]
                assert got == [estimate["value"], estimate["low"], estimate["high"]]


def test_a_point_that_fails_is_told_and_the_others_are_measured(sweep: Cli, tmp_path: Path) -> None:
    file = tmp_path / "points.csv"
    where = ("--vary", "0.batch_size", "--from", "1", "--to", "1000", "--points", "2")
    failed, measured = sweep(FAILS_FIRST, *where, "--csv", str(file), "--json").lines
    assert failed.keys() == {"recipe", "failed"}
    assert failed["failed"].startswith("step 0 (parameter_optimization) must leave finite weights, got others in ")
    assert failed["recipe"][0][1]["batch_size"] == 1
    assert "variant" in measured
    with file.open(newline="", encoding="utf-8") as opened:
        first, second = csv.DictReader(opened)
    assert first["failed"] == failed["failed"]
    assert first["variant_accuracy"] == second["failed"] == ""
    assert float(second["variant_accuracy"]) == measured["variant"]["accuracy"]["value"]


def test_where_all_fail_the_table_says_so(sweep: Cli, tmp_path: Path) -> None:
    file = tmp_path / "points.csv"
    where = ("--vary", "0.batch_size", "--from", "1", "--to", "2", "--points", "2")
    text = sweep(FAILS_FIRST, *where, "--csv", str(file)).out
    assert [line.split()[:3] for line in text.splitlines()] == [["batch_size", n, "failed:"] for n in "12"]
    assert file.read_text("utf-8").splitlines()[0] == "recipe,batch_size,failed"
    assert len(file.read_text("utf-8").splitlines()) == 3


def test_as_text_each_point_is_a_line(sweep: Cli) -> None:
    out = sweep(PRUNE, "--vary", "0.amount", "--from", "0", "--to", "0.5", "--points", "2").out
    assert [line.split()[:4] for line in out.splitlines()] == [
        ["amount", "0.0", "273,290", "of"], ["amount", "0.5", "137,482", "of"],
    ]  # fmt: skip


def test_a_model_without_outputs_is_a_line_too(sweep: Cli) -> None:
    recipe = '[["parameter_optimization", {"form": "formula", "steps": 2, "batch_size": 1}]]'
    out = sweep(recipe, "--vary", "0.alpha", "--from", "9", "--to", "9", "--points", "1").out
    assert "the model's outputs are not finite" in out


def test_each_point_is_in_the_store_before_it_is_printed(good: Cli, tmp_path: Path) -> None:
    """A sweep that is cut short has lost nothing: a second one answers with the same latencies."""
    command = ("sweep", "digits_mlp", "--recipe", PRUNE, "--vary", "0.amount", "--points", "3", "--json")
    store = ("--store", f"sqlite:///{tmp_path / 'mine.sqlite'}")
    first = good(*command, *store).lines
    assert good(*command, *store).lines == first
    assert good(*command, *store, "--fresh").lines != first

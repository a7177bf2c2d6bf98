"""`secateur measure`: one object with the names that scripts rely on, and the store behind it."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import MEMORY, PRUNE, Cli

FIGURES = {
    "parameters", "nonzero", "structural", "multiply_adds", "size_bytes", "latency_ms", "latency_ms_64", "accuracy",
}  # fmt: skip
RUINED = '[["parameter_optimization", {"form": "formula", "alpha": 9, "steps": 2, "batch_size": 1}]]'
UNITS = {
    "parameters": "parameters", "nonzero": "parameters", "structural": "parameters", "multiply_adds": "multiply-adds",
    "size_bytes": "bytes", "latency_ms": "ms", "latency_ms_64": "ms", "accuracy": "fraction",
}  # fmt: skip


def latencies(point: dict[str, object]) -> list[object]:
    return [point[side][name] for side in ("original", "variant") for name in ("latency_ms", "latency_ms_64")]


def test_the_object_has_the_names_that_scripts_rely_on(good: Cli) -> None:
    point = good("measure", "digits_mlp", "--recipe", PRUNE, *MEMORY, "--json").json
    assert point.keys() >= {"recipe", "protocol", "original", "variant"}
    assert point["recipe"] == [["weight_pruning", {"form": "magnitude_global", "amount": 0.5}]]
    for side in ("original", "variant"):
        assert point[side].keys() >= FIGURES
        for name in FIGURES:
            estimate = point[side][name]
            assert estimate.keys() == {"value", "low", "high", "n", "unit"}, name
            assert estimate["unit"] == UNITS[name]
            assert estimate["low"] <= estimate["value"] <= estimate["high"]
            assert estimate["n"] >= 1
        assert 0 <= point[side]["accuracy"]["value"] <= 1
    assert point["original"]["nonzero"]["value"] == 273_290
    assert point["variant"]["nonzero"]["value"] == 137_482
    assert {"device", "threads", "torch_version", "machine", "batches", "seed", "dtype"} <= point["protocol"].keys()
    assert point["protocol"]["batches"] == [1, 64]


def test_without_a_recipe_it_is_the_original(good: Cli) -> None:
    point = good("measure", "digits_mlp", *MEMORY, "--json").json
    assert point["recipe"] == []
    assert all(point["variant"][name] == point["original"][name] for name in FIGURES if "latency" not in name)


def test_what_a_recipe_leaves_out_takes_its_default(good: Cli) -> None:
    point = good("measure", "digits_mlp", "--recipe", '[["layer_pruning"]]', *MEMORY, "--json").json
    assert point["recipe"] == [["layer_pruning", {"amount": 0.3, "examples": 256, "form": "block_influence"}]]


def test_a_recipe_can_stand_in_a_file(good: Cli, tmp_path: Path) -> None:
    file = tmp_path / "recipe.json"
    file.write_text(f"\n {PRUNE}\n", "utf-8")
    point = good("measure", "digits_mlp", "--recipe", str(file), *MEMORY, "--json").json
    assert point["recipe"][0][0] == "weight_pruning"


def test_another_batch_is_timed_beside_both(good: Cli) -> None:
    point = good("measure", "digits_mlp", "--batch", "16", "--threads", "2", *MEMORY, "--json").json
    assert point["protocol"]["batches"] == [1, 16, 64]
    assert point["protocol"]["threads"] == 2
    for side in ("original", "variant"):
        assert {"latency_ms", "latency_ms_16", "latency_ms_64"} <= point[side].keys()
        assert point[side]["latency_ms_16"]["unit"] == "ms"


def test_a_model_without_outputs_has_no_accuracy(good: Cli) -> None:
    """Weights are finite, outputs are not: a score of them would be a number that means nothing."""
    point = good("measure", "digits_mlp", "--recipe", RUINED, *MEMORY, "--json").json
    accuracy = point["variant"]["accuracy"]
    assert accuracy["value"] is None
    assert accuracy["reason"] == "the model's outputs are not finite"
    text = good("measure", "digits_mlp", "--recipe", RUINED, *MEMORY).out
    (line,) = [line for line in text.splitlines() if line.startswith("accuracy")]
    assert line.split()[1:3] == [f"{point['original']['accuracy']['value']:.6g}", "-"]
    assert "the model's outputs are not finite" in line


def test_a_table_has_every_figure_of_both(good: Cli) -> None:
    text = good("measure", "digits_mlp", "--recipe", PRUNE, *MEMORY).out
    rows = {line.split()[0]: line.split()[1:3] for line in text.splitlines()[2:-1]}
    assert rows["nonzero"] == ["273,290", "137,482"]
    assert rows.keys() >= FIGURES
    assert text.splitlines()[-1].startswith("cpu (")


def test_a_store_in_memory_leaves_no_file(good: Cli, data_home: Path) -> None:
    good("measure", "digits_mlp", "--recipe", PRUNE, *MEMORY, "--json")
    assert not data_home.exists()


@pytest.mark.parametrize("named", [False, True], ids=["default", "named"])
def test_a_second_run_answers_from_the_store(good: Cli, data_home: Path, tmp_path: Path, named: bool) -> None:
    store = ("--store", f"sqlite:///{tmp_path / 'mine.sqlite'}") if named else ()
    command = ("measure", "digits_mlp", "--recipe", PRUNE, *store, "--json")
    first = good(*command).json
    assert good(*command).json == first
    files = list(data_home.rglob("*.sqlite")) if data_home.exists() else []
    assert [file.parent.name for file in files] == ([] if named else ["secateur"])
    fresh = good(*command, "--fresh").json
    assert latencies(fresh) != latencies(first)
    assert fresh["variant"]["accuracy"] == first["variant"]["accuracy"]
    assert good(*command).json == fresh


def test_stores_are_kept_apart(good: Cli, tmp_path: Path) -> None:
    command = ("measure", "digits_mlp", "--json", "--store")
    one, other = (good(*command, f"sqlite:///{tmp_path / name}").json for name in ("one", "other"))
    assert latencies(one) != latencies(other)

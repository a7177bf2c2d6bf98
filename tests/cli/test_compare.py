"""`secateur compare`, `report` and `orders`, on files that other commands print."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from .conftest import MEMORY, PRUNE, Cli

NODES = '[["node_pruning", {"amount": 0.5}]]'
TWO_STEPS = '[["weight_pruning", {"amount": 0.9}], ["node_pruning", {"amount": 0.5}]]'
FAILS = '[["parameter_optimization", {"form": "formula", "alpha": 0.15, "steps": 100, "batch_size": 1}]]'


@pytest.fixture(scope="module")
def kept() -> dict[str, str]:
    """What the commands printed, once for all tests here."""
    return {}


@pytest.fixture
def files(cli: Cli, kept: dict[str, str], tmp_path: Path) -> list[str]:
    """Two points that were measured, and a sweep of which one point fails."""
    if not kept:
        for name, recipe in (("one", PRUNE), ("two", NODES)):
            kept[name] = cli("measure", "digits_mlp", "--recipe", recipe, "--json", *MEMORY).out
        vary = ("--vary", "0.batch_size", "--from", "1", "--to", "1000", "--points", "2", "--json")
        kept["sweep"] = cli("sweep", "digits_mlp", "--recipe", FAILS, *vary, *MEMORY).out
    for name, text in kept.items():
        (tmp_path / f"{name}.json").write_text(text, "utf-8")
    return [str(tmp_path / f"{name}.json") for name in kept]


def test_two_points_side_by_side(good: Cli, files: list[str]) -> None:
    out = good("compare", *files[:2]).out
    first, second = (json.loads(Path(file).read_text("utf-8")) for file in files[:2])
    fewer = 1 - second["variant"]["parameters"]["value"] / first["variant"]["parameters"]["value"]
    assert f"{100 * fewer:.0f} % fewer parameters" in out
    assert "  only the first has step 0: weight_pruning by magnitude_global" in out
    assert "  only the second has step 0: node_pruning by group_norm" in out
    assert "only 1 right: " in out
    assert "only 2 right: " in out
    assert "frontier of parameters: 2" in out
    for name, estimate in first["variant"].items():
        assert name in out
        assert f"{estimate['value']:,.6g}" in out
    assert [line for line in out.splitlines() if line.startswith("  9: ")]  # a class


def test_as_data(good: Cli, files: list[str]) -> None:
    got = good("compare", *files, "--json").json
    assert [one["source"] for one in got["points"]] == ["one.json", "two.json", "sweep.json"]
    assert len(got["failed"]) == 1
    (standing,) = got["tradeoffs"]
    assert sorted([*standing["frontier"], *map(int, standing["dominated"])]) == [0, 1, 2]
    none, two, _ = got["beside_first"]
    assert none is None
    assert two["answers"]["n"] == 497
    figure = next(one for one in two["figures"] if one["name"] == "accuracy")
    assert figure["change"] == two["answers"]["difference"]
    assert got["points"][1]["variant"] == json.loads(Path(files[1]).read_text("utf-8"))["variant"]


def test_many_points_have_a_line_each_and_a_failure_is_told(good: Cli, files: list[str]) -> None:
    out = good("compare", *files).out
    assert "2 beside 1: " in out
    assert "3 beside 1: " in out
    assert "not measured: " in out
    assert "only 1 right" not in out


def test_bounds_and_the_axis_can_be_chosen(good: Cli, files: list[str]) -> None:
    command = ("compare", *files[:2], "--x", "nonzero", "--within", "parameters<=100k", "--within", "accuracy>=10%")
    out = good(*command).out
    assert "frontier of nonzero: " in out
    one, two = out.splitlines()[1:3]
    assert one.endswith("FAILS parameters <= 100,000")
    assert "FAILS" not in two
    got = good(*command, "--json").json["bounds"]
    assert [[kept["holds"] for kept in point] for point in got] == [[False, True], [True, True]]


def test_what_was_not_measured_alike_is_said(good: Cli, files: list[str]) -> None:
    plain = json.loads(Path(files[1]).read_text("utf-8"))
    plain["protocol"]["threads"] = 77
    Path(files[1]).write_text(json.dumps(plain), "utf-8")
    out = good("compare", *files[:2]).out
    assert "the points differ in threads (" in out
    assert "and 77), so these cannot be compared: latency_ms" in out
    assert "not comparable, they were not measured alike" in out


def test_a_report_is_written_with_its_tables(good: Cli, files: list[str], tmp_path: Path) -> None:
    page, table, parquet = (tmp_path / name for name in ("page.html", "points.csv", "points.parquet"))
    to = ("--to", str(page), "--csv", str(table), "--parquet", str(parquet))
    assert good("report", *files, *to, "--json").json == {"files": [str(page), str(table), str(parquet)]}
    assert good("report", *files, *to).out.split() == [str(page), str(table), str(parquet)]
    text = page.read_text("utf-8")
    assert "digits_mlp" in text
    assert "Plotly" in text
    with table.open(newline="", encoding="utf-8") as opened:
        found = list(csv.DictReader(opened))
    assert len(found) == 4
    for row, file in zip(found, files[:2], strict=False):
        told = json.loads(Path(file).read_text("utf-8"))["variant"]
        assert float(row["variant_accuracy"]) == told["accuracy"]["value"]
        assert float(row["variant_latency_ms_high"]) == told["latency_ms"]["high"]
    assert parquet.read_bytes()[:4] == b"PAR1"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["compare"], "the following arguments are required: FILE"),
        (["compare", "none.json"], "none.json must be a file that can be read"),
        (["compare", "{bad}"], "bad.json, point 1: a point must be an object as `measure --json` prints it, got int"),
        (["compare", "{failed}"], "must hold a point that was measured, got 1 that failed"),
        (["compare", "{one}", "--x", "cost"], "the figure x must be one of"),
        (["compare", "{one}", "--within", "fast"], "a bound must be FIGURE<=NUMBER"),
        (["compare", "{one}", "--within", "cost<=3"], "the figure of a bound must be one of"),
        (["report", "{one}"], "the following arguments are required: --to"),
        (["report", "{one}", "--to", "{no}/page.html"], "page.html must be a file that can be written"),
        (["report", "{one}", "--to", "{page}", "--csv", "{no}/t"], "must be a file that can be written"),
        (["report", "{one}", "--to", "{page}", "--parquet", "{no}/t"], "must be a file that can be written"),
    ],
)
def test_bad_input_is_one_sentence(cli: Cli, files: list[str], tmp_path: Path, arguments: list[str], said: str) -> None:
    names = {"bad": "bad.json", "failed": "failed.json", "page": "page.html", "no": "no", "one": "one.json"}
    places = {name: str(tmp_path / file) for name, file in names.items()}
    Path(places["bad"]).write_text("[1]", "utf-8")
    Path(places["failed"]).write_text('{"recipe": [], "failed": "no"}', "utf-8")
    answer = cli(*(one.format(**places) for one in arguments))
    assert (answer.status, answer.out) == (2, "")
    assert answer.err.startswith("secateur: ")
    assert said in answer.err
    assert answer.err.count("\n") == 1


def test_every_order_is_measured_the_best_first(good: Cli, tmp_path: Path) -> None:
    command = ("orders", "digits_mlp", "--recipe", TWO_STEPS)
    store = ("--store", f"sqlite:///{tmp_path / 'mine.sqlite'}")
    found = good(*command, "--json", *store).lines
    assert sorted([step[0] for step in one["recipe"]] for one in found) == [
        ["node_pruning", "weight_pruning"], ["weight_pruning", "node_pruning"],
    ]  # fmt: skip
    scores = [one["variant"]["accuracy"]["value"] for one in found]
    assert scores == sorted(scores, reverse=True)
    one, two = good(*command, *store).out.splitlines()
    assert one.startswith("1   " + " → ".join(step[0] for step in found[0]["recipe"]))
    assert two.startswith("2   ")
    assert "beside the first: " in two
    file = tmp_path / "orders.json"
    file.write_text("\n".join(map(json.dumps, found)), "utf-8")
    assert "the same steps in another order: " in good("compare", str(file)).out


def test_too_many_steps_are_refused_before_a_model_is_built(cli: Cli) -> None:
    five = json.dumps([["weight_pruning", {"amount": 0.1}]] * 5)
    answer = cli("orders", "no_such_model", "--recipe", five)
    assert (answer.status, answer.out) == (2, "")
    assert "at most 4 active steps, got 5" in answer.err

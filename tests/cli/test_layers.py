"""`secateur layers` and `secateur bench-kit`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import MEMORY, Cli

NARROWER = '[["node_pruning", {"amount": 0.5}]]'
LAYERS = ("layers", "digits_mlp", "--recipe", NARROWER, *MEMORY)


def test_every_layer_has_a_line_and_what_cannot_be_treated_says_why(cli: Cli) -> None:
    answer = cli(*LAYERS, "--json")
    assert (answer.status, answer.err) == (0, "")
    rows = {row["layer"]: row for row in answer.json["layers"]}
    assert sum(row["parameters"] for row in rows.values()) == 273_290
    assert sum(row["share"] for row in rows.values()) == pytest.approx(1)
    assert rows["blocks.0.up"]["shape"] == [256, 128]
    assert rows["blocks.0.up"]["after"]["shapes"] == [[128, 64]]
    assert rows["first"]["sensitivity"]["n"] == answer.json["examples"] == 300
    assert rows["head"]["sensitivity"] is None
    assert not rows["head"]["treatable"]
    plain = cli(*LAYERS)
    assert "its nodes are the model's outputs" in next(x for x in plain.out.splitlines() if x.startswith("head "))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--step", "3"), "a step must be one of the recipe's (0 to 0), got 3"),
        (("--examples", "0"), "examples must be a whole number from 1, got 0"),
        (("--dtype", "float7"), "dtype must be one of bfloat16, float32; got 'float7'"),
        (("--batch", "0"), "batch must be a whole number from 1 to 65536, got 0"),
    ],
)
def test_what_cannot_be_is_one_sentence(cli: Cli, arguments: tuple[str, ...], sentence: str) -> None:
    answer = cli(*LAYERS, *arguments)
    assert (answer.status, answer.out) == (2, "")
    assert sentence in answer.err
    assert answer.err.count("\n") == 1


def test_a_kit_times_both_with_torch_alone_and_is_read_back_as_another_machines(cli: Cli, tmp_path: Path) -> None:
    kit, store = tmp_path / "kit", f"sqlite:///{tmp_path / 'records.sqlite'}"
    written = cli("bench-kit", "digits_mlp", "--recipe", NARROWER, "--to", str(kit), "--store", store, "--json")
    assert written.status == 0
    assert {Path(file).name for file in written.json["files"]} == {
        "bench.py",
        "kit.json",
        "original.pt2",
        "variant.pt2",
    }
    assert "import engine" not in (text := (kit / "bench.py").read_text("utf-8"))
    assert "from engine" not in text
    bench = str(kit / "bench.py")
    alone = "import runpy, sys; sys.modules['engine'] = None; sys.argv = sys.argv[1:]; "  # the project is not to be had
    alone += "runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-c", alone, bench, "--device", "cpu"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads((kit / "result.json").read_text("utf-8"))
    result["machine"]["machine"] = "the other machine"
    (kit / "result.json").write_text(json.dumps(result), "utf-8")
    read = cli("bench-kit", "--read", str(kit / "result.json"), "--store", store, "--json")
    assert read.status == 0
    assert set(read.json["batches"]) == {"1", "64"}
    assert read.json["batches"]["64"]["ratio"]["median"]["value"] < 1
    measured = cli("measure", "digits_mlp", "--recipe", NARROWER, "--store", store, "--json").json
    assert [found["machine"] for found in measured["elsewhere"]] == ["the other machine"]
    assert measured["elsewhere"][0]["batches"] == read.json["batches"]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"kit": {"format": 9}}', '{"kit": {"format": 1}, "machine": {}}', "nan" * 9]
)
def test_a_file_that_is_no_result_is_one_sentence(cli: Cli, tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text, "utf-8")
    answer = cli("bench-kit", "--read", str(tmp_path / "result.json"), *MEMORY)
    assert answer.status == 2
    assert answer.err.startswith("secateur: a result must be the file that a kit's bench.py wrote, got ")


def test_a_kit_wants_a_model_or_a_result(cli: Cli) -> None:
    answer = cli("bench-kit")
    assert (answer.status, answer.out) == (2, "")
    assert "bench-kit must be given a MODEL to write a kit, or --read FILE" in answer.err


def test_a_baseline_is_the_original_in_other_numbers(cli: Cli) -> None:
    found = cli("measure", "digits_mlp", "--baseline", "int8", *MEMORY, "--json").json
    assert found["variant"]["parameters"] == found["original"]["parameters"]
    assert found["variant"]["size_bytes"]["value"] < 0.3 * found["original"]["size_bytes"]["value"]
    assert "definition" in found["compute"]
    assert found["compute"]["uncounted"]["original"] == {"aten.add": 4, "aten.relu": 5}

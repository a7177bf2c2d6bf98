"""`secateur export`: what is written and checked, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dashboard import cli as command
from engine import Exported
from engine.exporting import export as exporting
from engine.exporting.outcome import File

from .conftest import MEMORY, PRUNE, Cli

BASE = ("export", "digits_mlp", "--recipe", PRUNE, *MEMORY)
FILES = ["model.safetensors", "model.onnx", "model.pt2", "rebuild.py", "replay.py", "card.md"]


def test_every_format_is_written_and_checked(good: Cli, tmp_path: Path) -> None:
    told = good(*BASE, "--to", str(tmp_path / "out"), "--json").json
    assert told["verified"] is True
    assert told["recipe"] == json.loads(PRUNE)
    assert [file["file"] for file in told["files"]] == FILES
    for file in told["files"][:-1]:
        assert file["verified"] is True, file["reason"]
        assert file["bytes"] == (tmp_path / "out" / file["file"]).stat().st_size
        assert (file["batches"], file["examples"], file["parameters"]) == ([1, 64], 64, 273_290)
        assert file["largest_difference"] <= 1e-4
        assert file["tolerance"].keys() == {"absolute", "relative"}
    card = (tmp_path / "out" / "card.md").read_text("utf-8")
    for said in ("| accuracy | 0.965795 | 0.9459", "- seed: 0", "- licence: CC BY 4.0", "- torch: ", "magnitude_global",
                 "- Secateur: ", "| rebuild.py | ", "latency_ratio 64", "- device: cpu"):  # fmt: skip
        assert said in card
    alone = subprocess.run(
        [sys.executable, "-I", str(tmp_path / "out" / "rebuild.py")], capture_output=True, text=True, check=False
    )
    assert (alone.returncode, alone.stdout, alone.stderr) == (0, "273,290 parameters\n", "")


def test_some_formats_and_an_earlier_export_goes(good: Cli, tmp_path: Path) -> None:
    good(*BASE, "--to", str(tmp_path), "--formats", "pt2")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["architecture.json", "model.pt2"]
    text = good(*BASE, "--to", str(tmp_path), "--formats", "safetensors").out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["architecture.json", "model.safetensors"]
    assert "equal on 64 test examples at batch 1 and 64" in text


def test_a_file_that_is_not_as_it_must_be_ends_with_another_status(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoilt(state: object, path: Path, *rest: object) -> None:
        path.write_bytes(b"nothing of the kind")

    monkeypatch.setattr(exporting, "save_file", spoilt)
    answer = cli(*BASE, "--to", str(tmp_path / "out"), "--formats", "safetensors")
    assert answer.status == 1
    assert "it must load and run, got ValueError: model.safetensors must be a .safetensors file" in answer.out


def test_the_table_says_what_could_not_be_done(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> Exported:
        files = (File("onnx", "model.onnx", reason="ONNX must have every operator of the model, got: fft"),)
        return Exported("digits_mlp", [], tmp_path, files)

    monkeypatch.setattr(command, "export", refused)
    answer = cli(*BASE, "--to", str(tmp_path / "out"), "--formats", "onnx")
    assert answer.status == 0  # nothing that was written is wrong
    assert "ONNX must have every operator of the model, got: fft" in answer.out


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--formats", "tflite"), "a format must be one of card, onnx, pt2, safetensors, script; got 'tflite'"),
        (("--formats", "onx"), "did you mean 'onnx'?"),
        (("--formats", ""), "formats must be at least one of safetensors, onnx, pt2, script, card, got none"),
        (("--recipe", "[3]"), "step 0 must be [method, {coefficient: value}], got 3"),
        (
            ("--to", "full"),
            "an export must go to a new or empty folder, or one that holds an earlier export, got 'full'",
        ),
        (("--to", "named"), "got 'named': model.onnx lies there"),
        (
            ("--to", "file"),
            "an export must go to a new or empty folder, or one that holds an earlier export, got 'file'",
        ),
        (
            ("--to", "file/below"),
            "an export must go to a folder that can be written, got 'file/below': Not a directory",
        ),
    ],
)
def test_bad_input_is_one_sentence(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, str], why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("x", "utf-8")
    for name, held in (("full", "mine.txt"), ("named", "model.onnx")):
        Path(name).mkdir()
        Path(name, held).write_text("mine", "utf-8")
    answer = cli(*BASE, "--to", "out", *options)
    assert (answer.status, answer.out) == (2, "")
    assert why in answer.err
    assert answer.err.count("\n") == 1
    assert Path("full/mine.txt").read_text("utf-8") == Path("named/model.onnx").read_text("utf-8") == "mine"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_is_refused(cli: Cli, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    answer = cli(*BASE, "--to", str(tmp_path / "out"))
    assert answer.status == 2
    assert "must go to a folder that can be written" in answer.err

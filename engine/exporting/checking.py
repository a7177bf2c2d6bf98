"""Exported files held against the model in memory, in a fresh process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from engine.errors import shown_text
from engine.examples import Inputs, named, repeated
from engine.exporting import check_script, rebuilding
from engine.exporting.architecture import state_of
from engine.exporting.outcome import TOLERANCES, File
from engine.exporting.scripts import FUTURE

BATCHES = (1, 64)
EXAMPLES = 64  # of the test split; fewer are taken again from the start
MOST_S = 3600
PREFIX = "file"


@dataclass
class Check:
    """What a fresh process is to check of one folder.

    place      where inputs, expected answers and scripts for the check lie
    model      the variant, on the CPU
    inputs     64 test examples
    files      of that folder
    rebuild    a rebuild.py for the weights, where there is one; else `replay` makes the model for them
    used       parameters and buffers that a graph reads; of the others it may hold none
    alone      whether the script does without everything but torch
    """

    folder: Path
    place: Path
    model: nn.Module
    inputs: Inputs
    files: Sequence[File]
    rebuild: Path | None = None
    replay: Path | None = None
    used: Sequence[str] = ()
    alone: bool = True
    job: dict[str, Any] = field(default_factory=dict)

    def prepare(self, by_secateur: bool) -> dict[str, Any]:
        """Write inputs and expected answers once; what a process reads that has Secateur, or one that has not."""
        if not self.job:
            self.job = self._base()
        names = list(state_of(self.model))
        sizes = {name: p.numel() for name, p in self.model.named_parameters()}
        formats: dict[str, Any] = {}
        with_it = {"replay"} if self.rebuild else {"replay", "safetensors"}
        for file in self.files:
            if file.written and file.kind in TOLERANCES and (file.kind in with_it) == by_secateur:
                wanted = names if file.kind != "onnx" else [name for name in names if name in self.used]
                count = sum(sizes.get(name, 0) for name in wanted)
                told = {"names": wanted, "parameters": count, "tolerance": TOLERANCES[file.kind]}
                formats[file.kind] = {"file": str(self.folder / file.file), **told}
        return {**self.job, "formats": formats}

    def _base(self) -> dict[str, Any]:
        tensors = {PREFIX + name: tensor.contiguous() for name, tensor in named(self.inputs).items()}
        kind = "names" if isinstance(self.inputs, dict) else "places"
        if kind == "names":
            tensors = {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items()}
        self.place.mkdir(parents=True, exist_ok=True)
        save_file(tensors, self.place / "inputs.safetensors")
        expected = {}
        for batch in BATCHES:
            path = self.place / f"expected_{batch}.safetensors"
            save_file(check_script.answers_of(self.model, tensors, kind, batch), path)
            expected[str(batch)] = str(path)
        state = self.model.state_dict()
        save_file(state_of(self.model), self.place / "state.safetensors")
        return {
            "folder": str(self.folder.resolve()), "inputs": str(self.place / "inputs.safetensors"), "kind": kind,
            "expected": expected, "state": str(self.place / "state.safetensors"),
            "rebuild": str(self.rebuild or ""), "replay": str(self.replay or ""),
            "parameter_names": [name for name, _ in self.model.named_parameters()],
            "digests": {n: check_script.digest(t) for n, t in state.items() if isinstance(t, torch.Tensor)},
        }  # fmt: skip


def examples_for(test: Inputs) -> Inputs:
    """The test examples that are checked: 64, the first ones again where there are fewer."""
    return repeated(test, EXAMPLES)


def check(checks: Sequence[Check], place: Path, by_secateur: bool, threads: int) -> list[dict[str, dict[str, Any]]]:
    """What a fresh process finds: for each check, by kind of file.

    by_secateur    whether the files are checked that need it: replay.py, and weights without a rebuild.py

    The process knows neither this folder nor PYTHONPATH. Where every script of it does without Secateur, nothing of
    Secateur can be imported there.
    """
    jobs = [one.prepare(by_secateur) for one in checks]
    if not any(job["formats"] for job in jobs):
        return [{} for _ in jobs]
    alone = not by_secateur and all(one.alone for one in checks)
    paths = [] if alone else [str(Path(path or ".").resolve()) for path in sys.path]
    place.mkdir(parents=True, exist_ok=True)
    told = {"jobs": jobs, "threads": threads, "alone": alone, "paths": paths}
    (place / "jobs.json").write_text(json.dumps(told), "utf-8")
    (place / "check.py").write_text(script(), "utf-8")
    command = [sys.executable, "-I", "-B", "-W", "ignore", str(place / "check.py"), str(place / "jobs.json")]
    try:
        done = subprocess.run(command, cwd=place, capture_output=True, timeout=MOST_S, check=False)
        said = done.stderr.decode("utf-8", "replace").strip()
    except subprocess.TimeoutExpired:
        said = f"no end within {MOST_S} seconds"
    answer = place / "found.json"
    if answer.exists():
        found: list[dict[str, dict[str, Any]]] = json.loads(answer.read_text("utf-8"))
        answer.unlink()
        return found
    why = shown_text((said.splitlines() or ["nothing"])[-1])
    failed = {"verified": False, "reason": f"a fresh process must come to its end, got {why}"}
    return [dict.fromkeys(job["formats"], failed) for job in jobs]


def with_found(files: Sequence[File], found: Mapping[str, Mapping[str, Any]], examples: int) -> list[File]:
    """The files with what the check found of them."""
    told = {"batches": BATCHES, "examples": examples}
    return [
        file.found(**found[file.kind], **told, tolerance=TOLERANCES[file.kind]) if file.kind in found else file
        for file in files
    ]


def script() -> str:
    """The text of the check: the rebuilding's own file, and behind it what compares."""
    base, main = (Path(str(module.__file__)).read_text("utf-8") for module in (rebuilding, check_script))
    body = re.sub(r"^from engine\.exporting\.rebuilding import .*\n", "", main, flags=re.MULTILINE)
    return f"{FUTURE}{base.partition(FUTURE)[2]}\n\n{body.partition(FUTURE)[2]}"

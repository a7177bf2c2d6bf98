"""What a fresh process finds: models of one's own, and files that are not what they must be."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from engine import Exported, Recipe, Workload
from engine.exporting.export import Point
from engine.exporting.outcome import FORMATS, File
from sample_models import load
from tests.tiny import tiny

from .points import CHECKED, check, write

OWN = """
import torch
from torch import nn

def half(x):
    return x / 2

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.act = nn.Linear(12, 16), nn.Linear(16, 3), half
    def forward(self, x):
        return self.second(self.act(torch.relu(self.first(x))))

def workload():
    from engine import Workload
    draw = torch.Generator().manual_seed(0)
    splits = {k: (torch.randn(n, 12, generator=draw), torch.arange(n) % 3) for k, n in
              (("train", 80), ("validation", 40), ("test", 70))}
    torch.manual_seed(0)
    return Workload("mine", Net(), "classification", **splits)
"""
PRUNED = Recipe.of([["node_pruning", {"amount": 0.5}]])


def by_kind(found: Exported) -> dict[str, File]:
    return {file.kind: file for file in found.files}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workload]:
    """A workload whose class stands in a module of its user's."""
    (tmp_path / "my_net.py").write_text(OWN, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield Workload.from_reference("my_net:workload")
    sys.modules.pop("my_net", None)


def test_a_users_own_class_is_imported_by_its_path_and_that_is_said(own: Workload, tmp_path: Path) -> None:
    (found,) = check(write(own, PRUNED, tmp_path / "out", FORMATS))
    files = by_kind(found)
    assert [(k, files[k].reason) for k in CHECKED if not files[k].verified] == []
    assert files["script"].needs == ("my_net:Net", "my_net:half")
    text = (tmp_path / "out" / "rebuild.py").read_text("utf-8")
    assert "It imports my_net:Net, my_net:half: my_net must be on Python's path" in text
    assert "- first: weight 16x12 → 8x12, bias 16 → 8, out_features 16 → 8" in text
    assert "class Net" not in text
    assert json.loads((tmp_path / "out" / "architecture.json").read_text())["needs"] == ["my_net:Net", "my_net:half"]


def test_ties_and_own_attention_without_a_reference(tmp_path: Path) -> None:
    points = [write(tiny(name), PRUNED, tmp_path / name, FORMATS) for name in ("tied", "attention", "own_attention")]
    for found in check(*points):
        files = by_kind(found)
        assert [(k, files[k].reason) for k in CHECKED[:4] if not files[k].verified] == []
        assert files["script"].examples == 40  # all that there are, again from the start
        assert files["replay"].verified is None
        assert "no reference" in files["replay"].reason
        assert found.verified
    assert json.loads((tmp_path / "tied" / "architecture.json").read_text())["ties"] == [["embed.weight", "out.weight"]]
    assert "out.weight" not in load_file(tmp_path / "tied" / "model.safetensors")


def test_a_class_that_nothing_can_import_leaves_the_other_formats(tmp_path: Path) -> None:
    class Inner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Linear(12, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.one(x) if bool(x.sum() > -1e9) else x  # and no graph holds this

    workload = tiny("linear").with_own(Inner())
    files = by_kind(check(write(workload, Recipe(), tmp_path / "out", FORMATS))[0])
    assert files["script"].reason.startswith("rebuild.py must be able to write a class or function of Inner, got ")
    assert files["onnx"].reason.startswith("torch.export must be able to export the model, got: ")
    assert files["pt2"].reason == files["onnx"].reason
    assert not any(files[kind].written for kind in ("script", "onnx", "pt2"))
    assert files["safetensors"].written
    assert files["safetensors"].verified is None
    assert files["safetensors"].reason.startswith("it was not checked: the workload has no reference ")
    text = (tmp_path / "out" / "card.md").read_text("utf-8")
    assert "not measured" in text
    assert files["script"].reason in text


def _weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    state = load_file(path)
    state["head.bias"] = state["head.bias"] + 1e-6
    save_file(state, path)


def _cut(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-200])


def _other(name: str) -> Callable[[Path], None]:
    """A byte in the middle of the largest weight of a file that names no sum of itself."""

    def change(folder: Path) -> None:
        path, want = folder / name, load_file(folder / "model.safetensors")["blocks.0.up.weight"].numpy().tobytes()
        raw = path.read_bytes()
        assert raw.count(want) == 1
        place = raw.index(want) + len(want) // 2 + 3 - len(want) // 2 % 4  # the exponent of a float
        path.write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])

    return change


def _line(name: str, line: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(
        (folder / name).read_text("utf-8").replace("HERE =", f"{line}\nHERE =").replace("DEVICE,", f"{line}\nDEVICE,")
    )


def _setting(folder: Path) -> None:
    path = folder / "architecture.json"
    path.write_text(path.read_text("utf-8").replace("DigitsMLP", "Nobody"), "utf-8")


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory) -> Point:
    """A point whose files are right."""
    return write(load("digits_mlp"), PRUNED, tmp_path_factory.mktemp("right") / "out", FORMATS)


BROKEN = [
    ("safetensors", _weights, "parameters must be equal, got another head.bias"),
    ("safetensors", _cut("model.safetensors"), "it must load and run, got ValueError: model.safetensors must hold "),
    ("script", _setting, "it must load and run, got KeyError: "),
    (
        "script",
        _line("rebuild.py", "import engine"),
        "it must load and run, got ImportError: the script must do without",
    ),
    ("script", _line("rebuild.py", "import safetensors"), "got ImportError: the script must do without safetensors"),
    ("onnx", _cut("model.onnx"), "it must load and run, got "),
    ("onnx", _other("model.onnx"), "parameters must be equal, got another blocks.0.up.weight"),
    ("pt2", _cut("model.pt2"), "it must load and run, got "),
    ("replay", _line("replay.py", "RECIPE = '[]'"), "got another "),
]


def test_a_broken_file_is_seen(pruned: Point, tmp_path: Path) -> None:
    """One process for all of them: each is a copy of the folder with one fault, and only that one is found."""
    points = []
    for n, (_, change, _) in enumerate(BROKEN):
        folder = tmp_path / str(n)
        shutil.copytree(pruned.folder, folder)
        change(folder)
        points.append(replace(pruned, folder=folder, files=list(pruned.files)))
    for found, (kind, _, why) in zip(check(*points), BROKEN, strict=True):
        files = by_kind(found)
        assert files[kind].verified is False, (kind, why)
        assert why in files[kind].reason
        assert files[kind].failed
        assert not found.verified
        assert found.to_dict()["verified"] is False
        assert "| no |" in (found.folder / "card.md").read_text("utf-8")
        right = {"onnx", "pt2", "replay"} - {kind}
        assert all(files[other].verified for other in right)


def test_the_process_that_dies_is_seen(pruned: Point, tmp_path: Path) -> None:
    shutil.copytree(pruned.folder, tmp_path / "out")
    _line("rebuild.py", "import os; os._exit(3)")(tmp_path / "out")
    files = [file for file in pruned.files if file.kind == "script"]
    (found,) = check(replace(pruned, folder=tmp_path / "out", files=files))
    files = by_kind(found)
    assert files["script"].verified is False
    assert files["script"].reason.startswith("a fresh process must come to its end, got ")


def test_the_original_and_its_model_stay_as_they_are(tmp_path: Path) -> None:
    workload = load("digits_mlp")
    variant = PRUNED.apply(workload, "cpu")
    before = {name: tensor.clone() for name, tensor in variant.state_dict().items()}
    write(workload, PRUNED, tmp_path / "out", ("safetensors", "onnx"))
    assert all(torch.equal(before[name], tensor) for name, tensor in variant.state_dict().items())

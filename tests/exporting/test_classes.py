"""Which source a script takes with it, and which texts stand in it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from engine import CannotApply, Recipe
from engine.edit.surgery import Skip
from engine.exporting.architecture import plan_of
from engine.exporting.classes import Copied, is_own
from engine.exporting.scripts import rebuild_script, replay_script
from sample_models import available_models, load
from sample_models.fashion_resnet import Block


def script_of(model: nn.Module) -> tuple[str, list[str]]:
    return rebuild_script(plan_of(model), "some_model", Recipe(), [])


@pytest.mark.parametrize("name", available_models())
def test_a_script_of_a_sample_model_imports_nothing_of_ours(name: str) -> None:
    text, own = script_of(load(name).model())
    assert own == []
    for package in ("engine", "sample_models", "dashboard", "safetensors", "numpy"):
        assert f"import {package}" not in text
        assert f"from {package}" not in text
    compile(text, "rebuild.py", "exec")


def test_what_a_class_reads_comes_with_it_and_before_it() -> None:
    copied = Copied()
    copied.add("engine.edit.factors", "FactoredLinear")
    text = copied.text()
    assert text.index("class Factored(") < text.index("def _weights(") < text.index("class FactoredLinear(")
    assert "def factored(" not in text
    assert copied.imports.keys() >= {"nn", "cast"}
    assert copied.needs == set()


def test_two_classes_of_one_name_are_refused() -> None:
    model = nn.Sequential(Block(2), load("spoken_digits").model())
    with pytest.raises(CannotApply, match=r"rebuild\.py must have one Block only, got two: from sample_models.fashion"):
        script_of(model)


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(CannotApply, match=r"must find the source of Nothing, got none in engine.edit.surgery"):
        Copied().add("engine.edit.surgery", "Nothing")


@pytest.mark.parametrize(
    ("module", "own"),
    [("torch.nn", False), ("math", False), ("engine.kit", False), ("my_net", True), ("transformers.models", True)],
)
def test_what_is_the_users(module: str, own: bool) -> None:
    assert is_own(module) is own


def test_a_hostile_text_stays_a_text() -> None:
    edits = ['a """ b \\', "import os"]
    text, _ = rebuild_script(plan_of(nn.Sequential(Skip())), "some_model", Recipe(), edits)
    held: dict[str, object] = {"__name__": "rebuild", "__file__": "rebuild.py"}
    exec(compile(text, "rebuild.py", "exec"), held)
    assert "- a ''' b \\\n- import os" in str(held["__doc__"])
    assert isinstance(held["KNOWN"], dict)


def test_the_replay_says_where_it_starts_from(tmp_path: Path) -> None:
    recipe = Recipe.of([["node_pruning", {"amount": 0.5, "protect": ["head"]}]])
    about = {"name": "mine", "version": "1", "fingerprint": "f", "device": "cpu", "seed": 0, "threads": 1}
    text = replay_script({**about, "reference": ""}, recipe)
    held: dict[str, object] = {"__name__": "replay"}
    exec(compile(text, "replay.py", "exec"), held)
    assert Recipe.parse(str(held["RECIPE"])) == recipe
    with pytest.raises(ValueError, match="load must be given the Workload, got none"):
        held["load"]()  # type: ignore[operator]
    with pytest.raises(ValueError, match="the original must be the one that was exported"):
        held["load"](load("digits_mlp"))  # type: ignore[operator]
    assert torch.get_num_threads() >= 1

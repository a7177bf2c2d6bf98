"""What there is: `secateur methods`, `secateur models`, `secateur run`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from dashboard import launcher
from engine import available_methods
from sample_models import available_models

from .conftest import Cli, Served

TASKS = {"document_mlp": "regression", "character_lm": "language_modelling"}
NAMES = ", ".join(available_models())
EIGHT = {
    "weight_clipping", "weight_pruning", "knowledge_distillation", "layer_pruning", "node_pruning",
    "structure_optimization", "parameter_optimization", "repair",
}  # fmt: skip
COEFFICIENT = {"name", "kind", "low", "high", "unit", "default", "forms"}
MODEL = {"name", "task", "splits", "accuracy"}


@pytest.fixture
def methods(good: Cli) -> list[dict[str, object]]:
    return good("methods", "--json").json["methods"]


def test_the_seven_methods_and_repair_are_listed(methods: list[dict[str, object]]) -> None:
    assert {method["name"] for method in methods} == EIGHT
    assert len(methods) == 8


def test_a_method_has_the_names_that_scripts_rely_on(methods: list[dict[str, object]]) -> None:
    for method in methods:
        assert {"name", "forms", "default_form", "coefficients"} <= method.keys()
        assert all(isinstance(name, str) for name in method["forms"])
        assert method["default_form"] in method["forms"]
        assert "formula" in method["forms"] or method["name"] == "repair"
        assert len(method["forms"]) == len(set(method["forms"])) >= 2


def test_a_coefficient_has_the_names_that_scripts_rely_on(methods: list[dict[str, object]]) -> None:
    for method in methods:
        for coefficient in method["coefficients"]:
            assert coefficient.keys() >= COEFFICIENT
            assert coefficient["forms"]
            assert set(coefficient["forms"]) <= set(method["forms"])
            if coefficient["kind"] in ("fraction", "real", "count"):
                assert coefficient["low"] <= coefficient["default"] <= coefficient["high"]
            else:
                assert (coefficient["low"], coefficient["high"]) == (None, None)


def test_the_list_is_enough_to_write_every_recipe(methods: list[dict[str, object]]) -> None:
    for method in methods:
        for form in method["forms"]:
            values = {c["name"]: c["default"] for c in method["coefficients"] if form in c["forms"]}
            step = available_methods()[method["name"]](form, values)
            assert {k: list(v) if isinstance(v, tuple) else v for k, v in step.values.items()} == values


def test_methods_as_text_mark_the_default_form(good: Cli) -> None:
    lines = good("methods").out.splitlines()
    assert len(lines) == sum(len(kind.forms) for kind in available_methods().values())
    marked = [line.split() for line in lines if " * " in line]
    defaults = {name: kind.default_form for name, kind in available_methods().items()}
    assert {words[0]: words[2] for words in marked} == defaults


@pytest.mark.usefixtures("scored")
def test_models_are_listed_with_task_splits_and_accuracy(good: Cli) -> None:
    models = {model["name"]: model for model in good("models", "--json").json["models"]}
    assert tuple(models) == available_models()
    for name, model in models.items():
        assert model.keys() >= MODEL
        assert model["task"] == TASKS.get(name, "classification")
        assert set(model["splits"]) == {"train", "validation", "test"}
        assert model["accuracy"].keys() >= {"value", "low", "high", "n", "unit"}
        assert model["accuracy"]["n"] == model["splits"]["test"]
        low, value, high = (model["accuracy"][key] for key in ("low", "value", "high"))
        assert low < value < high <= 1
        assert value >= (0.9 if name != "character_lm" else 0.5)
    assert models["fashion_resnet"]["splits"]["test"] == 2000
    assert models["digits_mlp"]["parameters"] == 273_290


@pytest.mark.usefixtures("scored")
def test_models_as_text_are_one_a_line(good: Cli) -> None:
    lines = good("models").out.splitlines()
    assert [line.split()[0] for line in lines] == list(available_models())
    assert all(re.search(r"(accuracy \d\d\.\d%|R² 0\.\d+)$", line) for line in lines), lines


def test_run_serves_the_dashboard_at_a_port(good: Cli, served: Served) -> None:
    assert good("run", "--port", "8765", "--json").json == {"url": "http://localhost:8765"}
    assert served.config == {"server.port": 8765}
    assert Path(served.script) == Path(launcher.__file__)  # beside it Streamlit finds the page's settings
    assert good("run").out == ""
    assert served.config == {"server.port": 8501}


def test_run_ends_quietly_when_it_is_interrupted(good: Cli, served: Served) -> None:
    served.end = KeyboardInterrupt()
    assert good("run").out == ""


def test_an_interrupted_measurement_says_that_nothing_is_lost(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dashboard.models.load", stop)
    answer = cli("measure", "digits_mlp")
    assert (answer.status, answer.out) == (130, "")
    assert answer.err == "secateur: stopped; what had been measured is kept\n"


def test_the_installed_command_is_this_one() -> None:
    command = [Path(sys.executable).with_name("secateur"), "measure", "digits"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (f"secateur: model must be one of {NAMES}; got 'digits', did you mean 'digits_mlp'?\n")

"""Every layer by itself."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from engine import InvalidInput, Measurer, Recipe, Workload, view_layers
from tests.contract.test_application import Untouchable
from tests.engine.quick import CountingStore, quick
from tests.tiny import tiny

PRUNE = [["weight_pruning", {"form": "magnitude_layer", "amount": 0.9}]]


def rows(model: str | Workload, recipe: object, **options: object) -> dict[str, dict[str, object]]:
    workload = tiny(model) if isinstance(model, str) else model
    found = view_layers(Measurer(workload, protocol=quick()), recipe, **options)  # type: ignore[arg-type]
    return {row["layer"]: row for row in found["layers"]}  # type: ignore[index,union-attr,attr-defined]


def right(model: nn.Module, workload: Workload) -> float:
    x, y = workload.validation
    with torch.inference_mode():
        return float((model.eval()(x).argmax(1) == y).double().mean())


@pytest.mark.parametrize("name", ["linear", "conv"])
def test_sensitivity_is_the_fall_where_that_layer_alone_is_as_the_step_leaves_it(name: str) -> None:
    workload = tiny(name)
    treated, found = Recipe.of(PRUNE).apply(workload, device="cpu"), rows(name, PRUNE)
    seen = 0
    for path, row in found.items():
        one = workload.model()
        layer = treated.get_submodule(path)
        if not any(p.dim() > 1 for p in layer.parameters()):
            assert (row["sensitivity"], row["treatable"]) == (None, False)
            assert row["reason"] == "it has no weights of two or more dimensions"
            continue
        one.get_submodule(path).load_state_dict(layer.state_dict())
        fall = right(workload.model(), workload) - right(one, workload)
        assert row["sensitivity"]["value"] == pytest.approx(fall)  # type: ignore[index]
        assert row["sensitivity"]["low"] <= fall <= row["sensitivity"]["high"]  # type: ignore[index]
        seen += 1
    assert seen == sum(isinstance(m, nn.Linear | nn.Conv2d) for m in treated.modules())


@pytest.mark.parametrize("name", ["linear", "conv", "residual", "depthwise", "attention"])
def test_each_parameter_stands_in_one_row(name: str) -> None:
    found = rows(name, PRUNE)
    assert sum(row["parameters"] for row in found.values()) == sum(p.numel() for p in tiny(name).model().parameters())  # type: ignore[misc]
    assert sum(row["share"] for row in found.values()) == pytest.approx(1)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("model", "recipe", "layer", "why"),
    [
        ("linear", [["node_pruning", {"amount": 0.5}]], "4", "outputs"),
        ("linear", [["node_pruning", {"amount": 0.5, "protect": ["0"]}]], "0", "it is protected"),
        ("residual", [["layer_pruning", {"amount": 0.5, "examples": 32}]], "stem", "lies in no layer"),
        ("conv", [["layer_pruning", {"amount": 0.5, "examples": 32}]], "0", "must find layers"),
        ("own_attention", [["node_pruning", {"amount": 0.5}]], "layers.0.0.qkv", "the model does not run"),
        ("conv", [["structure_optimization", {"rank": 0.2}]], "1", "no weights of two or more"),
        ("linear", [["structure_optimization", {"rank": 0.9}]], "2", "pay up to rank"),
        ("linear", [["weight_pruning", {"amount": 0.0}]], "0", "leaves it as it is"),
    ],
)
def test_what_is_not_treated_is_not_called_robust(model: str, recipe: object, layer: str, why: str) -> None:
    row = rows(model, recipe)[layer]
    assert row["sensitivity"] is None
    assert why in str(row["reason"])


def test_layers_that_go_together_name_each_other() -> None:
    found = rows("residual", [["layer_pruning", {"amount": 0.4, "examples": 32}]])
    assert set(found["blocks.0.conv1"]["treated_with"]) == {"blocks.0.norm1", "blocks.0.conv2", "blocks.0.norm2"}  # type: ignore[call-overload]
    falls = {str(found[f"blocks.0.{part}"]["sensitivity"]) for part in ("conv1", "norm1", "conv2", "norm2")}
    assert len(falls) == 1


def test_earlier_steps_are_done_first() -> None:
    recipe = [["node_pruning", {"amount": 0.5}], *PRUNE]
    assert rows("linear", recipe)["2"]["shape"] == [8, 8]
    assert rows("linear", recipe, step=0)["2"]["shape"] == [16, 16]


@pytest.mark.parametrize("options", [{"step": 1}, {"step": -1}, {"step": True}, {"examples": 0}, {"examples": 1.5}])
def test_what_cannot_be_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        rows("linear", PRUNE, **options)


def test_the_test_split_is_never_read() -> None:
    workload = copy.copy(tiny("linear"))
    assert workload.fingerprint
    workload.test = (Untouchable(), Untouchable())  # type: ignore[assignment]
    assert rows(workload, PRUNE)["0"]["sensitivity"] == rows("linear", PRUNE)["0"]["sensitivity"]


def test_a_second_look_is_answered_by_the_store() -> None:
    store = CountingStore()
    first, again = (view_layers(Measurer(tiny("linear"), protocol=quick(), store=store), PRUNE) for _ in range(2))
    assert first == again

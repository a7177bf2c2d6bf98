"""A layer treated alone, against the same done by hand, method by method."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine import Cancelled, CannotApply, Measurer, Recipe, Workload, view_layers
from engine.copying import structural_copy
from engine.metrics.layers import layer_costs
from tests.engine.quick import CountingStore, quick
from tests.methods.nets import Listening
from tests.tiny import linear_net, tiny, workload_of

Rows = dict[str, dict[str, Any]]
KEYS = {
    "layer", "kind", "shape", "parameters", "multiply_adds", "share", "batches", "after", "sensitivity", "treatable",
    "reason", "treated_with",
}  # fmt: skip
PRUNE = ["weight_pruning", {"form": "magnitude_layer", "amount": 0.9}]


def rows(workload: Workload, recipe: object, **options: Any) -> Rows:
    found = view_layers(Measurer(workload, protocol=quick()), recipe, **options)  # type: ignore[arg-type]
    return {row["layer"]: row for row in found["layers"]}  # type: ignore[attr-defined]


def fall(workload: Workload, before: nn.Module, after: nn.Module, chosen: Tensor | None = None) -> float:
    """Of the score on validation, or on a part of it."""
    x, y = (side if chosen is None else side[chosen] for side in workload.validation)
    with torch.inference_mode():
        return workload.task.score(before.eval()(x), y) - workload.task.score(after.eval()(x), y)


def with_layer(workload: Workload, path: str, layer: nn.Module) -> nn.Module:
    made = workload.model()
    made.set_submodule(path, layer)
    return made


def without_nodes(model: nn.Module, path: str, following: str, amount: float) -> nn.Module:
    """Without the nodes of the smallest norm over both layers: nothing in the next layer hears them."""
    own, after = model.get_submodule(path).weight, model.get_submodule(following).weight
    norms = own.detach().square().sum(1) + after.detach().square().sum(0)
    with torch.no_grad():
        after[:, norms.argsort()[: round(amount * len(norms))]] = 0
    return model


def thin(layer: nn.Linear, rank: int) -> nn.Linear:
    made = copy.deepcopy(layer)
    u, s, v = torch.linalg.svd(layer.weight.detach(), full_matrices=False)
    made.weight = nn.Parameter(u[:, :rank] * s[:rank] @ v[:rank])
    return made


@pytest.mark.parametrize(("path", "following"), [("0", "2"), ("2", "4")])
@pytest.mark.parametrize("amount", [0.3, 0.8])
def test_nodes_of_one_layer(path: str, following: str, amount: float) -> None:
    workload = tiny("regression")
    found = rows(workload, [["node_pruning", {"amount": amount}]])[path]["sensitivity"]
    wanted = fall(workload, workload.model(), without_nodes(workload.model(), path, following, amount))
    assert found["value"] == pytest.approx(wanted, abs=1e-5)
    assert abs(wanted) > 1e-3


@pytest.mark.parametrize("block", [0, 1, 2])
def test_one_block(block: int) -> None:
    workload = tiny("residual")
    found = rows(workload, [["layer_pruning", {"form": "formula", "alpha": 0.4}]])
    wanted = fall(workload, workload.model(), with_layer(workload, f"blocks.{block}", nn.Identity()))
    assert found[f"blocks.{block}.conv2"]["sensitivity"]["value"] == pytest.approx(wanted)
    assert wanted != 0


@pytest.mark.parametrize(("path", "rank"), [("0", 2), ("2", 4)])
def test_one_thin_layer(path: str, rank: int) -> None:
    workload = tiny("regression")
    found = rows(workload, [["structure_optimization", {"rank": 0.25}]])[path]
    wanted = fall(
        workload, workload.model(), with_layer(workload, path, thin(workload.model().get_submodule(path), rank))
    )
    assert found["sensitivity"]["value"] == pytest.approx(wanted, abs=1e-5)
    assert found["sensitivity"]["unit"] == "R²"
    assert abs(wanted) > 1e-3
    shape = found["shape"]
    assert found["after"]["shapes"] == [[rank, shape[1]], [shape[0], rank]]


def test_a_later_step_is_tried_on_what_the_earlier_ones_left() -> None:
    workload, recipe = tiny("regression"), [["node_pruning", {"amount": 0.5}], PRUNE]
    before, treated = (Recipe.of(recipe[:steps]).apply(workload, device="cpu") for steps in (1, 2))
    for path, row in rows(workload, recipe, step=1).items():
        one = copy.deepcopy(before)
        one.set_submodule(path, treated.get_submodule(path))
        assert row["sensitivity"]["value"] == pytest.approx(fall(workload, before, one), abs=1e-5)


def test_a_part_of_the_examples_is_drawn_by_the_seed() -> None:
    workload = tiny("residual")
    found = rows(workload, [["layer_pruning", {"form": "formula", "alpha": 0.4}]], examples=10)
    chosen = torch.randperm(32, generator=torch.Generator().manual_seed(quick().seed))[:10]
    wanted = fall(workload, workload.model(), with_layer(workload, "blocks.1", nn.Identity()), chosen)
    told = found["blocks.1.conv1"]["sensitivity"]
    assert (told["value"], told["n"]) == (pytest.approx(wanted), 10)


@pytest.mark.parametrize("name", ["conv", "tied", "own_attention"])
def test_a_row_says_what_its_layer_is_and_costs(name: str) -> None:
    workload = tiny(name)
    found = rows(workload, [PRUNE])
    costs = {cost.path: cost for cost in layer_costs(workload.model(), workload.train[0][:64])}
    assert list(found) == list(costs)
    for path, row in found.items():
        layer = workload.model().get_submodule(path)
        assert set(row) == KEYS
        assert (row["kind"], row["parameters"]) == (type(layer).__name__, sum(p.numel() for p in layer.parameters()))
        assert row["multiply_adds"] * 64 == costs[path].multiply_adds
        for batch, n in (("1", 1), ("64", 64)):
            sides = row["batches"][batch]
            assert sides["before"]["multiply_adds"] == sides["after"]["multiply_adds"] == n * row["multiply_adds"]
            assert sides["before"]["time_ms"] > 0
        assert row["batches"]["64"]["before"]["moved_bytes"] == costs[path].moved_bytes


def test_what_only_the_variant_has_and_what_it_has_no_more() -> None:
    found = rows(tiny("residual"), [["layer_pruning", {"form": "formula", "alpha": 0.4}]])
    assert [found[f"blocks.{block}.conv1"]["after"] is None for block in range(3)] == [False, False, True]
    assert found["blocks.2.conv1"]["batches"]["1"]["after"] is None


def test_the_empty_recipe_has_costs_and_treats_nothing() -> None:
    found = rows(tiny("linear"), [])
    assert all((row["sensitivity"], row["reason"]) == (None, "the recipe has no step") for row in found.values())
    assert sum(row["multiply_adds"] for row in found.values()) == 496


@pytest.mark.parametrize("step", [0, 1])
def test_only_the_steps_own_refusal_is_a_row(step: int) -> None:
    recipe = [PRUNE, ["layer_pruning", {}]]
    if step == 0:
        with pytest.raises(CannotApply, match="must find layers"):
            rows(tiny("conv"), recipe, step=0)
        return
    found = rows(tiny("conv"), recipe, step=1)
    assert all(row["sensitivity"] is None and "must find layers" in row["reason"] for row in found.values())
    assert not any(row["treatable"] for row in found.values())


def test_the_second_look_measures_nothing_and_another_step_does() -> None:
    store, recipe = CountingStore(), [PRUNE, ["node_pruning", {"amount": 0.5}]]
    measurer = Measurer(tiny("linear"), protocol=quick(), store=store)
    view_layers(measurer, recipe, step=0)
    assert "layers" in store.put_kinds
    store.put_kinds.clear()
    view_layers(Measurer(tiny("linear"), protocol=quick(), store=store), recipe, step=0)
    assert store.put_kinds == []
    for options in ({"step": 1}, {"step": 0, "examples": 7}):
        view_layers(measurer, recipe, **options)
    assert store.put_kinds == ["layers", "layers"]


def test_somebody_may_stop_it() -> None:
    channel = Listening(stop_after=2)
    with pytest.raises(Cancelled):
        view_layers(Measurer(tiny("residual"), protocol=quick(), channel=channel), [PRUNE])


class Scaled(nn.Module):
    """Holds a number of its own beside layers that lie in a container."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.body = nn.Parameter(torch.ones(1, 12)), linear_net()

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x * self.scale)


class Settled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.norm(self.conv(x))).mean((2, 3)))


def test_a_module_with_layers_somewhere_in_it_is_none() -> None:
    found = rows(workload_of("scaled", Scaled, (12,), "classification"), [PRUNE])
    assert set(found) == {"body.0", "body.2", "body.4"}


def test_a_model_that_is_one_layer() -> None:
    workload = workload_of("one", lambda: nn.Linear(6, 4), (6,), "classification")
    recipe = [["structure_optimization", {"rank": 0.25}]]
    row = rows(workload, recipe)[""]
    wanted = fall(workload, workload.model(), Recipe.of(recipe).apply(workload, device="cpu"))
    assert row["sensitivity"]["value"] == pytest.approx(wanted) != 0
    assert row["after"]["parameters"] == 6 + 4 + 4


def test_tied_layers_name_each_other() -> None:
    found = rows(tiny("tied"), [PRUNE])
    assert (found["embed"]["treated_with"], found["out"]["treated_with"]) == (["out"], ["embed"])


def test_a_norm_that_was_trained_comes_with_its_statistics() -> None:
    workload = workload_of("settled", Settled, (1, 6, 6), "regression")
    recipe = [["parameter_optimization", {"steps": 40, "learning_rate": 0.3}]]
    measurer = Measurer(workload, protocol=quick())
    treated = Recipe.of(recipe).apply_in(measurer.context)
    one = structural_copy(measurer.context.original)
    one.set_submodule("norm", treated.get_submodule("norm"))
    wanted = fall(workload, workload.model(), one)
    assert rows(workload, recipe)["norm"]["sensitivity"]["value"] == pytest.approx(wanted, abs=1e-5)

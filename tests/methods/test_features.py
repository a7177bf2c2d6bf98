"""Distillation by what lies inside: which layers, through which matrices, and that these are trained and gone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine import CannotApply, Recipe
from engine.copying import structural_copy
from engine.edit.hints import captured, feature_distance, find_hints, projections
from tests.methods.nets import Listening, context_of, explored, linear, random_inputs
from tests.states import Held
from tests.tiny import TRAIN, tiny

THIN = ["node_pruning", {"amount": 0.5}]
PRUNE = ["weight_pruning", {"amount": 0.7}]


def features(**values: object) -> list[object]:
    return ["knowledge_distillation", {"form": "features", "steps": 1, "batch_size": 1000, **values}]


def heard(model: str, *steps: object) -> Listening:
    line = Listening()
    Recipe.of(list(steps)).apply_in(context_of(tiny(model), line))
    return line


def hidden(net: nn.Module, paths: list[str], inputs: Tensor) -> list[Tensor]:
    with captured(net, paths) as found, torch.no_grad():
        net(inputs)
    return [found[path] for path in paths]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("model", ["linear", "tied", "own_attention"])
def test_an_identical_student_has_nothing_to_learn(model: str, share: float) -> None:
    first, *later = heard(model, features(steps=4, feature_share=share)).losses
    assert first == 0
    assert max(later) < 1e-3  # weight decay moves the weights a little


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_loss_by_hand(share: float) -> None:
    """Where both are equally wide, the matrix is the identity at first."""
    workload = tiny("own_attention")
    x, teacher = workload.train[0], workload.model()
    student = Recipe.of([PRUNE]).apply(workload, device="cpu")
    pairs = zip(*(hidden(net, ["layers.0", "layers.1"], x) for net in (student, teacher)), strict=True)
    inside = sum(float((h - wanted).square().mean() / wanted.square().mean()) for h, wanted in pairs) / 2
    wanted = share * inside + (1 - share) * F.mse_loss(student(x), teacher(x)).item()
    line = heard("own_attention", PRUNE, features(feature_share=share))
    assert line.losses == pytest.approx([wanted], rel=1e-5)


def test_a_matrix_leads_from_the_students_nodes_to_the_teachers() -> None:
    """Nodes of a plain chain went, so its layers are seen through matrices of their own shapes."""
    context = context_of(tiny("conv"))
    small = Recipe.of([THIN]).apply_in(context)
    hints = find_hints(small, context.original, context.examples(2))
    assert [(hint.large, hint.axis, hint.widths) for hint in hints] == [("0", 1, (4, 8)), ("3", 1, (6, 12))]
    across = projections(hints, context.train[0], seed=0)
    x = context.train[0][:5]
    given = dict(zip(("0", "3"), hidden(small, ["0", "3"], x), strict=True))
    wanted = dict(zip(("0", "3"), hidden(context.original, ["0", "3"], x), strict=True))
    total = 0.0
    for (path, h), matrix in zip(given.items(), across, strict=True):
        seen = torch.einsum("oc,nchw->nohw", matrix.weight.detach(), h)
        total += float((seen - wanted[path]).square().sum() / wanted[path].square().sum())
    assert feature_distance(hints, across, given, wanted).item() == pytest.approx(total / 2, rel=1e-5)
    again = projections(hints, context.train[0], seed=0)
    assert all(torch.equal(a.weight, b.weight) for a, b in zip(across, again, strict=True))


@pytest.mark.parametrize("model", ["residual", "attention", "own_attention", "tied", "conv"])
def test_the_students_insides_come_nearer_to_the_teachers(model: str) -> None:
    line = heard(model, PRUNE, features(steps=60, learning_rate=0.01, batch_size=TRAIN, feature_share=1.0))
    assert line.losses[-1] < 0.6 * line.losses[0]


def test_matrices_are_trained_along() -> None:
    """A student whose one hidden layer is the teacher's in other coordinates learns them, its own weights held."""
    rows = random_inputs(4, 4, seed=3)
    net = nn.Sequential(linear(rows.tolist()), nn.Tanh(), nn.Linear(4, 3))
    context = context_of(explored(net, random_inputs(50, 4)))
    student = structural_copy(context.original)
    hints = find_hints(student, context.original, context.examples(2))
    across = projections(hints, context.train[0], seed=0)
    before = [matrix.weight.clone() for matrix in across]
    line = Listening()
    made: list[Any] = []
    step = Recipe.of([features(steps=30, learning_rate=0.05)]).steps[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.methods.knowledge_distillation.projections", lambda *given: made.append(across) or across)
        pruned = Recipe.of([PRUNE]).apply_in(context)
        object.__setattr__(context, "channel", line)
        step.edit(structural_copy(pruned), context)
    assert made
    assert all(not torch.equal(a, b.weight) for a, b in zip(before, across, strict=True))


@pytest.mark.parametrize("recipe", [[], [THIN], [["layer_pruning", {"amount": 0.5, "examples": 32}]]])
@pytest.mark.parametrize("model", ["residual", "attention", "conv", "linear"])
def test_neither_model_keeps_a_trace(model: str, recipe: list[object]) -> None:
    if model == "conv" and recipe and recipe[0][0] == "layer_pruning":  # type: ignore[index]
        return
    context = context_of(tiny(model))
    before = Held.of(context.original)
    small = Recipe.of(recipe).apply_in(context)
    variant = Recipe.of([*recipe, features(steps=2, batch_size=16)]).apply_in(context)
    assert Held.of(context.original) == before
    assert Held.of(variant).hooks == 0
    assert {n: p.shape for n, p in variant.named_parameters()} == {n: p.shape for n, p in small.named_parameters()}


def test_layers_that_stand_elsewhere_now_are_compared_with_what_they_were() -> None:
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    net = nn.Sequential(nn.TransformerEncoder(layer, 4, enable_nested_tensor=False), nn.Flatten(), nn.Linear(12, 3))
    context = context_of(explored(net.eval(), random_inputs(20, 3, 4)))
    small = Recipe.of([["layer_pruning", {"form": "random", "amount": 0.5}]]).apply_in(context)
    hints = find_hints(small, context.original, context.examples(2))
    assert len(hints) == 2
    for hint in hints:
        mine, theirs = small.get_submodule(hint.small), context.original.get_submodule(hint.large)
        assert mine.linear1.weight is theirs.linear1.weight


def test_at_most_four_layers_are_compared_and_the_last_is_among_them() -> None:
    net = nn.Sequential(*(nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(9)), nn.Linear(4, 3))
    hints = find_hints(net, net, random_inputs(2, 4))
    assert len(hints) == 4
    assert hints[-1].large.startswith("8")


def test_models_without_a_hidden_layer_in_common_are_refused() -> None:
    net = linear([[1.0, 2.0], [3.0, 1.0]])
    recipe = Recipe.of([features()])
    with pytest.raises(CannotApply, match="must find layers inside both models, got none"):
        recipe.apply(explored(net, random_inputs(6, 2)), device="cpu")

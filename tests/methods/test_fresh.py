"""A student with newly drawn weights: all of them, in the shapes that are there, with the zeros that were there."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from engine import CannotApply, Recipe
from engine.copying import structural_copy
from engine.edit.fresh import draw_anew
from tests.methods.nets import Listening, context_of, explored, random_inputs
from tests.states import Held, contents, global_state
from tests.tiny import MAKERS, tiny

FORMS = ["formula", "softened", "features"]
SMALLER = {
    "as it is": [],
    "fewer nodes": [["node_pruning", {"amount": 0.5}]],
    "two factors": [["structure_optimization", {"rank": 0.25}]],
    "zeros": [["weight_pruning", {"amount": 0.6}]],
}


def distil(**values: object) -> list[object]:
    return ["knowledge_distillation", {"steps": 0, "student": "fresh", **values}]


@pytest.mark.parametrize("recipe", SMALLER.values(), ids=SMALLER)
@pytest.mark.parametrize("model", MAKERS)
def test_every_weight_is_drawn_anew_in_its_present_shape(model: str, recipe: list[object]) -> None:
    context = context_of(tiny(model))
    before = Recipe.of(recipe).apply_in(context)
    after = Recipe.of([*recipe, distil(form="formula")]).apply_in(context)
    for (name, old), (same, new) in zip(before.named_parameters(), after.named_parameters(), strict=True):
        assert name == same
        assert old.shape == new.shape
        if old.dim() > 1:
            alive = old != 0
            assert (new[alive] != old[alive]).all(), name
            assert (new[~alive] == 0).all(), name
            assert (new[alive] != 0).all(), name
    assert all(p.isfinite().all() for p in after.parameters())


def test_a_layer_is_drawn_as_torch_draws_it() -> None:
    net = nn.Sequential(nn.Conv2d(3, 40, 3), nn.BatchNorm2d(40), nn.Linear(200, 50))
    with torch.no_grad():
        for tensor in (*net.parameters(), *net.buffers()):
            tensor.fill_(7)
    assert draw_anew(net, 0, keep_zeros=True) == ""
    for layer, inputs in ((net[0], 27), (net[2], 200)):
        bound = 1 / math.sqrt(inputs)
        assert layer.weight.abs().max() <= bound
        assert layer.weight.abs().max() > 0.95 * bound
        assert layer.bias.abs().max() <= bound
    assert (net[1].weight == 1).all()
    assert (net[1].running_mean == 0).all()
    assert (net[1].running_var == 1).all()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("steps", [0, 2])
@pytest.mark.parametrize(("keep", "same"), [("yes", True), ("no", False)])
def test_a_fresh_student_has_zeros_where_asked(form: str, steps: int, keep: str, same: bool) -> None:
    prune = ["weight_pruning", {"amount": 0.5}]
    workload = tiny("linear")
    pruned = Recipe.of([prune]).apply(workload, device="cpu")
    recipe = [prune, distil(form=form, keep_zeros=keep, steps=steps)]
    trained = Recipe.of(recipe).apply(workload, device="cpu")
    zero = pruned[0].weight == 0
    assert bool((trained[0].weight[zero] == 0).all()) is same
    assert (trained[0].weight[zero] != 0).any().item() is not same


def test_no_step_of_a_fresh_student_is_not_nothing() -> None:
    step, left = Recipe.of([distil(), distil(student="as_left")]).steps
    assert not step.neutral
    assert left.neutral


def test_the_seed_draws_and_nothing_else() -> None:
    drawn = []
    for seed in (0, 0, 1):
        net = structural_copy(tiny("attention").model())
        torch.manual_seed(len(drawn))
        before = global_state()
        assert draw_anew(net, seed, keep_zeros=True) == ""
        assert global_state() == before
        drawn.append(contents(net))
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_the_original_is_not_touched_and_ties_stay() -> None:
    context = context_of(tiny("tied"))
    before = Held.of(context.original)
    variant = Recipe.of([distil(form="formula")]).apply_in(context)
    assert Held.of(context.original) == before
    assert variant.out.weight is variant.embed.weight


class Tokens(nn.Module):
    """Weights of its own, which nobody draws."""

    def __init__(self, scale: bool) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.ones(1, 2000))
        self.bias = nn.Parameter(torch.ones(3))
        if scale:
            self.scale = nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.token.mean() + self.bias


class RootNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((3,), 5.0))


def test_what_nobody_draws_is_drawn_by_what_it_is() -> None:
    net = nn.ModuleList([Tokens(scale=False), RootNorm()])
    assert draw_anew(net, 0, keep_zeros=True) == ""
    assert net[0].token.std().item() == pytest.approx(0.02, rel=0.1)
    assert (net[0].bias == 0).all()
    assert (net[1].weight == 1).all()


def test_what_nobody_knows_is_refused_by_name() -> None:
    net = nn.Sequential(nn.Linear(4, 3), Tokens(scale=True))
    with pytest.raises(
        CannotApply, match=r"how to draw every layer's weights anew, got 1.scale: give its module reset"
    ):
        Recipe.of([distil()]).apply(explored(net, random_inputs(6, 4)), device="cpu")


class Owner(nn.Module):
    """Draws the weights inside, as transformers' models do; and one that means something else by that name."""

    def __init__(self, takes: bool) -> None:
        super().__init__()
        self.inner, self.tokens = nn.Linear(4, 3), Tokens(scale=takes)
        self.takes = takes

    def _init_weights(self, *given: nn.Module) -> None:
        if bool(given) is not self.takes:
            raise TypeError("takes no module" if given else "takes a module")
        for module in given:
            for name, parameter in module.named_parameters(recurse=False):
                nn.init.constant_(parameter, 0.25 if name == "weight" else 0.5)


def test_who_draws_what_is_inside_is_asked() -> None:
    asked, other = Owner(takes=True), Owner(takes=False)
    assert draw_anew(asked, 0, keep_zeros=True) == draw_anew(other, 0, keep_zeros=True) == ""
    assert (asked.inner.weight == 0.25).all()
    assert all((p == 0.5).all() for p in asked.tokens.parameters())
    assert len(other.inner.weight.unique()) == 12


@pytest.mark.parametrize("form", FORMS)
def test_a_fresh_student_learns(form: str) -> None:
    line = Listening()
    values = {"steps": 80, "learning_rate": 0.01, "batch_size": 96}
    Recipe.of([distil(form=form, **values)]).apply_in(context_of(tiny("residual"), line))
    assert line.losses[-1] < 0.7 * line.losses[0]

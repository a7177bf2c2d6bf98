"""What all forms that split a layer have in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine import Context, Recipe
from engine.edit.factors import FactoredTurned
from sample_models import load
from tests.methods.nets import context_of, edited, explored
from tests.methods.structures import mixed, size, step
from tests.tiny import tiny


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


FORMS = [
    ("low_rank", {"rank": 0.25}), ("energy", {"energy": 0.6}), ("budget", {"amount": 0.3}),
    ("whitened", {"rank": 0.25}), ("rotated", {"rank": 0.25}),
]  # fmt: skip
every_form = pytest.mark.parametrize(("form", "values"), FORMS, ids=[form for form, _ in FORMS])


class Turned(nn.Module):
    """Two of transformers' Conv1D."""

    def __init__(self) -> None:
        from transformers.pytorch_utils import Conv1D

        super().__init__()
        self.up, self.down = Conv1D(48, 16), Conv1D(16, 48)
        for layer in (self.up, self.down):
            layer.weight = nn.Parameter(torch.randn_like(layer.weight) / 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.gelu(self.up(x)))


@every_form
def test_layers_whose_weight_is_turned_are_split_as_linear_ones(form: str, values: dict[str, object]) -> None:
    turned, inputs = Turned(), mixed(60, 16, 0.5).float().view(20, 3, 16)
    straight = nn.Sequential(nn.Linear(16, 48), nn.GELU(), nn.Linear(48, 16))
    for linear, other in ((straight[0], turned.up), (straight[2], turned.down)):
        linear.weight, linear.bias = nn.Parameter(other.weight.detach().T.contiguous()), other.bias
    thin = edited(turned, step(form, **values), inputs)
    assert isinstance(thin.up, FactoredTurned)
    assert thin.up.weight.shape == turned.up.weight.shape
    with torch.no_grad():
        wanted = edited(straight, step(form, **values), inputs)(inputs)
        torch.testing.assert_close(thin(inputs), wanted, atol=2e-4, rtol=1e-3)


def far_off(net: nn.Module, context: Context, recipe: list[object]) -> float:
    """How far the outputs on the training examples are from the net's."""
    inputs = context.train[0]
    with torch.no_grad():
        return float((Recipe.of(recipe).apply_in(context)(inputs) - net(inputs)).square().mean())


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("metric", ["layer", "model"])
@pytest.mark.parametrize(("form", "values"), FORMS[:3], ids=[form for form, _ in FORMS[:3]])
def test_a_repair_after_it_is_no_farther_off(form: str, values: dict[str, object], metric: str, turned: bool) -> None:
    net = Turned() if turned else nn.Sequential(nn.Linear(16, 40), nn.GELU(), nn.Linear(40, 12))
    context = context_of(explored(net, mixed(400, 16, 0.5).float() * 2))
    cut = step(form, **values, **({} if form == "low_rank" else {"examples": 400, "metric": metric}))
    repair: list[object] = ["repair", {"examples": 400, "ridge": 1e-6}]
    assert far_off(net, context, [*cut, repair]) < far_off(net, context, cut)
    before, after = (Recipe.of(steps).apply_in(context) for steps in (cut, [*cut, repair]))
    assert [p.shape for p in before.parameters()] == [p.shape for p in after.parameters()]


# Repair looks for directions in another metric than the axes': on digits_mlp that is farther off by a twentieth.
TRAINED = [(m, *f) for m in ("fashion_resnet", "digits_mlp") for f in FORMS if (m, f[0]) != ("digits_mlp", "rotated")]


@pytest.mark.parametrize(("model", "form", "values"), TRAINED, ids=[f"{model}-{form}" for model, form, _ in TRAINED])
def test_on_a_trained_net_a_repair_is_no_farther_off(model: str, form: str, values: dict[str, object]) -> None:
    context = small(model)
    repair: list[object] = ["repair", {"examples": 400}]
    off = [far_off(context.original, context, [*step(form, **values), *more]) for more in ([], [repair])]
    assert off[1] <= off[0]


@pytest.mark.parametrize("model", ["fashion_resnet", "digits_mlp"])
def test_ranks_chosen_together_lose_a_small_part_of_what_one_rank_for_all_loses(model: str) -> None:
    """At as many parameters, without any training: the outputs on 400 examples."""
    context = small(model)
    one = step("low_rank", rank=0.3)
    whole = size(context.original)
    amount = 1 - size(Recipe.of(one).apply_in(context)) / whole
    together = far_off(context.original, context, step("budget", amount=amount))
    assert size(Recipe.of(step("budget", amount=amount)).apply_in(context)) <= (1 - amount) * whole + 1
    assert together < 0.3 * far_off(context.original, context, one)


@cache
def small(model: str) -> Context:
    """With 400 training examples, drawn by the seed."""
    context = Context.of(load(model), torch.device("cpu"))
    inputs = context.examples(400)
    return replace(context, train=(inputs, torch.zeros(400, dtype=torch.long)))


def test_a_sweep_takes_each_layer_apart_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = []
    svd, eigh = torch.linalg.svd, torch.linalg.eigh
    monkeypatch.setattr(torch.linalg, "svd", lambda *a, **k: counted.append("svd") or svd(*a, **k))
    monkeypatch.setattr(torch.linalg, "eigh", lambda *a, **k: counted.append("eigh") or eigh(*a, **k))
    for form, values in FORMS:
        context = Context.of(tiny("residual"), torch.device("cpu"))
        ((knob, value),) = values.items()
        Recipe.of(step(form, **values)).apply_in(context)
        once = len(counted)
        assert once
        for other in (0.9, 1.1):
            Recipe.of(step(form, **{knob: float(value) * other})).apply_in(context)  # type: ignore[arg-type]
        assert len(counted) == once, form
        counted.clear()

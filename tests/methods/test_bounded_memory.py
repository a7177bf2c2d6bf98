"""Steps that change each number by itself: what they need beside the variant's own tensors is bounded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import nn

import engine.edit.smallest as smallest
import engine.edit.surgery as surgery
from engine import Form, Method, Recipe, Workload
from engine.copying import structural_copy
from engine.edit.surgery import by_blocks, weights
from engine.method import Context
from engine.metrics.memory import _Holding
from tests.contract.cases import FORMS
from tests.states import contents, places
from tests.tiny import tiny, workload_of

LAYERS, WIDTH = 6, 512
LARGEST = WIDTH * WIDTH * 4  # bytes
VALUES = {"alpha": 0.02, "limit": 0.03, "amount": 0.4}
APART = {"n_of_m", "group_threshold", "wanda", "inverse_hessian", "magnitude_adaptive"}  # numbers that hang together
ELEMENTWISE = [
    pytest.param(method, form, more, id="-".join((method.name, form.name, *more.values())))
    for method, form in FORMS
    if method.name in ("weight_clipping", "weight_pruning") and form.name not in APART and "training" not in form.needs
    for more in ([{"scale": scale} for scale in ("absolute", "std")] if "scale" in form.coefficients else [{}])
]
BY_ITSELF = {"formula", "clamp", "soft_threshold", "hard_threshold"}  # block by block: next to nothing between


def deep() -> Workload:
    return workload_of("deep", stack, (WIDTH,), "regression")


def stack() -> nn.Module:
    return nn.Sequential(*(nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(LAYERS)))


@contextmanager
def blocks_of(size: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(surgery, "BLOCK", size)
    monkeypatch.setattr(smallest, "MOST", 0)  # as in a model too large for ranks
    yield


def most_between(method: Method, model: nn.Module, context: Context) -> int:
    """Bytes beside the original and the variant's finished tensors, at the worst moment."""
    known = {t.untyped_storage()._cdata for t in (*model.parameters(), *model.buffers())}
    copied = structural_copy(model)
    holding = _Holding(set(known))
    finished = [0]
    real, worst = surgery._put, [0]

    def put(at: object, value: torch.Tensor) -> None:
        real(at, value)  # type: ignore[arg-type]
        worst[0] = max(worst[0], holding.most - finished[0])
        finished[0] += value.untyped_storage().nbytes()
        holding.most = holding.now

    surgery._put = put  # type: ignore[assignment]
    try:
        with holding:
            method.edit(copied, context)
    finally:
        surgery._put = real
    assert finished[0] == LAYERS * LARGEST
    return max(worst[0], holding.most - finished[0])


@pytest.mark.parametrize(("method", "form", "more"), ELEMENTWISE)
def test_no_more_than_two_copies_of_the_largest_layer_at_once(
    method: type[Method], form: Form, more: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    workload = deep()
    values = {name: value for name, value in VALUES.items() if name in form.coefficients}
    with blocks_of(2**12, monkeypatch):
        context = Context.of(workload, torch.device("cpu"))
        between = most_between(method(form.name, values | more), context.original, context)
    # the new tensor is the variant's own; lots are drawn in double precision
    copies = 0.1 if form.name in BY_ITSELF else 3 if form.name == "random" else 2
    assert between <= (1 + copies) * LARGEST


@pytest.mark.parametrize("numbers", [1, 511, 512, 513, 5000])
def test_block_by_block_is_the_same_as_all_at_once(numbers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surgery, "BLOCK", 512)
    weight = torch.randn(numbers, 3, generator=torch.Generator().manual_seed(numbers))
    sizes = list[int]()

    def change(part: torch.Tensor) -> torch.Tensor:
        sizes.append(part.numel())
        return part.sign() * (part.abs() - 0.3).clamp_min(0)

    assert torch.equal(by_blocks(change, weight), change(weight))
    assert max(sizes[:-1]) <= 512
    turned = weight.T
    assert torch.equal(by_blocks(change, turned), change(turned))


def test_weights_are_put_one_after_another_and_ties_stay_ties() -> None:
    model = structural_copy(tiny("tied").model())
    before, order = places(model), list[str]()

    def change(name: str, weight: torch.Tensor) -> torch.Tensor:
        order.append(name)
        return weight.clone() if name == "down.weight" else weight + 1

    surgery.map_weights(model, change)
    assert order == [name for name, _ in weights(tiny("tied").model())]
    assert model.out.weight is model.embed.weight
    assert model.down.weight.data_ptr() == before["down.weight"]
    assert torch.equal(model.up.weight, tiny("tied").model().up.weight + 1)


def test_a_large_model_is_clipped_and_pruned_as_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    recipes = [Recipe.of([["weight_clipping", {"alpha": 0.02}]]), Recipe.of([["weight_pruning", {"amount": 0.7}]])]
    plain = [contents(recipe.apply(tiny("conv"))) for recipe in recipes]
    with blocks_of(16, monkeypatch):
        assert [contents(recipe.apply(tiny("conv"))) for recipe in recipes] == plain

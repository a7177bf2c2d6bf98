"""The gradient loop: zeros in the optimizer's memory, and when it is enough."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from engine import Context, Recipe
from engine.copying import structural_copy
from engine.edit.training import JUDGED, LOOKS, Schedule, adamw, task_loss, train
from tests.methods.nets import Listening, context_of, explored, linear, random_inputs
from tests.states import contents
from tests.tiny import tiny

PRUNE = ["weight_pruning", {"amount": 0.5}]
Make = Callable[[nn.Module], torch.optim.Optimizer]
OPTIMIZERS: dict[str, Make] = {
    "adamw": lambda net: adamw(net, 0.01, 8),
    "momentum": lambda net: torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9),
    "adam with maxima": lambda net: torch.optim.Adam(net.parameters(), lr=0.01, amsgrad=True),
}


def pruned(model: str) -> tuple[nn.Module, Context]:
    context = context_of(tiny(model))
    return structural_copy(Recipe.of([PRUNE]).apply_in(context)), context


def kept_at_zero(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """All that the optimizer remembers of weights that are zero."""
    return [
        kept[parameter == 0]
        for parameter, state in optimizer.state.items()
        for kept in state.values()
        if isinstance(kept, Tensor) and kept.shape == parameter.shape and parameter.dim() > 1
    ]


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("model", ["linear", "attention", "tied"])
def test_after_every_step_the_optimizer_remembers_nothing_of_a_weight_that_is_zero(make: Make, model: str) -> None:
    net, context = pruned(model)
    looks: list[int] = []
    made: list[torch.optim.Optimizer] = []

    def look(optimizer: torch.optim.Optimizer, *_: object) -> None:
        remembered = kept_at_zero(optimizer)
        assert all((part == 0).all() for part in remembered)
        looks.append(sum(part.numel() for part in remembered))

    def watched(trained: nn.Module) -> torch.optim.Optimizer:
        made.append(make(trained))
        made[0].register_step_pre_hook(look)
        return made[0]

    train(net, context, task_loss(context), watched, Schedule(8, 32, keep_zeros=True))
    look(made[0])
    assert len(looks) == 9
    assert looks[0] == 0
    assert min(looks[1:]) > 0


def test_zeros_that_may_move_are_remembered() -> None:
    net, context = pruned("linear")
    made: list[torch.optim.Optimizer] = []
    masked = {name: p == 0 for name, p in net.named_parameters()}

    def make(trained: nn.Module) -> torch.optim.Optimizer:
        made.append(adamw(trained, 0.01, 8))
        return made[0]

    train(net, context, task_loss(context), make, Schedule(8, 32, keep_zeros=False))
    state = {name: made[0].state[p]["exp_avg"] for name, p in net.named_parameters()}
    assert any(bool((state[name][zero] != 0).any()) for name, zero in masked.items())


def steep(rate: float, **values: object) -> list[object]:
    """Steps that lead away from the minimum, or to it."""
    return ["parameter_optimization", {"form": "formula", "alpha": rate, "batch_size": 1000, **values}]


def line_of(weight: float) -> Context:
    """w·x against 2x."""
    x = torch.tensor([[1.0], [2.0]])
    return context_of(explored(linear([[weight]]), x, 2 * x, task="regression"), Listening())


def test_the_best_model_that_was_seen_stays() -> None:
    """With these steps of 0.6 the weight goes 1, 4, −2, 10, ...: the first was the best."""
    context = line_of(1.0)
    assert Recipe.of([steep(0.6, steps=3)]).apply_in(context).weight.item() == pytest.approx(10.0)
    for patience in (1, 2, 3):
        variant = Recipe.of([steep(0.6, steps=3, patience=patience)]).apply_in(context)
        assert variant.weight.item() == 1.0


def test_a_training_that_gets_better_is_not_cut_short_and_its_last_model_stays() -> None:
    context = line_of(1.0)
    plain, patient = (Recipe.of([steep(0.1, steps=30, patience=n)]).apply_in(context) for n in (0, 1))
    assert contents(plain) == contents(patient)


@pytest.mark.parametrize("patience", [1, 3])
def test_so_many_looks_without_a_better_one_end_it(patience: int) -> None:
    context = line_of(1.0)
    Recipe.of([steep(0.6, steps=60, patience=patience)]).apply_in(context)
    heard = context.channel.heard  # type: ignore[attr-defined]
    assert heard[-1]["step"] == patience * 60 // LOOKS
    assert heard[0]["validation"] < 1.0


def test_looking_changes_nothing_but_what_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropout and statistics of batches go on as if nobody had looked."""
    for model in ("attention", "residual"):
        context = context_of(tiny(model))
        recipe = ["parameter_optimization", {"steps": 12, "batch_size": 16, "learning_rate": 0.01}]
        plain = Recipe.of([recipe]).apply_in(context)
        monkeypatch.setattr("engine.edit.training.Best.put_back", lambda _: None)
        looked = Recipe.of([[recipe[0], {**recipe[1], "patience": 100}]]).apply_in(context)  # type: ignore[dict-item]
        assert contents(plain) == contents(looked)


def test_statistics_of_normalisation_are_put_back_too(monkeypatch: pytest.MonkeyPatch) -> None:
    worse = iter(range(0, -100, -1))
    monkeypatch.setattr("engine.edit.training.worth", lambda *_: (float(next(worse)), 0.0))
    context = context_of(tiny("residual"))
    before = contents(context.original)
    recipe = ["parameter_optimization", {"steps": 4, "batch_size": 16, "patience": 100}]
    assert contents(Recipe.of([recipe]).apply_in(context)) == before


def test_a_large_validation_split_is_looked_at_in_part() -> None:
    x = random_inputs(JUDGED + 200, 3)
    net = nn.Linear(3, 3)
    sizes: list[int] = []
    context = context_of(explored(net, x))
    context.original.register_forward_hook(
        lambda module, given, _: None if torch.is_grad_enabled() else sizes.append(len(given[0]))
    )
    Recipe.of([["parameter_optimization", {"steps": 1, "patience": 1}]]).apply_in(context)
    assert sum(sizes) - 4 <= 2 * JUDGED  # the start and the end; two examples show that it runs
    assert sum(sizes) >= 2 * JUDGED


def test_the_losses_so_far_are_reported() -> None:
    context = line_of(1.0)
    Recipe.of([steep(0.1, steps=4)]).apply_in(context)
    *_, last = context.channel.heard  # type: ignore[attr-defined]
    assert [step for step, _ in last["losses"]] == [1, 2, 3, 4]
    assert last["losses"][-1][1] == last["loss"]
    assert [loss for _, loss in last["losses"]] == pytest.approx(context.channel.losses)  # type: ignore[attr-defined]

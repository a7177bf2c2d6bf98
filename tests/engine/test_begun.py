"""Models that begin alike: what they have in common is run once, and no answer changes by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest
import torch
from torch import Tensor, nn

import sample_models
from engine import Context, Workload
from engine.copying import structural_copy
from engine.examples import Split, count, take
from engine.metrics.accuracy import evaluate
from engine.metrics.begun import Begun
from engine.task import Task
from tests.tiny import MAKERS, tiny, workload_of

CPU = torch.device("cpu")
N, MOST = 24, 5  # examples; layers that are changed
Made = tuple[nn.Module, Task, Split]


class Shared(nn.Module):
    """What the layers in common are part of."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = (nn.Linear(6, 6) for _ in range(3))
        self.act = nn.ReLU()
        self.head = nn.Linear(6, 3)


class Chain(Shared):
    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act(self.third(self.second(self.first(x)))))


class Remembers(Shared):
    """Its first layer's answer is read later, from where the model put it."""

    def forward(self, x: Tensor) -> Tensor:
        self.held = self.first(x)
        y = self.third(self.second(self.held))
        return self.head(y + self.held)


class Notes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        self.seen = self.layer(x)
        return self.seen


class Hides(Shared):
    """A layer notes what it saw, and the head reads it there."""

    def __init__(self) -> None:
        super().__init__()
        self.first = Notes()  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        y = self.third(self.second(self.first(x)))
        return self.head(y * self.first.seen)


class Twice(Shared):
    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.first(self.second(self.first(x))))


class Writes(Shared):
    """Into what a layer gave."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(self.first(x))
        z = self.third(y)
        y.add_(1)
        return self.head(z.mul_(2) + y)


class Draws(Shared):
    """Another answer each time."""

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.second(self.first(x)) + torch.rand(6))


class Chooses(Shared):
    """By what an example is, another layer's answer."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        z = self.second(y)
        return self.head(torch.where(x[:, :1] > 2, y, z))


class Borrows(Shared):
    """The second layer's weight, without running it."""

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.third(nn.functional.linear(self.first(x), self.second.weight)))


NASTY = (Chain, Remembers, Hides, Twice, Writes, Chooses, Borrows)


def made(workload: Workload) -> Made:
    model = Context.of(workload, CPU).original
    chosen = slice(min(N, count(workload.test[1])))
    return model, workload.task, (take(workload.test[0], chosen), take(workload.test[1], chosen))


def other(model: nn.Module, path: str) -> nn.Module:
    """The model with other numbers in one layer; a tie goes with it."""
    copied = structural_copy(model)
    layer = copied.get_submodule(path)
    for name, old in list(layer.named_parameters(recurse=False)):
        changed = nn.Parameter(old.detach() * 1.25 + 0.01)
        for module in copied.modules():
            for own, parameter in list(module._parameters.items()):
                if parameter is old:
                    setattr(module, own, changed)
        assert layer.get_parameter(name) is changed
    return copied


def answers(model: nn.Module, task: Task, split: Split, where: torch.device | Begun) -> Tensor:
    found = evaluate(model, task, split, where)
    told = [one for one in (found.answers.confidence, found.answers.predicted) if one is not None]
    return torch.cat([found.terms[0].double(), *(one.double()[:, None] for one in told)], 1)


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.metrics.accuracy.BATCH", 8)


@pytest.mark.parametrize("name", sample_models.available_models())
def test_sample_models_answer_the_same_whichever_layer_is_another(name: str) -> None:
    _check(made(sample_models.load(name)), gains=True)


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_tiny_models_answer_the_same_whichever_layer_is_another(name: str) -> None:
    _check(made(tiny(name)), gains=False)


@pytest.mark.parametrize("kind", NASTY, ids=lambda kind: kind.__name__)
def test_models_that_look_back_answer_the_same(kind: type[nn.Module]) -> None:
    _check(
        made(workload_of("nasty", cast("Callable[[], nn.Module]", kind), (6,), "classification")), gains=kind is Chain
    )


def _check(given: Made, gains: bool) -> None:
    """Each layer changed in turn: the same bits by either way of keeping, at first and again."""
    model, task, split = given
    along, everywhere = Begun(model, split, CPU), Begun(model, split, CPU, everywhere=True)
    answers(model, task, split, everywhere)
    paths = [path for path, module in model.named_modules() if module._parameters]
    for path in dict.fromkeys([*paths[:: 1 + len(paths) // MOST], paths[-1]]):
        variant = other(model, path)
        wanted = answers(variant, task, split, CPU)
        for begun in (along, along, everywhere):
            assert torch.equal(answers(variant, task, split, begun), wanted), path
    if gains:
        assert along.answered
        assert everywhere.answered


def test_what_is_kept_is_not_run_again() -> None:
    model, task, split = made(workload_of("chain", Chain, (6,), "classification"))
    begun = Begun(model, split, CPU)
    for turn in range(3):
        answers(other(model, "head"), task, split, begun)
        assert begun.answered == 4 * turn  # batches of 4, 4, 8 and 8


def test_a_model_that_draws_by_lot_is_run_as_a_whole() -> None:
    model, task, split = made(workload_of("draws", Draws, (6,), "classification"))
    begun = Begun(model, split, CPU)
    for _ in range(2):
        answers(other(model, "head"), task, split, begun)
    assert not begun.answered


def test_no_more_is_kept_than_there_is_room_for() -> None:
    model, task, split = made(workload_of("chain", Chain, (6,), "classification"))
    each = 6 * 4
    for everywhere in (False, True):
        for most in (0, each * N - 1, each * N, 10 * each * N):
            begun = Begun(model, split, CPU, everywhere, most)
            for variant in (model, other(model, "head"), other(model, "second")):
                answers(variant, task, split, begun)
            held = sum(passed.value.nbytes for passed in begun._kept.values())
            assert held <= most, (everywhere, most)
            assert held or most < each * N, (everywhere, most)


def test_the_first_batch_is_answered_both_ways_before_any_other() -> None:
    model, task, split = made(workload_of("chain", Chain, (6,), "classification"))
    begun, variant = Begun(model, split, CPU), other(model, "head")
    wanted = answers(variant, task, split, begun)
    for (path, batch), passed in list(begun._kept.items()):  # as if a layer had answered otherwise to many than to few
        begun._kept[path, batch] = type(passed)(passed.value + 1, passed.kinds)
    assert torch.equal(answers(variant, task, split, begun), wanted)
    assert not begun.answered


def test_inputs_lie_on_the_device_once_and_for_all_where_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    model, _, split = made(workload_of("chain", Chain, (6,), "classification"))
    inputs, targets = Begun(model, split, torch.device("meta")).split
    assert isinstance(inputs, Tensor)
    assert inputs.is_meta
    assert targets is split[1]
    monkeypatch.setattr("engine.metrics.begun.MOST_RESIDENT", 1)
    assert Begun(model, split, torch.device("meta")).split is split

"""A structure tells models apart that run other operators; a structural copy is what deepcopy would give."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from engine.copying import structural_copy
from engine.edit.surgery import own_bytes
from engine.memo import Memo
from engine.metrics.compute import count_once, count_work
from engine.metrics.structure import structure_of
from tests.contract.cases import CASES, MODELS, Case
from tests.states import contents, places
from tests.tiny import tiny


def deep(model: nn.Module) -> nn.Module:
    shared = {id(t): t for t in (*model.parameters(), *model.buffers())}
    return copy.deepcopy(model, shared)


class Odd(nn.Module):
    """With what a module may hold beside layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.lstm, self.attention = nn.Linear(4, 4), nn.LSTM(4, 4), nn.MultiheadAttention(4, 2)
        self.table = {"a": [1, 2], "layer": self.first}
        self.told, self.loose = SimpleNamespace(width=4), torch.ones(2)
        self.parts = (self.first, "x")
        self.also = self.first
        self.call = partial(torch.add, alpha=2)
        self.back = {"me": self}
        self.bound = self.first.extra_repr
        self.first.register_forward_pre_hook(lambda *_: None)

    def forward(self, x: Tensor) -> Tensor:
        return self.call(self.first(x), 1)


class Deep(nn.Linear):
    """Says itself how it is copied."""

    def __deepcopy__(self, memo: dict[int, object]) -> Deep:
        made = Deep(self.in_features, self.out_features)
        made.weight, made.bias = self.weight, self.bias
        made.copies = 1 + getattr(self, "copies", 0)
        return made


MADE: dict[str, Callable[[], nn.Module]] = {
    **{name: lambda name=name: tiny(name).model() for name in MODELS},  # type: ignore[misc]
    "odd": Odd,
    "own copying": lambda: nn.Sequential(Deep(3, 3), nn.ReLU()),
    "encoder": lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 8, batch_first=True), 2),
}


@pytest.mark.parametrize("name", MADE)
def test_a_structural_copy_is_what_deepcopy_gives(name: str) -> None:
    model = MADE[name]()
    made, wanted = structural_copy(model), deep(model)
    assert places(made) == places(model)
    assert [type(m) for m in made.modules()] == [type(m) for m in wanted.modules()]
    for mine, theirs in zip(made.modules(), wanted.modules(), strict=True):
        assert list(vars(mine)) == list(vars(theirs))
    if name != "own copying":
        assert structure_of(made) == structure_of(wanted) == structure_of(model) is not None
    else:
        assert made[0].copies == 1  # type: ignore[index]


@pytest.mark.parametrize("name", MADE)
def test_a_structural_copy_shares_no_module_and_no_table(name: str) -> None:
    model = MADE[name]()
    made = structural_copy(model)
    assert not set(made.modules()) & set(model.modules())
    tables = {id(value) for m in model.modules() for value in vars(m).values() if isinstance(value, dict | list | set)}
    assert not tables & {id(value) for m in made.modules() for value in vars(m).values()}


def test_what_refers_to_a_module_refers_to_the_copy() -> None:
    made = structural_copy(Odd())
    assert made.table["layer"] is made.parts[0] is made.also is made.first
    assert made.back["me"] is made
    assert made.bound.__self__ is made.first


@pytest.mark.parametrize("case", CASES, ids=str)
def test_work_that_was_counted_of_another_model_is_this_ones_work(case: Case) -> None:
    memo, example = Memo(), case.workload.example
    original = case.workload.model()
    count_once(original, example, memo)
    for model in (case.variant(), case.variant(), original):
        assert count_once(model, example, memo) == count_work(model, example)
        assert structure_of(model) is not None


@pytest.mark.parametrize(
    "change",
    [
        lambda m: setattr(m.told, "width", 5),
        lambda m: m.table["a"].append(3),
        lambda m: setattr(m.first, "weight", nn.Parameter(m.first.weight.detach().double())),
        lambda m: setattr(m.first, "weight", nn.Parameter(m.first.weight.detach()[:3])),
        lambda m: setattr(m, "call", partial(torch.add, alpha=3)),
        lambda m: setattr(m, "call", torch.sub),
        lambda m: setattr(m, "also", nn.Linear(4, 4)),
        lambda m: m.first.register_forward_hook(print),
        lambda m: setattr(m.first, "forward", m.attention.forward),
        lambda m: setattr(m, "first", nn.Identity()),
        lambda m: setattr(m, "loose", torch.ones(3)),
        lambda m: setattr(m.lstm, "num_layers", 2),
    ],
)  # fmt: skip
def test_what_may_change_what_runs_changes_the_structure(change: Callable[[Odd], object]) -> None:
    model = Odd()
    other = structural_copy(model)
    assert structure_of(other) == structure_of(model)
    change(other)
    assert structure_of(other) != structure_of(model)


def test_other_numbers_are_the_same_structure() -> None:
    model, other = tiny("residual").model(), tiny("residual").model()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(2)
    assert contents(model) != contents(other)
    assert structure_of(model) == structure_of(other)


def test_what_is_not_understood_has_no_structure_and_is_counted_each_time() -> None:
    model = nn.Sequential(nn.Linear(3, 3))
    model.odd = torch.Generator()
    assert structure_of(model) is None
    memo = Memo()
    before = count_once(model, torch.ones(1, 3), memo)
    model[0] = nn.Linear(3, 5)
    assert count_once(model, torch.ones(1, 3), memo).multiply_adds.value == 15 != before.multiply_adds.value


def test_a_tie_is_part_of_the_structure() -> None:
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    other = structural_copy(model)
    other[1].weight = other[0].weight  # type: ignore[index]
    assert structure_of(other) != structure_of(model)


def test_the_bytes_that_are_a_variants_own() -> None:
    model = tiny("linear").model()
    other = structural_copy(model)
    assert own_bytes(other, model) == 0
    other[0].weight = nn.Parameter(model[0].weight.detach().clone())  # type: ignore[index]
    assert own_bytes(other, model) == model[0].weight.numel() * 4  # type: ignore[index]

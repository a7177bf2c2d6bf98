"""Multiply-adds against closed forms, and what is not counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from engine.memo import Memo
from engine.metrics import again as again_of
from engine.metrics.compute import count_work
from engine.metrics.layers import layer_paths
from tests.devices import DEVICES
from tests.engine.test_compute import FirstOf, attention
from tests.tiny import MAKERS, tiny


class Attends(nn.Module):
    def __init__(self, weights: bool) -> None:
        super().__init__()
        self.inner, self.weights = nn.MultiheadAttention(8, 2, batch_first=True), weights

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x, x, x, need_weights=self.weights)[0]


class Products(nn.Module):
    """A matrix by a vector, and a vector by a vector."""

    def forward(self, x: Tensor) -> Tensor:
        matrix = x[0]  # 4, 6
        return matrix @ matrix[0] + torch.dot(matrix[1], matrix[2])


class Twice(nn.Module):
    """One layer under two names, called by both."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(5, 5)
        self.again = self.first

    def forward(self, x: Tensor) -> Tensor:
        return self.again(self.first(x))


class Looked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(9, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.table(x.long())


def encoder() -> nn.Module:
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)  # with its fast path


CLOSED: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    "attention, fused": (lambda: Attends(weights=False), (5, 8), attention(5, 8)),
    "attention, not fused": (lambda: Attends(weights=True), (5, 8), attention(5, 8)),
    "encoder with its fast path": (encoder, (5, 8), 2 * (attention(5, 8) + 2 * 5 * 8 * 16)),
    "embedding": (Looked, (5,), 0),
    "two recurrent layers": (lambda: FirstOf(nn.LSTM(5, 3, 2, batch_first=True)), (4, 5), 4 * 4 * 3 * (5 + 3 + 3 + 3)),
    "both ways": (
        lambda: FirstOf(nn.LSTM(5, 3, batch_first=True, bidirectional=True)), (4, 5), 2 * 4 * 4 * 3 * (5 + 3),
    ),
    "groups and dilation": (lambda: nn.Conv2d(4, 6, 3, groups=2, dilation=2), (4, 8, 8), 16 * 6 * 2 * 9),
    "two recurrent layers, both ways": (
        lambda: FirstOf(nn.LSTM(5, 3, 2, batch_first=True, bidirectional=True)), (4, 5),
        4 * 2 * 4 * 3 * ((5 + 3) + (6 + 3)),
    ),
    "transposed": (lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1), (4, 5, 7), 35 * 4 * 6 * 9),
    "transposed, in groups": (lambda: nn.ConvTranspose1d(4, 6, 5, groups=2), (4, 9), 9 * 4 * 3 * 5),
    "matrix by vector": (Products, (4, 6), 4 * 6 + 6),
    "a layer called twice": (Twice, (5,), 2 * 5 * 5),
}  # fmt: skip


@pytest.mark.parametrize("name", CLOSED)
def test_multiply_adds_in_closed_form(name: str) -> None:
    build, shape, wanted = CLOSED[name]
    assert count_work(build().eval(), torch.zeros(1, *shape)).multiply_adds.value == wanted


@pytest.mark.parametrize("name", [*CLOSED, *MAKERS])
def test_what_operators_gave_in_other_models_changes_no_count(name: str) -> None:
    build, shape, _ = CLOSED[name] if name in CLOSED else (tiny(name).model, (), 0)
    model, inputs = build().eval(), tiny(name).example if name in MAKERS else torch.zeros(1, *shape)
    known = Memo(4096)
    alone, first, again = (count_work(model, inputs, kept) for kept in (Memo(1), known, known))
    assert alone == first == again


def test_an_operator_that_ran_before_does_not_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs, known = tiny("residual").model(), tiny("residual").example, Memo(4096)
    made, really = Counter[object](), again_of._read
    monkeypatch.setattr(again_of, "_read", lambda *given: made.update(["it"]) or really(*given))  # type: ignore[func-returns-value]
    count_work(model, inputs, known)
    ran = made["it"]
    count_work(model, inputs, known)
    assert made["it"] == ran > 0


def test_what_is_not_counted_is_listed_and_a_view_is_nothing() -> None:
    net = nn.Sequential(nn.Unflatten(1, (2, 6)), nn.Flatten(), nn.Linear(12, 4), nn.ReLU(), nn.LayerNorm(4), nn.ReLU())
    assert count_work(net, torch.zeros(1, 12)).uncounted == {"aten.native_layer_norm": 1, "aten.relu": 2}


def test_a_product_that_nobody_counts_is_listed() -> None:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Bilinear(3, 4, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x[:, :3], x[:, 3:])

    work = count_work(Pair(), torch.zeros(1, 7))
    assert work.multiply_adds.value == 0
    assert work.uncounted["aten._trilinear"] == 1


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("model", ["residual", "attention", "depthwise"])
def test_the_same_on_every_device(device: str, model: str) -> None:
    workload = tiny(model)
    here = count_work(workload.model().to(device), workload.train[0][:3].to(device))
    one = count_work(workload.model(), workload.example)
    assert here.multiply_adds.value == 3 * one.multiply_adds.value
    assert here.by_module == {path: 3 * n for path, n in one.by_module.items()}
    assert here.uncounted == count_work(workload.model(), workload.train[0][:3]).uncounted


def test_the_parts_make_up_the_whole() -> None:
    work = count_work(tiny("residual").model(), tiny("residual").example)
    outermost = [n for path, n in work.by_module.items() if path in ("stem", "blocks", "head")]
    assert sum(outermost) == work.by_module[""] == work.multiply_adds.value


@pytest.mark.parametrize("model", ["linear", "conv", "tied", "attention", "depthwise"])
def test_the_layers_make_up_the_whole(model: str) -> None:
    work = count_work(tiny(model).model(), tiny(model).example)
    assert sum(work.by_module.get(path, 0) for path in layer_paths(tiny(model).model())) == work.multiply_adds.value


def test_the_work_of_a_layer_called_twice_stands_under_its_first_name() -> None:
    by_module = count_work(Twice(), torch.zeros(1, 5)).by_module
    assert (by_module["first"], "again" in by_module) == (50, False)


def test_only_modules_have_work() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.add_module("Global", nn.Linear(5, 5))
            self.rest = nn.Linear(5, 7)

        def forward(self, x: Tensor) -> Tensor:
            return self.rest(self.Global(x))

    assert count_work(Named(), torch.zeros(1, 5)).by_module == {"": 60, "Global": 25, "rest": 35}


def test_a_reshape_is_at_most_a_copy() -> None:
    class Turned(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.transpose(1, 2).reshape(len(x), -1)

    assert count_work(Turned(), torch.zeros(1, 3, 4)).uncounted == {"aten.clone": 1}

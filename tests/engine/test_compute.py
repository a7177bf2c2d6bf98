from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from engine.metrics.compute import multiply_adds
from tests.states import Held
from tests.tiny import Residual, tiny

Shape = tuple[int, ...]


def attention(length: int, width: int) -> int:
    """Four projections, and the two products in which every place meets every other."""
    return 4 * length * width**2 + 2 * length**2 * width


class SelfAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x, x, x, need_weights=False)[0]


def encoder(layers: int) -> nn.Module:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)


CLOSED: dict[str, tuple[Callable[[], nn.Module], Shape, int]] = {
    "linear": (lambda: nn.Linear(7, 5), (7,), 35),
    "linear on places": (lambda: nn.Linear(7, 5), (4, 7), 4 * 35),
    "conv1d": (lambda: nn.Conv1d(3, 6, 5), (3, 20), 16 * 6 * 3 * 5),
    "conv2d": (lambda: nn.Conv2d(3, 6, 3, padding=1), (3, 8, 10), 80 * 6 * 3 * 9),
    "groups": (lambda: nn.Conv2d(4, 6, 3, padding=1, groups=2), (4, 8, 8), 64 * 6 * 2 * 9),
    "depthwise": (lambda: nn.Conv2d(6, 6, 3, padding=1, groups=6), (6, 8, 8), 64 * 6 * 9),
    "stride": (lambda: nn.Conv2d(3, 6, 3, stride=2, padding=1), (3, 8, 8), 16 * 6 * 3 * 9),
    "dilation": (lambda: nn.Conv2d(3, 6, 3, dilation=3), (3, 8, 8), 4 * 6 * 3 * 9),
    "attention": (SelfAttention, (5, 8), attention(5, 8)),
    "encoder": (lambda: encoder(1), (5, 8), attention(5, 8) + 2 * 5 * 8 * 16),
    "encoder of three": (lambda: encoder(3), (6, 8), 3 * (attention(6, 8) + 2 * 6 * 8 * 16)),
    "recurrent": (lambda: FirstOf(nn.LSTM(5, 3, batch_first=True)), (4, 5), 4 * 4 * 3 * (5 + 3)),
    "pointwise and norms": (lambda: nn.Sequential(nn.ReLU(), nn.LayerNorm(7), nn.Softmax(-1)), (7,), 0),
    "residual": (Residual, (1, 6, 6), 36 * 8 * 9 * (1 + 6 * 8) + 8 * 3),
}


class FirstOf(nn.Module):
    """The outputs of a recurrent layer without its last state."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)[0]


@pytest.mark.parametrize("name", CLOSED)
def test_multiply_adds_in_closed_form(name: str) -> None:
    build, shape, wanted = CLOSED[name]
    estimate = multiply_adds(build().eval(), torch.zeros(1, *shape))
    assert (estimate.value, estimate.low, estimate.high, estimate.unit) == (wanted, wanted, wanted, "multiply-adds")


@pytest.mark.parametrize("mode", [True, False])
def test_the_model_is_left_as_it_was(mode: bool) -> None:
    workload = tiny("attention")
    model = workload.model().train(mode)
    before = Held.of(model)
    assert multiply_adds(model, workload.example).value == multiply_adds(workload.model(), workload.example).value
    assert Held.of(model) == before


def test_a_model_in_train_mode_has_the_figure_of_its_eval_mode() -> None:
    model = nn.Sequential(nn.Linear(7, 5), nn.BatchNorm1d(5)).train()  # train mode would want more than one example
    assert multiply_adds(model, torch.zeros(1, 7)).value == 35


class Choosy(nn.Module):
    """Its way hangs on the numbers that it gets."""

    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


def test_a_model_that_must_see_numbers_has_no_figure_but_a_reason() -> None:
    estimate = multiply_adds(Choosy(), torch.ones(1, 3))
    assert estimate.value is estimate.low is estimate.high is None
    assert estimate.to_dict()["reason"].startswith("the model cannot run without data: ")

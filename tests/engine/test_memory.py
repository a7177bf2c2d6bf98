"""Peak memory, by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from engine.metrics.memory import peak_memory
from engine.metrics.precision import in_eight_bits
from tests.states import modes


def test_weights_inputs_and_the_two_largest_that_live_together() -> None:
    net = nn.Sequential(nn.Linear(10, 200, bias=False), nn.ReLU(), nn.Linear(200, 5, bias=False)).train()
    inputs = torch.zeros(7, 10)
    assert peak_memory(net, inputs).value == 4 * (10 * 200 + 200 * 5 + 7 * 10 + 2 * 7 * 200)
    assert net.training


class Skips(nn.Module):
    def __init__(self, keeps: bool) -> None:
        super().__init__()
        self.keeps = keeps
        self.parts = nn.ModuleList(nn.Linear(100, 100, bias=False) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        kept = self.parts[0](x)
        y = self.parts[2](self.parts[1](kept))
        if not self.keeps:
            del kept
        y = self.parts[3](self.parts[1](y)) if not self.keeps else self.parts[3](self.parts[1](y)) + kept
        return y


def test_what_a_skip_keeps_is_counted() -> None:
    inputs = torch.zeros(50, 100)
    assert peak_memory(Skips(keeps=True), inputs).value == peak_memory(Skips(keeps=False), inputs).value + 4 * 50 * 100


def test_a_tied_weight_counts_once() -> None:
    net = nn.Sequential(nn.Linear(64, 64, bias=False), nn.Linear(64, 64, bias=False))
    apart = peak_memory(net, torch.zeros(1, 64)).value
    net[1].weight = net[0].weight
    assert apart - peak_memory(net, torch.zeros(1, 64)).value == 4 * 64 * 64


def test_weights_of_eight_bits_are_counted() -> None:
    net = nn.Sequential(nn.Linear(512, 512), nn.Linear(512, 512)).eval()
    whole = peak_memory(net, torch.zeros(1, 512)).value
    assert peak_memory(in_eight_bits(net), torch.zeros(1, 512)).value == pytest.approx(whole / 4, rel=0.05)


def test_buffers_are_held_and_the_same_input_twice_is_one() -> None:
    class Adds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("table", torch.zeros(40, 10))

        def forward(self, one: Tensor, other: Tensor) -> Tensor:
            return one + other

    x = torch.zeros(7, 10)
    assert peak_memory(Adds(), (x, x)).value == 4 * (400 + 2 * 70)
    assert peak_memory(Adds(), {"one": x, "other": x.clone()}).value == 4 * (400 + 3 * 70)


def test_what_is_dropped_is_not_summed_up() -> None:
    class Many(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            for _ in range(30):
                x = x.view(10, 7).add(1).view(7, 10)
            return x.add_(1)

    assert peak_memory(Many(), torch.zeros(7, 10)).value == 4 * 3 * 70


def test_each_module_has_its_mode_again_even_where_the_model_fails() -> None:
    net = nn.Sequential(nn.Linear(10, 5), nn.Dropout(), nn.Linear(4, 5)).train()
    net[1].eval()
    before = modes(net)
    with pytest.raises(RuntimeError):
        peak_memory(net, torch.zeros(7, 10))
    assert modes(net) == before

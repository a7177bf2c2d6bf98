"""Verdicts and causes: on costs made up for each cause, and on six variants made by hand, which no method made."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine import Protocol
from engine.metrics.latency import time_pair
from engine.metrics.layers import LayerCost, layer_costs
from engine.metrics.machine import Machine, know_machine
from engine.metrics.record import Estimate, torch_threads
from engine.metrics.rounds import identical_ratios
from engine.metrics.verdict import FASTER, SAME, SLOWER, Sides, cause_of, is_busy, speed_of

MACHINE = Machine(0.02, 50e9, 40e9, 0.003, 0.005)
PROTOCOL = Protocol.here("cpu", threads=1)


def ratio(low: float, high: float) -> Estimate:
    return Estimate((low + high) / 2, low, high, 20, "variant / original")


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (0.5, 0.6, FASTER), (0.9, 0.979, FASTER), (0.9, 0.985, SAME), (0.9, 1.1, SAME), (1.0, 1.01, SAME),
        (1.015, 1.2, SAME), (1.021, 1.2, SLOWER),
    ],
)  # fmt: skip
def test_a_word_needs_an_interval_that_lies_beyond_the_floor(low: float, high: float, word: str) -> None:
    assert speed_of(ratio(low, high), 0.02) == word
    assert speed_of(ratio(low, high), 1.0) == SAME


def test_a_wide_interval_is_a_busy_machine() -> None:
    assert is_busy(ratio(0.9, 1.1), 0.02)
    assert not is_busy(ratio(0.99, 1.01), 0.02)


def cost(path: str, ms: float, shape: tuple[int, int] = (64, 64), **more: object) -> LayerCost:
    numbers = shape[0] * shape[1]
    told = {"parameters": numbers, "multiply_adds": 64 * numbers, "moved_bytes": 4 * numbers, "kind": "Linear", **more}
    return LayerCost(path=path, shape=shape, time_ms=ms, **told)


BIG = cost("big", 1.0, (512, 512))
MADE_UP = {
    "only zeros": (SAME, Sides([BIG], [BIG], MACHINE, zeros=100_000)),
    "nothing that costs time": (SAME, Sides([BIG], [BIG], MACHINE, zeros=3)),
    "not on the path": (SAME, Sides([BIG, cost("table", 0.01)], [BIG, cost("table", 0.01, (8, 64))], MACHINE)),
    "too small": (SAME, Sides([cost("a", 0.004)], [cost("a", 0.004, (32, 64))], MACHINE)),
    "two small products": (
        SLOWER,
        Sides([BIG], [cost("big.0", 0.6, (400, 512)), cost("big.1", 0.6, (512, 400))], MACHINE),
    ),
    "misaligned": (SAME, Sides([BIG], [cost("big", 1.0, (450, 512))], MACHINE)),
    "memory-bound": (
        SAME,
        Sides(
            [replace(BIG, moved_bytes=36_000_000)], [replace(BIG, multiply_adds=10, moved_bytes=36_000_000)], MACHINE
        ),
    ),
    "less work": (FASTER, Sides([BIG], [cost("big", 0.5, (256, 512))], MACHINE)),
    "not established": (SLOWER, Sides([BIG], [cost("big", 1.2, (256, 512))], MACHINE)),
}


@pytest.mark.parametrize("said", MADE_UP)
def test_a_cause_is_read_from_shapes_and_costs(said: str) -> None:
    assert said in str(cause_of(*MADE_UP[said]))


def perceptron(*widths: int) -> nn.Sequential:
    layers = [layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


class Words(nn.Module):
    """A large table that costs no time, and a body that does."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.table, self.body = nn.Embedding(rows, 256), perceptron(256, 256, 256, 256)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self.table(x % self.table.num_embeddings))


class Streaming(nn.Module):
    """A large matrix, read once for a few vectors or for one."""

    def __init__(self, vectors: int) -> None:
        super().__init__()
        self.weight, self.vectors = nn.Parameter(torch.randn(4096, 4096) / 64), vectors

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x[: self.vectors], self.weight).sum(0, keepdim=True)


def zeroed() -> tuple[nn.Module, nn.Module]:
    net = perceptron(256, 256, 256)
    other = copy.deepcopy(net)
    for parameter in other.parameters():
        parameter.data[torch.rand_like(parameter) < 0.9] = 0
    return net, other


def factored() -> tuple[nn.Module, nn.Module]:
    net = perceptron(256, 256, 256)
    other = copy.deepcopy(net)
    for place in (0, 2):
        other[place] = nn.Sequential(nn.Linear(256, 200, bias=False), nn.Linear(200, 256))
    return net, other


BY_HAND: dict[str, tuple[Callable[[], tuple[nn.Module, nn.Module]], tuple[int, ...]]] = {
    "only zeros": (zeroed, (32, 256)),
    "not on the path": (lambda: (Words(60_000), Words(500)), (16, 32)),
    "misaligned": (lambda: (perceptron(512, 32, 512), perceptron(512, 29, 512)), (512, 512)),
    "too small": (lambda: (perceptron(16, 16, 16, 16), perceptron(16, 12, 12, 16)), (1, 16)),
    "memory-bound": (lambda: (Streaming(8), Streaming(7)), (8, 4096)),
    "two small products": (factored, (16, 256)),
}


@pytest.mark.parametrize("said", BY_HAND)
def test_variants_made_by_hand_have_their_cause_named(said: str) -> None:
    make, shape = BY_HAND[said]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        pair = [net.eval() for net in make()]
        x = torch.randint(60_000, shape) if said == "not on the path" else torch.randn(shape)
    zeros = [sum(int((p == 0).sum()) for p in net.parameters()) for net in pair]
    heard = []
    for _ in range(4):  # on a machine that does other things, too
        with torch_threads(1):
            wide = time_pair(*pair, x, PROTOCOL).figures()["ratio"]["wide"]
            sides = Sides(layer_costs(pair[0], x), layer_costs(pair[1], x), know_machine(PROTOCOL), zeros[1] - zeros[0])
        heard.append((speed_of(wide, sides.machine.noise_floor), str(cause_of(SAME, sides))))
        if said in heard[-1][1] and heard[-1][0] != FASTER:
            return
    pytest.fail(f"it said {heard}")


class Delayed(nn.Module):
    def __init__(self, inner: nn.Module, delay_s: float) -> None:
        super().__init__()
        self.inner, self.delay_s = inner, delay_s

    def forward(self, x: Tensor) -> Tensor:
        end = time.perf_counter() + self.delay_s
        while time.perf_counter() < end:
            pass
        return self.inner(x)


def test_an_injected_delay_is_found() -> None:
    net = perceptron(256, 512, 256).eval()
    found = []
    for _ in range(4):
        wide = time_pair(Delayed(net, 0.0), Delayed(net, 0.003), torch.randn(64, 256), PROTOCOL).figures()["ratio"][
            "wide"
        ]
        found.append(speed_of(wide, 0.02))
    assert SLOWER in found
    assert FASTER not in found


def test_the_machine_is_known_once_and_can_something() -> None:
    machine = know_machine(PROTOCOL)
    assert know_machine(PROTOCOL) is machine
    assert machine.noise_floor >= 0.02
    assert 1e8 < machine.multiply_adds_per_s < 1e15
    assert 1e8 < machine.bytes_per_s < 1e14
    assert 0 < machine.launch_ms < 10
    assert len(identical_ratios(torch.device("cpu"), 3)) == 3


def test_costs_of_layers_by_hand() -> None:
    net = nn.Sequential(nn.Embedding(100, 8), nn.Linear(8, 4), nn.ReLU(), nn.Conv1d(5, 2, 3)).train()
    x = torch.zeros(3, 5, dtype=torch.long)
    table, linear, conv = layer_costs(net, x)
    assert net.training
    assert (linear.path, linear.kind, linear.shape, linear.parameters) == ("1", "Linear", (4, 8), 36)
    assert linear.multiply_adds == 3 * 5 * 8 * 4
    assert conv.multiply_adds == 3 * 2 * (4 - 2) * 5 * 3
    assert linear.moved_bytes == 4 * (3 * 5 * 8 + 3 * 5 * 4 + 36)
    assert table.moved_bytes == 8 * 15 + 2 * 4 * 3 * 5 * 8  # of the table only the rows that were asked for
    assert all(layer.time_ms > 0 for layer in (table, linear, conv))
    assert LayerCost.from_dict(linear.to_dict()) == linear

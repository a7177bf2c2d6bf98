"""What this machine can do, and how far two timings of the same thing lie apart on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache

import torch
from torch import Tensor, nn

from engine.metrics.record import Protocol, torch_threads
from engine.metrics.rounds import identical_ratios, stopwatch

LEAST_FLOOR = 0.02  # as narrow as the ratio's interval is asked to be: nothing finer is told apart
SECONDS = 0.1  # for each ceiling
COPIED = 2**25  # numbers: more than a cache holds
HANGS_ON = ("device", "device_name", "machine", "torch_version", "threads", "dtype")  # of a protocol


@dataclass(frozen=True)
class Machine:
    """Measured once for a device and a number of threads.

    noise_floor           how far the ratio of two identical models was seen to lie from 1, at least 0.02
    multiply_adds_per_s   the best of a product of two matrices of 512 x 512, in the protocol's dtype
    bytes_per_s           the best of a copy of 128 MiB, reading and writing counted
    launch_ms             a linear layer of 8 x 8 on one example: what a call costs when there is nothing to do
    conv_launch_ms        the same for a convolution of 1 x 1
    """

    noise_floor: float
    multiply_adds_per_s: float
    bytes_per_s: float
    launch_ms: float
    conv_launch_ms: float

    def to_dict(self) -> dict[str, object]:
        """As plain data."""
        return asdict(self)


def know_machine(protocol: Protocol) -> Machine:
    """Measure this machine with the device and threads of a protocol, once a process: about a second."""
    usual = Protocol(**{name: getattr(protocol, name) for name in HANGS_ON})
    return _measured(usual)


@cache
def _measured(protocol: Protocol) -> Machine:
    device = torch.device(protocol.device)
    devices = [device] if device.type == "cuda" else []
    with torch_threads(protocol.threads), torch.random.fork_rng(devices), torch.inference_mode():
        square = torch.randn(512, 512, device=device, dtype=getattr(torch, protocol.dtype or "float32"))
        large = torch.randn(COPIED, device=device)
        other, small = torch.empty_like(large), torch.randn(1, 8, device=device)
        tiny = nn.Linear(8, 8).to(device)
        product = _best(lambda: square @ square, square)
        moved = _best(lambda: other.copy_(large), large)
        launch = _best(lambda: tiny(small), small)
        conv, dot = nn.Conv2d(8, 8, 1).to(device), torch.randn(1, 8, 2, 2, device=device)
        conv_launch = _best(lambda: conv(dot), small)
        floor = floor_of(identical_ratios(device))
    return Machine(floor, 512**3 / product, 2 * 4 * COPIED / moved, launch * 1e3, conv_launch * 1e3)


def floor_of(ratios: Sequence[float]) -> float:
    """The noise floor that the ratios of identical models show."""
    return max(LEAST_FLOOR, *(abs(ratio - 1) for ratio in ratios))


def _best(work: Callable[[], object], on: Tensor) -> float:
    """The shortest of many times, in seconds."""
    timed = stopwatch(on.device)
    work()
    best, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        best = min(best, timed(work) / 1e3)
    return best

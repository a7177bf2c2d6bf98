"""Random data for the architectures, and the workload that a network makes with it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from engine import Task, Workload

SIZES = {"train": 32, "validation": 8, "test": 8}
CLASSES = 3
WORDS = 24  # of a vocabulary
LENGTH = 10
Make = Callable[[int, torch.Generator], tuple[object, Tensor]]


def labels(n: int, g: torch.Generator) -> Tensor:
    return torch.randint(CLASSES, (n,), generator=g)


def pictures(*shape: int, name: str = "") -> Make:
    """Numbers (n, *shape) with a class for each; by a name where one is given."""

    def make(n: int, g: torch.Generator) -> tuple[object, Tensor]:
        x = torch.randn(n, *shape, generator=g)
        return {name: x} if name else x, labels(n, g)

    return make


def words(name: str = "", least: int = 4) -> Make:
    """Codes (n, LENGTH) with a class for each; the lowest ones stay free, for padding and ends."""

    def make(n: int, g: torch.Generator) -> tuple[object, Tensor]:
        x = torch.randint(least, WORDS, (n, LENGTH), generator=g)
        return {name: x} if name else x, labels(n, g)

    return make


def text(name: str = "") -> Make:
    """Codes (n, LENGTH), the next ones as targets."""

    def make(n: int, g: torch.Generator) -> tuple[object, Tensor]:
        run = torch.randint(4, WORDS, (n, LENGTH + 1), generator=g)
        return {name: run[:, :-1]} if name else run[:, :-1], run[:, 1:]

    return make


def translation(*names: str) -> Make:
    """Codes (n, LENGTH) to read and others to go on with: by the names, or by place."""

    def make(n: int, g: torch.Generator) -> tuple[object, Tensor]:
        read, run = (torch.randint(4, WORDS, (n, LENGTH + more), generator=g) for more in (0, 1))
        pair = (read, run[:, :-1])
        return dict(zip(names, pair, strict=True)) if names else pair, run[:, 1:]

    return make


def speech(bands: int, frames: int) -> Make:
    """A spectrogram (n, bands, frames) and codes to go on with, by Whisper's names."""

    def make(n: int, g: torch.Generator) -> tuple[object, Tensor]:
        run = torch.randint(4, WORDS, (n, LENGTH + 1), generator=g)
        return {
            "input_features": torch.randn(n, bands, frames, generator=g),
            "decoder_input_ids": run[:, :-1],
        }, run[:, 1:]

    return make


def same(*shape: int) -> Make:
    """Numbers (n, *shape) that are their own targets."""

    def make(n: int, g: torch.Generator) -> tuple[object, Tensor]:
        x = torch.randn(n, *shape, generator=g)
        return x, x.clone()

    return make


def pairs(*shape: int) -> Make:
    """Two inputs (n, *shape) by place, and how far they lie from each other."""

    def make(n: int, g: torch.Generator) -> tuple[object, Tensor]:
        a, b = (torch.randn(n, *shape, generator=g) for _ in range(2))
        return (a, b), (a - b).flatten(1).norm(dim=1, keepdim=True)

    return make


def workload(name: str, build: Callable[[], nn.Module], make: Make, task: str | Task = "classification") -> Workload:
    """The network that `build` makes with seed 0, and three splits of random examples."""
    splits = {part: make(n, torch.Generator().manual_seed(seed)) for seed, (part, n) in enumerate(SIZES.items())}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build()
    return Workload(name, network.eval(), task, **splits)

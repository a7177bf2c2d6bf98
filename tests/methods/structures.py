"""What the tests of structure optimisation share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tests.methods.nets import random_inputs


def step(form: str, **values: object) -> list[object]:
    """A recipe of one step."""
    return [["structure_optimization", {"form": form, **values}]]


def size(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def mixed(n: int, width: int, shift: float = 0.0) -> Tensor:
    """Rows that vary much more in some directions than in others, about a mean that is not zero: (n, width), double."""
    spread = torch.logspace(0, -2, width, dtype=torch.float64)
    turn = torch.linalg.qr(random_inputs(width, width, seed=5).double()).Q
    return (random_inputs(n, width).double() * spread) @ turn + shift * random_inputs(width, seed=6).double()

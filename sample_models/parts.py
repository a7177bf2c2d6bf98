"""Examples shared out by seed: what several of the models here do with data that nobody split."""

from __future__ import annotations

import torch
from torch import Tensor


def drawn(places: Tensor, validation: int, test: int, seed: int) -> dict[str, Tensor]:
    """The places (n,) in a seeded order, in three parts: so many for validation and test, the rest for training."""
    order = places[torch.randperm(len(places), generator=torch.Generator().manual_seed(seed))]
    train = len(order) - validation - test
    parts = order.split([train, validation, test])
    return dict(zip(("train", "validation", "test"), parts, strict=True))

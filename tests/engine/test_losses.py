"""A task's loss and its score read the same targets in the same way."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from engine.task import TASKS


def test_targets_without_the_last_axis_are_not_spread_over_all_outputs() -> None:
    outputs, targets = torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([1.0, 3.0, 2.0])
    assert TASKS["regression"].loss(outputs, targets).item() == pytest.approx(5 / 3)


def test_every_negative_target_is_padding_to_the_loss_too() -> None:
    outputs = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([[1, -100, 2], [-1, 4, -7]])
    known = targets >= 0
    wanted = F.cross_entropy(outputs[known], targets[known])
    assert torch.isclose(TASKS["language_modelling"].loss(outputs, targets), wanted)

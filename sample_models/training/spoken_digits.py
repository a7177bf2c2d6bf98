"""Train the spoken-digits net: a minute on a CPU.

python -m sample_models.training.spoken_digits
"""

from __future__ import annotations

import torch
from torch import Tensor

from sample_models.spoken_digits import SpokenDigitsNet, splits
from sample_models.training.fitting import Lesson, Plan, produce

PLAN = Plan(epochs=30, batch_size=64, learning_rate=0.1, weight_decay=5e-4)


def augment(x: Tensor) -> Tensor:
    """Each clip shifted by up to three frames, with a little noise."""
    shifts = torch.randint(-3, 4, (len(x), 1))
    places = (torch.arange(x.shape[2]) + shifts).clamp(0, x.shape[2] - 1)  # n, frames
    moved = x.gather(2, places.unsqueeze(1).expand_as(x))
    return moved + 0.1 * torch.randn_like(moved)


def main() -> None:
    """Train, choose the epoch on validation, write weights and log."""
    held = splits()
    parts = held["train"], held["validation"]
    produce(Lesson("spoken_digits", SpokenDigitsNet, parts, "Free Spoken Digit Dataset"), PLAN, augment)


if __name__ == "__main__":
    main()

"""Train the language transformer: some twenty minutes on one core.

python -m sample_models.training.language_transformer
"""

from __future__ import annotations

import torch
from torch import Tensor

from sample_models.django_strings import LENGTH, PADDING, UNKNOWN, corpus
from sample_models.language_transformer import untrained
from sample_models.training.fitting import Lesson, Plan, produce

PLAN = Plan(
    epochs=80, batch_size=128, learning_rate=0.002, weight_decay=0.05, optimizer="adamw", smoothing=0.1, averaging=0.998
)
SHORTEST, HIDDEN = 12, 0.05


def augment(x: Tensor) -> Tensor:
    """Every second string cut at a random place on the left or the right, a twentieth of the characters hidden."""
    n = len(x)
    lengths = (x != PADDING).sum(1)
    room = (lengths - SHORTEST).clamp_min(0)
    cut = (torch.rand(n) * (room + 1)).long() * (torch.rand(n) < 0.5)
    left = torch.where(torch.rand(n) < 0.5, cut, torch.zeros_like(cut))
    places = torch.arange(LENGTH) + left.unsqueeze(1)
    moved = torch.nn.functional.pad(x, (0, LENGTH), value=PADDING).gather(1, places)
    kept = torch.arange(LENGTH) < (lengths - cut).unsqueeze(1)
    hidden = (torch.rand(x.shape) < HIDDEN) & kept
    return torch.where(hidden, UNKNOWN, torch.where(kept, moved, PADDING))


def main() -> None:
    """Train, choose the epoch on validation, write weights and log."""
    parts = corpus().train, corpus().validation
    produce(Lesson("language_transformer", untrained, parts, "Django's translations, 35 languages"), PLAN, augment)


if __name__ == "__main__":
    main()

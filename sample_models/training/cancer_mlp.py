"""Train the cancer perceptron: seconds on a CPU.

python -m sample_models.training.cancer_mlp
"""

from __future__ import annotations

import torch
from torch import Tensor

from sample_models.cancer_mlp import CancerMLP, splits
from sample_models.training.fitting import Lesson, Plan, produce

PLAN = Plan(epochs=30, batch_size=32, learning_rate=0.02, weight_decay=0.01, smoothing=0.1)
NOISE = 0.3  # standard deviations of the measures


def augment(x: Tensor) -> Tensor:
    """The measures with a little noise: 284 cases are few."""
    return x + NOISE * torch.randn_like(x)


def main() -> None:
    """Train, choose the epoch on validation, write weights and log."""
    held = splits()
    parts = held["train"], held["validation"]
    produce(Lesson("cancer_mlp", CancerMLP, parts, "scikit-learn's breast cancer data"), PLAN, augment)


if __name__ == "__main__":
    main()

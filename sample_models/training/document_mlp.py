"""Train the document's net as the document does, on real measures: seconds on a CPU.

python -m sample_models.training.document_mlp
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from sample_models.document_mlp import Model, splits
from sample_models.training.fitting import Goal, Lesson, Plan, Split, produce

PLAN = Plan(epochs=40, batch_size=1, learning_rate=0.01, weight_decay=0.0, optimizer="plain_sgd")


def r_squared(net: nn.Module, split: Split) -> float:
    """1 - squared errors / squared distances from the mean, over all ten measures."""
    x, y = split
    with torch.inference_mode():
        return float(1 - (net(x) - y).square().sum() / (y - y.mean(0)).square().sum())


def main() -> None:
    """Train, choose the epoch on validation, write weights and log."""
    held = splits()
    parts = held["train"], held["validation"]
    goal = Goal(F.mse_loss, r_squared, "r_squared")
    produce(Lesson("document_mlp", Model, parts, "scikit-learn's diabetes data"), PLAN, goal=goal)


if __name__ == "__main__":
    main()

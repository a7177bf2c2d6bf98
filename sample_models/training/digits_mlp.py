"""Train the digits perceptron: seconds on a CPU.

python -m sample_models.training.digits_mlp
"""

from __future__ import annotations

import torch

from sample_models.digits_mlp import DigitsMLP, splits
from sample_models.training.fitting import Plan, facts_of, fit, ship

PLAN = Plan(epochs=60, batch_size=64, learning_rate=0.05, weight_decay=5e-4)


def main() -> None:
    """Train, choose the epoch on validation, write weights and log."""
    torch.manual_seed(PLAN.seed)
    held = splits()
    parts = held["train"], held["validation"]
    net, curve = fit(DigitsMLP(), parts, PLAN)
    ship(net, "digits_mlp", PLAN, facts_of("scikit-learn's digits", parts, net, curve))


if __name__ == "__main__":
    main()

"""Train the digits perceptron: seconds on a CPU.

python -m sample_models.training.digits_mlp
"""

from __future__ import annotations

import torch

from sample_models.digits_mlp import DigitsMLP, splits
from sample_models.training.fitting import Plan, accuracy, fit, ship

PLAN = Plan(epochs=60, batch_size=64, learning_rate=0.05, weight_decay=5e-4)


def main() -> None:
    """Train, choose the epoch on validation, write weights and log."""
    torch.manual_seed(PLAN.seed)
    parts = splits()
    net, curve = fit(DigitsMLP(), parts["train"], parts["validation"], PLAN)
    facts: dict[str, object] = {
        "data": "scikit-learn's digits",
        "examples": {name: len(parts[name][1]) for name in ("train", "validation")},
        "chosen_by": "validation accuracy",
        "validation_accuracy": accuracy(net, parts["validation"]),
        "curve": curve,
    }
    ship(net, "digits_mlp", PLAN, facts)


if __name__ == "__main__":
    main()

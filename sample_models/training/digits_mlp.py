"""Train the digits perceptron: seconds on a CPU.

python -m sample_models.training.digits_mlp
"""

from __future__ import annotations

from sample_models.digits_mlp import DigitsMLP, splits
from sample_models.training.fitting import Lesson, Plan, produce

PLAN = Plan(epochs=60, batch_size=64, learning_rate=0.05, weight_decay=5e-4)


def main() -> None:
    """Train, choose the epoch on validation, write weights and log."""
    held = splits()
    parts = held["train"], held["validation"]
    produce(Lesson("digits_mlp", DigitsMLP, parts, "scikit-learn's digits"), PLAN)


if __name__ == "__main__":
    main()

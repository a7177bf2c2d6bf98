"""Handwritten digits of 8 x 8 grey dots, told apart by a small multilayer perceptron: for instant lessons."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from engine import Workload
from sample_models.files import load_weights
from sample_models.parts import drawn

SEED = 0  # of the split
VALIDATION, TEST = 300, 497  # of 1,797; the rest is for training


class DigitsMLP(nn.Module):
    """Two hidden layers of 128, and another pair with a skip around each."""

    def __init__(self, width: int = 128, blocks: int = 4) -> None:
        super().__init__()
        self.first = nn.Linear(64, width)
        self.blocks = nn.ModuleList(Residual(width) for _ in range(blocks))
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))  # batch, width
        for block in self.blocks:
            x = block(x)
        return self.head(x)  # batch, 10


class Residual(nn.Module):
    """A layer of twice the width and one back, with a skip around both."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(torch.relu(self.up(x)))


def splits() -> dict[str, tuple[Tensor, Tensor]]:
    """Train, validation and test, drawn by seed: inputs (n, 64) in 0..1, targets (n,)."""
    x, y = load_digits(return_X_y=True)
    inputs, targets = torch.from_numpy(x).float().div(16), torch.from_numpy(y).long()
    chosen = drawn(torch.arange(len(y)), VALIDATION, TEST, SEED)
    return {name: (inputs[places], targets[places]) for name, places in chosen.items()}


def network() -> nn.Module:
    """The trained net."""
    return load_weights(DigitsMLP(), "digits_mlp")


def workload() -> Workload:
    """The trained net with 1,000 + 300 + 497 digits."""
    return Workload(
        name="digits_mlp",
        network=network,
        task="classification",
        **splits(),
        classes=tuple("0123456789"),
        about={
            "title": "Digits MLP",
            "what": "A multilayer perceptron of four residual blocks reads handwritten digits of 8 x 8 dots.",
            "data": "Optical recognition of handwritten digits, E. Alpaydin and C. Kaynak, UCI, as it comes "
            "with scikit-learn.",
            "licence": "CC BY 4.0",
            "trained": "By sample_models/training/digits_mlp.py on 1,000 digits; 300 others chose the checkpoint.",
            "confuses": "8 with 1, 9 with 3 and 5.",
        },
    )

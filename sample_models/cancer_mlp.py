"""Malignant or benign, from 30 measures of cell nuclei: a residual perceptron of 8 blocks, for instant lessons."""

from __future__ import annotations

import torch
from sklearn.datasets import load_breast_cancer
from torch import Tensor, nn

from engine import Workload
from sample_models.files import load_weights
from sample_models.parts import drawn

SEED = 0  # of the split
VALIDATION, TEST = 114, 171  # of 569


class Residual(nn.Module):
    """A hidden layer with a skip around it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(torch.relu(self.up(x)))


class CancerMLP(nn.Module):
    """A linear layer, 8 residual blocks, a linear head."""

    def __init__(self, width: int = 32, blocks: int = 8) -> None:
        super().__init__()
        self.first = nn.Linear(30, width)
        self.blocks = nn.ModuleList(Residual(width) for _ in range(blocks))
        self.head = nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))  # batch, width
        for block in self.blocks:
            x = block(x)
        return self.head(x)  # batch, 2


def splits() -> dict[str, tuple[Tensor, Tensor]]:
    """Train, validation and test, drawn by seed: inputs (n, 30), standardised by the training part; targets (n,)."""
    x, y = load_breast_cancer(return_X_y=True)
    inputs, targets = torch.from_numpy(x).float(), torch.from_numpy(y).long()
    chosen = drawn(torch.arange(len(y)), VALIDATION, TEST, SEED)
    known = inputs[chosen["train"]]
    inputs = (inputs - known.mean(0)) / known.std(0)
    return {name: (inputs[places], targets[places]) for name, places in chosen.items()}


def network() -> nn.Module:
    """The trained net."""
    return load_weights(CancerMLP(), "cancer_mlp")


def workload() -> Workload:
    """The trained net with 284 + 114 + 171 cases."""
    return Workload(
        name="cancer_mlp",
        network=network,
        task="classification",
        **splits(),
        classes=("malignant", "benign"),
        about={
            "title": "Cancer MLP",
            "what": "A residual perceptron of 8 blocks tells malignant from benign by 30 measures of cell nuclei.",
            "data": "Breast Cancer Wisconsin (Diagnostic), W. H. Wolberg and others, UCI, as it comes "
            "with scikit-learn.",
            "licence": "CC BY 4.0",
            "trained": "By sample_models/training/cancer_mlp.py on 284 cases; 114 others chose the checkpoint.",
            "confuses": "A few cases either way: of 171 test cases, two malignant ones were missed, and four benign "
            "ones alarmed. A lesson, not a diagnosis.",
        },
    )

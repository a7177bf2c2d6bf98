"""The source document's own net: ten numbers to twenty and back to ten, here reconstructing ten real measures."""

from __future__ import annotations

import torch
from sklearn.datasets import load_diabetes
from torch import Tensor, nn

from engine import Workload
from sample_models.files import load_weights
from sample_models.parts import drawn

SEED = 0  # of the split
VALIDATION, TEST = 88, 133  # of 442


class Model(nn.Module):
    """Two linear layers with nothing in between, as the document has them."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Linear(10, 20)
        self.layer2 = nn.Linear(20, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer1(x)  # batch, 20
        return self.layer2(x)  # batch, 10


def splits() -> dict[str, tuple[Tensor, Tensor]]:
    """Train, validation and test, drawn by seed: inputs (n, 10), standardised by the training part, and the same again
    as targets.
    """
    x, _ = load_diabetes(return_X_y=True, scaled=False)
    inputs = torch.from_numpy(x).float()
    chosen = drawn(torch.arange(len(x)), VALIDATION, TEST, SEED)
    known = inputs[chosen["train"]]
    inputs = (inputs - known.mean(0)) / known.std(0)
    return {name: (inputs[places], inputs[places]) for name, places in chosen.items()}


def network() -> nn.Module:
    """The trained net."""
    return load_weights(Model(), "document_mlp")


def workload() -> Workload:
    """The trained net with the measures of 221 + 88 + 133 people."""
    return Workload(
        name="document_mlp",
        network=network,
        task="regression",
        **splits(),
        about={
            "title": "The Document's MLP",
            "what": "The source document's own net, Linear(10, 20) then Linear(20, 10), gives ten measures of a person "
            "back. Both layers are linear and the middle is wide enough, so it can be exact.",
            "data": "The ten measures of the diabetes data, B. Efron and others, Least angle regression (2004), as "
            "they come with scikit-learn, standardised.",
            "licence": "as scikit-learn, BSD-3-Clause",
            "trained": "By sample_models/training/document_mlp.py: mean squared error and plain gradient descent, as "
            "in the document, on 221 people; 88 others chose the checkpoint.",
            "confuses": "Nothing much; s1, s2 and s3, measures of blood fats that hang together, come out least exact.",
        },
    )

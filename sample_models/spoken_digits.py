"""Spoken digits from zero to nine, told apart by a one-dimensional residual net of 12 blocks."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from engine import Workload
from sample_models.files import data_file, load_weights
from sample_models.parts import drawn

SEED = 0  # of the split
VALIDATION, TEST = 300, 600  # of 3,000 clips
CLASSES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class Block(nn.Module):
    """Two convolutions over three frames with a skip around them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm1d(channels)
        self.conv2 = nn.Conv1d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm1d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.norm1(self.conv1(x)))  # batch, channels, frames
        return torch.relu(x + self.norm2(self.conv2(y)))


class SpokenDigitsNet(nn.Module):
    """A convolution over five frames, 12 residual blocks, the mean over time, a linear head."""

    def __init__(self, width: int = 48, blocks: int = 12) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv1d(13, width, 5, stride=2, padding=2, bias=False), nn.BatchNorm1d(width), nn.ReLU()
        )
        self.blocks = nn.Sequential(*(Block(width) for _ in range(blocks)))
        self.head = nn.Linear(width, len(CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)).mean(dim=2))  # batch, 10


@cache
def splits() -> dict[str, tuple[Tensor, Tensor]]:
    """Train, validation and test, drawn by seed: inputs (n, 13, 40), 13 MFCCs in 40 frames; targets (n,).

    A clip that equals another one is left out.
    """
    with np.load(data_file("speech/fsdd_mfcc.npz")) as file:
        x, y = torch.from_numpy(file["x"].astype(np.float32)), torch.from_numpy(file["y"].astype(np.int64))
    firsts: dict[bytes, int] = {}
    for i, clip in enumerate(x):
        firsts.setdefault(clip.numpy().tobytes(), i)
    alone = torch.tensor(sorted(firsts.values()))
    chosen = drawn(alone, VALIDATION, TEST, SEED)
    return {name: (x[places], y[places]) for name, places in chosen.items()}


def network() -> nn.Module:
    """The trained net."""
    return load_weights(SpokenDigitsNet(), "spoken_digits")


def workload() -> Workload:
    """The trained net with the clips of the Free Spoken Digit Dataset."""
    return Workload(
        name="spoken_digits",
        network=network,
        task="classification",
        **splits(),
        classes=CLASSES,
        about={
            "title": "Spoken Digits",
            "what": "A one-dimensional residual net of 12 blocks says which digit is spoken.",
            "data": "Free Spoken Digit Dataset, Z. Jackson and others: 13 MFCCs of 40 frames a clip. There are no "
            "speaker names, so the same six speakers are in all splits; the clips cannot be played.",
            "licence": "CC BY-SA 4.0",
            "trained": "By sample_models/training/spoken_digits.py; 300 clips chose the checkpoint.",
            "confuses": "Hardly anything: of 600 test clips, one six with eight and one eight with three.",
        },
    )

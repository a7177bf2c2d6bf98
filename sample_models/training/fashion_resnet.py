"""Train the Fashion ResNet on the 60,000 official training pictures, less a validation part.

    apt-get install dataset-fashion-mnist
    python -m sample_models.training.fashion_resnet

The official test pictures are not opened here at all.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sample_models.fashion_resnet import FashionResNet, pictures
from sample_models.training.fitting import Lesson, Plan, produce

FOLDER = Path("/usr/share/datasets/fashion-mnist")  # of Debian's package dataset-fashion-mnist
PLAN = Plan(epochs=18, batch_size=128, learning_rate=0.15, weight_decay=5e-4)
SHIPPED_TRAIN, SHIPPED, VALIDATION_PER_CLASS = 500, 600, 500


def read(name: str, header: int) -> np.ndarray:
    """The bytes of one IDX file, without its header."""
    return np.frombuffer(gzip.decompress((FOLDER / name).read_bytes()), np.uint8, offset=header)


def held_out(labels: np.ndarray) -> np.ndarray:
    """True for 500 pictures of each class: numbers 500 to 999, so that the shipped 500 to 599 are among them."""
    mask = np.zeros(len(labels), dtype=bool)
    for digit in range(10):
        mask[np.flatnonzero(labels == digit)[SHIPPED_TRAIN : SHIPPED_TRAIN + VALIDATION_PER_CLASS]] = True
    return mask


def augment(x: Tensor) -> Tensor:
    """Each picture shifted by up to two pixels, every second one mirrored."""
    n, _, height, width = x.shape
    background = float(x.min())
    padded = F.pad(x, (2, 2, 2, 2), value=background)
    rows = torch.arange(height) + torch.randint(0, 5, (n, 1))
    columns = torch.arange(width) + torch.randint(0, 5, (n, 1))
    mirrored = torch.rand(n, 1) < 0.5
    columns = torch.where(mirrored, columns.flip(1), columns)
    picked = padded[torch.arange(n)[:, None, None], 0, rows[:, :, None], columns[:, None, :]]
    return picked.unsqueeze(1)  # n, 1, height, width


def main() -> None:
    """Train, choose the epoch on validation, write weights and log."""
    x = pictures(read("train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28).copy())
    labels = read("train-labels-idx1-ubyte.gz", 8)
    y, away = torch.from_numpy(labels.astype(np.int64)), torch.from_numpy(held_out(labels))
    parts = (x[~away], y[~away]), (x[away], y[away])
    data = "Fashion-MNIST, 60,000 official training pictures; 500 of each class held out for validation"
    produce(Lesson("fashion_resnet", FashionResNet, parts, data), PLAN, augment)


if __name__ == "__main__":
    main()

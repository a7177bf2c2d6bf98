"""Nets of other shapes in plain torch: those that mix, go down and up, or run over one or three axes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.architectures.data import CLASSES
from tests.architectures.pictures import Head, conv


class MixerBlock(nn.Module):
    def __init__(self, places: int, w: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(w), nn.LayerNorm(w)
        self.across = nn.Sequential(nn.Linear(places, 32), nn.GELU(), nn.Linear(32, places))
        self.along = nn.Sequential(nn.Linear(w, 4 * w), nn.GELU(), nn.Linear(4 * w, w))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.across(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.along(self.norm2(x))


class MLPMixer(nn.Module):
    """Tolstikhin et al. 2021: perceptrons across places and along channels."""

    def __init__(self, w: int = 24) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, w, 3, stride=3)  # 12 x 12 to 16 places
        self.blocks = nn.ModuleList(MixerBlock(16, w) for _ in range(3))
        self.head = nn.Linear(w, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)  # batch, places, w
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean(dim=1))


class ConvMixerBlock(nn.Module):
    def __init__(self, w: int) -> None:
        super().__init__()
        self.across = nn.Sequential(nn.Conv2d(w, w, 5, padding=2, groups=w), nn.GELU(), nn.BatchNorm2d(w))
        self.along = nn.Sequential(nn.Conv2d(w, w, 1), nn.GELU(), nn.BatchNorm2d(w))

    def forward(self, x: Tensor) -> Tensor:
        return self.along(x + self.across(x))


class ConvMixer(nn.Sequential):
    """Trockman and Kolter 2022."""

    def __init__(self, w: int = 32) -> None:
        super().__init__(nn.Conv2d(3, w, 2, 2), nn.GELU(), *(ConvMixerBlock(w) for _ in range(4)), Head(w))


class UNet(nn.Module):
    """Ronneberger et al. 2015: down twice, up twice, skips by concatenation."""

    def __init__(self, w: int = 16) -> None:
        super().__init__()
        self.down1, self.down2, self.middle = self._double(1, w), self._double(w, 2 * w), self._double(2 * w, 3 * w)
        self.up2, self.join2 = nn.ConvTranspose2d(3 * w, 2 * w, 2, 2), self._double(4 * w, 2 * w)
        self.up1, self.join1 = nn.ConvTranspose2d(2 * w, w, 2, 2), self._double(2 * w, w)
        self.out = nn.Conv2d(w, 1, 1)

    @staticmethod
    def _double(a: int, b: int) -> nn.Module:
        return nn.Sequential(conv(a, b), conv(b, b))

    def forward(self, x: Tensor) -> Tensor:
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        x = self.middle(F.max_pool2d(b, 2))
        x = self.join2(torch.cat([self.up2(x), b], dim=1))
        return self.out(self.join1(torch.cat([self.up1(x), a], dim=1)))


class Autoencoder(nn.Module):
    """Down by strides to a narrow place, and up by transposed convolutions."""

    def __init__(self, w: int = 16) -> None:
        super().__init__()
        self.encoder = nn.Sequential(conv(1, w, 3, 2), conv(w, 2 * w, 3, 2), conv(2 * w, 2 * w))
        up = [nn.ConvTranspose2d(2 * w, 2 * w, 2, 2), nn.ReLU(), nn.ConvTranspose2d(2 * w, w, 2, 2), nn.ReLU()]
        self.decoder = nn.Sequential(*up, nn.Conv2d(w, 1, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


class Fire(nn.Module):
    def __init__(self, a: int, inner: int, each: int) -> None:
        super().__init__()
        self.squeeze, self.one, self.three = conv(a, inner, 1), conv(inner, each, 1), conv(inner, each, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x)
        return torch.cat([self.one(x), self.three(x)], dim=1)


class SqueezeNet(nn.Sequential):
    """Iandola et al. 2016: two sizes of convolution side by side; the classes are channels."""

    def __init__(self) -> None:
        fires = [Fire(16, 16, 16), Fire(32, 16, 16), Fire(32, 16, 24)]
        super().__init__(conv(3, 16), *fires, nn.Conv2d(48, CLASSES, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())


class Temporal(nn.Module):
    def __init__(self, w: int, apart: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(w, w, 3, dilation=apart)
        self.conv2 = nn.Conv1d(w, w, 3, dilation=apart)
        self.apart = apart

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.conv1(F.pad(x, (2 * self.apart, 0))))
        return torch.relu(x + self.conv2(F.pad(y, (2 * self.apart, 0))))


class TemporalNet(nn.Module):
    """Bai et al. 2018: causal convolutions over time, ever farther apart."""

    def __init__(self, w: int = 24) -> None:
        super().__init__()
        self.stem = nn.Conv1d(2, w, 1)
        self.blocks = nn.Sequential(*(Temporal(w, 2**i) for i in range(4)))
        self.out = nn.Linear(w, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.blocks(self.stem(x))[:, :, -1])


class WaveNet1d(nn.Sequential):
    """Dai et al. 2016: a raw wave by plain convolutions, group-normalised."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        for a, b in ((1, 16), (16, 32), (32, 32), (32, 32)):
            layers += [nn.Conv1d(a, b, 5, 2, 2), nn.GroupNorm(4, b), nn.ReLU()]
        super().__init__(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(32, CLASSES))


class Conv3dNet(nn.Module):
    """Tran et al. 2014: convolutions over time and picture at once."""

    def __init__(self, w: int = 16) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv3d(1, w, 3, padding=1), nn.BatchNorm3d(w), nn.ReLU(), nn.MaxPool3d(2))
        self.blocks = nn.Sequential(*(self._block(w) for _ in range(3)))
        self.out = nn.Linear(w, CLASSES)

    @staticmethod
    def _block(w: int) -> nn.Module:
        return nn.Sequential(nn.Conv3d(w, w, 3, padding=1), nn.BatchNorm3d(w), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.blocks(self.stem(x)).mean(dim=(2, 3, 4)))


class Siamese(nn.Module):
    """Bromley et al. 1993: one net looks at both inputs."""

    def __init__(self, w: int = 32) -> None:
        super().__init__()
        self.tower = nn.Sequential(conv(1, 16), nn.MaxPool2d(2), conv(16, w), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Sequential(nn.Linear(2 * w, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        left, right = self.tower(a), self.tower(b)
        return self.head(torch.cat([(left - right).abs(), left * right], dim=1))

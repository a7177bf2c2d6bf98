"""Tiny models with data, made in memory: each seeded, each a forward pass of well under a millisecond or two."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn

from engine import Workload

TRAIN, VALIDATION, TEST = 96, 32, 40
CLASSES = 3
TOKENS = 11


class Block(nn.Module):
    """Two convolutions with a skip around them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(x + self.norm2(self.conv2(y)))


class Residual(nn.Module):
    """A stem, three residual blocks, the mean, a head."""

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.blocks = nn.Sequential(*(Block(channels) for _ in range(3)))
        self.head = nn.Linear(channels, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(torch.relu(self.norm(self.stem(x))))
        return self.head(x.mean(dim=(2, 3)))


class TiedLanguageModel(nn.Module):
    """The output layer's weight is the embedding's."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.embed = nn.Embedding(TOKENS, width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)
        self.out = nn.Linear(width, TOKENS, bias=False)
        self.out.weight = self.embed.weight

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)  # batch, length, width
        return self.out(x + self.down(torch.relu(self.up(x))))


class Attention(nn.Module):
    """torch's own encoder of two layers, with dropout."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.embed = nn.Linear(4, width)
        layer = nn.TransformerEncoderLayer(width, 2, 2 * width, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.embed(x)).mean(dim=1))


class OwnAttention(nn.Module):
    """Attention as people write it themselves: one fused projection, heads by reshaping."""

    def __init__(self, width: int = 8, num_heads: int = 2) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        parts = self.qkv(x).view(n, length, 3, self.num_heads, width // self.num_heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)  # each n, heads, length, width / heads
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        return x + self.out(mixed.transpose(1, 2).reshape(n, length, width))


class OwnAttentionNet(nn.Module):
    """Two layers of own attention, each with a feed-forward part."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.embed = nn.Linear(4, width)
        self.layers = nn.ModuleList(nn.Sequential(OwnAttention(width), nn.LayerNorm(width)) for _ in range(2))
        self.head = nn.Sequential(nn.Linear(width, 16), nn.GELU(), nn.Linear(16, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        for layer in self.layers:
            x = layer(x)
        return self.head(x.mean(dim=1))


def linear_net(inputs: int = 12, outputs: int = CLASSES) -> nn.Module:
    return nn.Sequential(
        nn.Linear(inputs, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, outputs)
    )  # fmt: skip


def conv_net() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 12, 3, stride=2), nn.BatchNorm2d(12), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, CLASSES),
    )  # fmt: skip


def depthwise_net() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 1), nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 12, 1, bias=False), nn.BatchNorm2d(12), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, CLASSES),
    )  # fmt: skip


def _numbers(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _whole(shape: tuple[int, ...], most: int, seed: int) -> Tensor:
    return torch.randint(most, shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def settled(build: Callable[[], nn.Module], inputs: Tensor, seed: int = 0) -> nn.Module:
    """The net that `build` makes, seeded, with statistics of normalisation taken from the inputs; in eval mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = build()
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.2)
        net.train()(inputs)
    return net.eval()


def workload_of(name: str, build: Callable[[], nn.Module], shape: tuple[int, ...], task: str) -> Workload:
    """A workload of random data: inputs (n, *shape)."""
    splits = {}
    for seed, (part, n) in enumerate((("train", TRAIN), ("validation", VALIDATION), ("test", TEST)), start=10):
        if task == "language_modelling":
            text = _whole((n, shape[0] + 1), TOKENS, seed)
            splits[part] = (text[:, :-1], text[:, 1:])
        elif task == "regression":
            inputs = _numbers((n, *shape), seed)
            splits[part] = (inputs, inputs.flatten(1)[:, :2].sum(1, keepdim=True))
        else:
            splits[part] = (_numbers((n, *shape), seed), _whole((n,), CLASSES, seed + 50))
    return Workload(name, settled(build, splits["train"][0]), task, **splits)


MAKERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], str]] = {
    "linear": (linear_net, (12,), "classification"),
    "conv": (conv_net, (1, 6, 6), "classification"),
    "residual": (Residual, (1, 6, 6), "classification"),
    "tied": (TiedLanguageModel, (5,), "language_modelling"),
    "attention": (Attention, (5, 4), "classification"),
    "depthwise": (depthwise_net, (1, 6, 6), "classification"),
    "regression": (lambda: linear_net(6, 1), (6,), "regression"),
    "own_attention": (OwnAttentionNet, (5, 4), "classification"),
}
SIX = ("linear", "conv", "residual", "tied", "attention", "depthwise")


@cache
def tiny(name: str) -> Workload:
    """The tiny workload of that name; nobody may change it."""
    return workload_of(name, *MAKERS[name])

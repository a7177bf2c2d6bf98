"""Nets for sequences and rows in plain torch: recurrent, transformers, gated, with weights that are shared."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from tests.architectures.data import CLASSES, LENGTH, WORDS


class LSTMNet(nn.Module):
    """Hochreiter and Schmidhuber 1997, read in both directions."""

    def __init__(self, w: int = 16) -> None:
        super().__init__()
        self.embed = nn.Embedding(WORDS, w)
        self.lstm = nn.LSTM(w, w, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Sequential(nn.Linear(2 * w, 128), nn.ReLU(), nn.Linear(128, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(self.embed(x))[0].mean(dim=1))


class GRUNet(nn.Module):
    """Cho et al. 2014, behind a convolution."""

    def __init__(self, w: int = 16) -> None:
        super().__init__()
        self.front = nn.Sequential(nn.Conv1d(2, 64, 3, padding=1), nn.ReLU(), nn.Conv1d(64, w, 3, padding=1), nn.ReLU())
        self.gru = nn.GRU(w, w, batch_first=True)
        self.head = nn.Sequential(nn.Linear(w, 48), nn.ReLU(), nn.Linear(48, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.gru(self.front(x).transpose(1, 2))
        return self.head(out[:, -1])


class EncoderNet(nn.Module):
    """Vaswani et al. 2017, torch's own encoder."""

    def __init__(self, w: int = 24) -> None:
        super().__init__()
        self.embed = nn.Embedding(WORDS, w)
        layer = nn.TransformerEncoderLayer(w, 4, 4 * w, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.out = nn.Linear(w, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.encoder(self.embed(x)).mean(dim=1))


class TranslationNet(nn.Module):
    """Vaswani et al. 2017, torch's own encoder and decoder."""

    def __init__(self, w: int = 24) -> None:
        super().__init__()
        self.embed = nn.Embedding(WORDS, w)
        self.both = nn.Transformer(w, 4, 3, 3, 4 * w, batch_first=True)
        self.out = nn.Linear(w, WORDS)
        self.register_buffer("ahead", torch.full((LENGTH, LENGTH), -math.inf).triu(1))

    def forward(self, read: Tensor, said: Tensor) -> Tensor:
        return self.out(self.both(self.embed(read), self.embed(said), tgt_mask=self.ahead))


class Attention(nn.Module):
    """As people write it themselves: one fused projection, heads by reshaping."""

    def __init__(self, w: int, num_heads: int = 4) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv, self.out = nn.Linear(w, 3 * w), nn.Linear(w, w)

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        q, k, v = self.qkv(x).view(n, length, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(mixed.transpose(1, 2).reshape(n, length, width))


class OwnBlock(nn.Module):
    def __init__(self, w: int) -> None:
        super().__init__()
        self.norm1, self.norm2, self.mix = nn.LayerNorm(w), nn.LayerNorm(w), Attention(w)
        self.feed = nn.Sequential(nn.Linear(w, 4 * w), nn.GELU(), nn.Linear(4 * w, w))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mix(self.norm1(x))
        return x + self.feed(self.norm2(x))


class TiedLanguageModel(nn.Module):
    """Press and Wolf 2016: the output layer's weight is the embedding's."""

    def __init__(self, w: int = 24) -> None:
        super().__init__()
        self.embed, self.places = nn.Embedding(WORDS, w), nn.Parameter(torch.randn(LENGTH, w) / 5)
        self.blocks = nn.Sequential(*(OwnBlock(w) for _ in range(3)))
        self.norm, self.out = nn.LayerNorm(w), nn.Linear(w, WORDS, bias=False)
        self.out.weight = self.embed.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.norm(self.blocks(self.embed(x) + self.places)))


class Gated(nn.Module):
    def __init__(self, w: int) -> None:
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(w), nn.Linear(w, 8 * w), nn.Linear(4 * w, w)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(nn.functional.glu(self.up(self.norm(x))))


class GatedMLP(nn.Sequential):
    """Dauphin et al. 2016: half of each layer's outputs gate the other half."""

    def __init__(self, w: int = 24) -> None:
        super().__init__(nn.Linear(12, w), *(Gated(w) for _ in range(3)), nn.Linear(w, 1))


class Highway(nn.Module):
    def __init__(self, w: int) -> None:
        super().__init__()
        self.change, self.gate = nn.Linear(w, w), nn.Linear(w, w)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.gate(x))
        return gate * torch.relu(self.change(x)) + (1 - gate) * x


class HighwayNet(nn.Sequential):
    """Srivastava et al. 2015: a gate says how much of each layer goes by."""

    def __init__(self, w: int = 32) -> None:
        super().__init__(nn.Linear(12, w), *(Highway(w) for _ in range(4)), nn.Linear(w, CLASSES))


class Experts(nn.Module):
    """Shazeer et al. 2017: two of four small nets, by a gate."""

    def __init__(self, w: int, n: int = 4) -> None:
        super().__init__()
        self.gate = nn.Linear(w, n)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(w, 3 * w), nn.ReLU(), nn.Linear(3 * w, w)) for _ in range(n)
        )

    def forward(self, x: Tensor) -> Tensor:
        scores, chosen = self.gate(x).topk(2, dim=-1)
        share = torch.zeros(len(x), len(self.experts), device=x.device).scatter(1, chosen, scores.softmax(-1))
        return x + sum(share[:, i : i + 1] * expert(x) for i, expert in enumerate(self.experts))


class ExpertsNet(nn.Sequential):
    """Three layers of experts."""

    def __init__(self, w: int = 16) -> None:
        super().__init__(nn.Linear(12, w), *(Experts(w) for _ in range(3)), nn.Linear(w, CLASSES))


class TwiceNet(nn.Module):
    """One layer that runs three times, as in Dehghani et al. 2018."""

    def __init__(self, w: int = 32) -> None:
        super().__init__()
        self.first, self.step, self.out = nn.Linear(12, w), nn.Linear(w, w), nn.Linear(w, CLASSES)
        self.wide, self.back = nn.Linear(w, 4 * w), nn.Linear(4 * w, w)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))
        for _ in range(3):
            x = x + torch.relu(self.step(x))
        return self.out(x + self.back(torch.relu(self.wide(x))))

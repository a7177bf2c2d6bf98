"""The next character of a short text in one of 35 languages, by a causal transformer: it writes as well as reads."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine import Workload, language_modelling
from sample_models.django_strings import LENGTH, PADDING, corpus
from sample_models.files import load_weights

NOT_COUNTED = -1  # a target that is padding


def signs() -> int:
    """How many codes there are: padding, unknown, the characters, the start of a string, its end."""
    return len(corpus().characters) + 4


def start() -> int:
    """The code in front of every string."""
    return signs() - 2


def end() -> int:
    """The code that follows every string that was not cut."""
    return signs() - 1


class Recent(nn.Module):
    """The last two, three, ... characters together: a vector for each such run, found by a hash."""

    def __init__(self, width: int, longest: int = 4, rows: int = 4096, dropout: float = 0.3) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(rows, width) for _ in range(longest - 1))
        self.rows = rows
        self.dropout = nn.Dropout1d(dropout)  # of whole runs, so that the net learns to do without

    def forward(self, x: Tensor) -> Tensor:
        runs, before, found = x, x, []  # n, length
        for table in self.tables:
            before = F.pad(before, (1, 0), value=PADDING)[:, :-1]
            runs = (runs * 1_000_003 + before) % 2_147_483_647
            found.append(self.dropout(table(runs % self.rows)))
        return torch.stack(found).sum(0)  # n, length, width


class Attention(nn.Module):
    """Every character looks at itself and at those before it."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, length, _ = x.shape
        q, k, v = (f(x).view(n, length, self.num_heads, -1).transpose(1, 2) for f in (self.query, self.key, self.value))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # n, heads, length, width / heads
        return self.out(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention and a feed-forward part, each normalised before and skipped around; in training some are left out."""

    def __init__(self, width: int, num_heads: int, dropout: float, left_out: float = 0.1) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, num_heads)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(dropout)
        self.left_out = left_out

    def forward(self, x: Tensor) -> Tensor:
        if self.training and float(torch.rand(())) < self.left_out:
            return x
        x = x + self.dropout(self.attention(self.norm1(x)))  # n, length, width
        return x + self.dropout(self.down(F.gelu(self.up(self.norm2(x)))))

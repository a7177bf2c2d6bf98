"""Which of 35 languages a short string is in: a transformer of 8 blocks over characters."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine import Workload
from sample_models.django_strings import LENGTH, PADDING, corpus
from sample_models.files import load_weights


class Attention(nn.Module):
    """Every character looks at every other one; padding is not looked at."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        n, length, _ = x.shape
        q, k, v = (f(x).view(n, length, self.num_heads, -1).transpose(1, 2) for f in (self.query, self.key, self.value))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)  # n, heads, length, width / heads
        return self.out(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention and a feed-forward part, each normalised before and skipped around."""

    def __init__(self, width: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, num_heads)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.norm1(x), seen))  # n, length, width
        return x + self.dropout(self.down(F.gelu(self.up(self.norm2(x)))))


class LanguageTransformer(nn.Module):
    """Embedding, two convolutions over near characters, 8 blocks, the mean over the string, a linear head."""

    def __init__(
        self, characters: int, languages: int, width: int = 64, blocks: int = 8, dropout: float = 0.15
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters, width, padding_idx=PADDING)
        self.near = nn.Sequential(
            nn.Conv1d(width, 2 * width, 5, padding=2), nn.GELU(), nn.Conv1d(2 * width, width, 3, padding=1)
        )
        self.position = nn.Parameter(0.02 * torch.randn(1, LENGTH, width))
        self.blocks = nn.ModuleList(Block(width, 4, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, languages)

    def forward(self, x: Tensor) -> Tensor:
        known = (x != PADDING).unsqueeze(2)  # n, length, 1
        seen = known.transpose(1, 2).unsqueeze(1)  # n, 1, 1, length
        e = self.embedding(x)
        y = e + self.near(e.transpose(1, 2)).transpose(1, 2) + self.position  # n, length, width
        for block in self.blocks:
            y = block(y, seen)
        y = self.norm(y) * known
        return self.head(y.sum(1) / known.sum(1).clamp_min(1))  # n, languages


def untrained() -> LanguageTransformer:
    """The net before training, for the vocabulary of the shipped strings."""
    return LanguageTransformer(len(corpus().characters) + 2, len(corpus().languages))


def network() -> nn.Module:
    """The trained net."""
    return load_weights(untrained(), "language_transformer")


def workload() -> Workload:
    """The trained net with the strings of Django's translations."""
    c = corpus()
    return Workload(
        name="language_transformer",
        network=network,
        task="classification",
        train=c.train,
        validation=c.validation,
        test=c.test,
        classes=c.languages,
        hints={"num_heads": 4},
        about={
            "title": "Language Transformer",
            "what": "A transformer of 8 blocks over characters says which of 35 languages a short string is in.",
            "data": "Texts of Django's user interface in 35 languages, from its translation files, cut to 48 "
            "characters; training texts that equal a held-out one are dropped.",
            "licence": "BSD-3-Clause, © Django Software Foundation and individual contributors",
            "trained": "By sample_models/training/language_transformer.py; every eleventh string chose the checkpoint.",
            "confuses": "Spanish with Galician, Czech with Slovak, Indonesian with Malay, Danish with Norwegian.",
        },
    )

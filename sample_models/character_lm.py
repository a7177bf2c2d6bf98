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


class Near(nn.Module):
    """A convolution over each character and the two before it, and a layer back to the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before = nn.ConstantPad1d((2, 0), 0.0)
        self.wide, self.back = nn.Conv1d(width, 4 * width, 3), nn.Conv1d(4 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.wide(self.before(x.transpose(1, 2)))  # n, 4 width, length
        return self.back(F.gelu(x)).transpose(1, 2)  # n, length, width


class Recent(nn.Module):
    """The last two, three and four characters together: a vector for each such run, found by a hash."""

    def __init__(self, width: int, rows: int = 4096, dropout: float = 0.3) -> None:
        super().__init__()
        tables = [nn.Embedding(rows, width) for _ in range(3)]
        for table in tables:
            nn.init.normal_(table.weight, std=0.3)
        self.tables = nn.ModuleList(tables)
        self.rows = rows
        self.dropout = nn.Dropout1d(dropout)  # of whole vectors, so that the net learns to do without

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


class CharacterLM(nn.Module):
    """Embeddings of characters and of runs of them, a convolution over near ones, 8 causal blocks, a linear head."""

    def __init__(self, codes: int, width: int = 96, blocks: int = 8, dropout: float = 0.15) -> None:
        super().__init__()
        self.embedding = nn.Embedding(codes, width, padding_idx=PADDING)
        self.near, self.recent = Near(width), Recent(width)
        self.position = nn.Parameter(0.02 * torch.randn(1, LENGTH + 1, width))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, 4, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, codes)

    def forward(self, x: Tensor) -> Tensor:
        e = self.embedding(x)  # n, length, width
        y = self.dropout(e + self.near(e) + self.recent(x) + self.position[:, : x.shape[1]])
        for block in self.blocks:
            y = block(y)
        return self.head(self.norm(y))  # n, length, codes


def pair(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Inputs and targets (n, 49) of strings (n, 48): the start in front, and the code after each as its target.

    A string of 48 characters may have been cut: where it ends is not known, and no target.
    """
    n, lengths = len(codes), (codes != PADDING).sum(1)
    inputs = torch.cat([torch.full((n, 1), start()), codes], dim=1)
    targets = F.pad(codes, (0, 1), value=PADDING)
    targets[targets == PADDING] = NOT_COUNTED
    whole = (lengths < LENGTH).nonzero().squeeze(1)
    targets[whole, lengths[whole]] = end()
    return inputs, targets


def splits() -> dict[str, tuple[Tensor, Tensor]]:
    """Train, validation and test: inputs (n, 49), targets (n, 49)."""
    c = corpus()
    return {"train": pair(c.train[0]), "validation": pair(c.validation[0]), "test": pair(c.test[0])}


def line(codes: Tensor) -> str:
    """The text of these codes (length,), up to the first end."""
    ends = (codes == end()).nonzero().flatten().tolist()
    read = codes[: ends[0]] if ends else codes
    return corpus().text(read[read > PADDING])


def untrained() -> CharacterLM:
    """The net before training, for the vocabulary of the shipped strings."""
    return CharacterLM(signs())


def network() -> nn.Module:
    """The trained net."""
    return load_weights(untrained(), "character_lm")


def workload() -> Workload:
    """The trained net with the strings of Django's translations."""
    return Workload(
        name="character_lm",
        network=network,
        task=language_modelling("character"),
        **splits(),
        hints={"num_heads": 4},
        decode=line,
        about={
            "title": "Character LM",
            "what": "A causal transformer of 8 blocks says the next character of a short text in any of 35 languages.",
            "data": "Texts of Django's user interface in 35 languages, from its translation files, cut to 48 "
            "characters; training texts that equal a held-out one are dropped.",
            "licence": "BSD-3-Clause, © Django Software Foundation and individual contributors",
            "trained": "By sample_models/training/character_lm.py, two fifths of the loss taught by the Kneser-Ney "
            "5-grams that it must beat; every eleventh string chose the checkpoint.",
            "confuses": "One vowel with another, above all a with e; where a word ends with where it goes on. Welsh, "
            "Icelandic and Finnish cost it the most bits, Portuguese and Spanish the fewest.",
        },
    )

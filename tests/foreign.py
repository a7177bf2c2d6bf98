"""Models of kinds that the engine has never seen, brought as a user brings them: `tests.foreign:NAME`."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from engine import Task, Workload

SIZES = {"train": 48, "validation": 16, "test": 24}


def parts(make: object) -> dict[str, object]:
    """The three splits of what `make(n, generator)` gives."""
    return {
        part: make(n, torch.Generator().manual_seed(seed)) for seed, (part, n) in enumerate(SIZES.items())
    }  # fmt: skip


class LSTMClassifier(nn.Module):
    """Words to a class by two recurrent layers, read in both directions."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.lstm = nn.LSTM(8, 12, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Sequential(nn.Linear(24, 16), nn.ReLU(), nn.Linear(16, 4))

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.lstm(self.embed(x))  # batch, length, 24
        return self.head(out.mean(dim=1))


def lstm() -> Workload:
    """A recurrent classifier with a DataLoader as training data."""

    def make(n: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
        x = torch.randint(20, (n, 7), generator=g)
        return x, x.sum(1) % 4

    held = parts(make)
    held["train"] = DataLoader(TensorDataset(*held["train"]), batch_size=10, shuffle=True)
    torch.manual_seed(0)
    return Workload("lstm", LSTMClassifier(), "classification", **held)


class UNet(nn.Module):
    """Down twice, up twice, with skips by concatenation."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.down1, self.down2 = self._double(1, width), self._double(width, 2 * width)
        self.middle = self._double(2 * width, 4 * width)
        self.up2 = nn.ConvTranspose2d(4 * width, 2 * width, 2, stride=2)
        self.join2 = self._double(4 * width, 2 * width)
        self.up1 = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.join1 = self._double(2 * width, width)
        self.head = nn.Conv2d(width, 1, 1)

    @staticmethod
    def _double(a: int, b: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(), nn.Conv2d(b, b, 3, padding=1), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        a = self.down1(x)  # batch, w, 16, 16
        b = self.down2(F.max_pool2d(a, 2))  # batch, 2w, 8, 8
        c = self.middle(F.max_pool2d(b, 2))  # batch, 4w, 4, 4
        b = self.join2(torch.cat([self.up2(c), b], dim=1))
        a = self.join1(torch.cat([self.up1(b), a], dim=1))
        return self.head(a)


def overlap(outputs: Tensor, targets: Tensor) -> Tensor:
    """What each picture adds to the intersection and to the union: (examples, 2)."""
    found, wanted = (outputs > 0).flatten(1), (targets > 0.5).flatten(1)
    return torch.stack([(found & wanted).sum(1), (found | wanted).sum(1)], dim=1).double()


IOU = Task(
    name="segmentation",
    loss=F.binary_cross_entropy_with_logits,
    terms=overlap,
    finish=lambda sums: sums[..., 0] / sums[..., 1].clamp_min(1),
    chance=lambda targets: float((targets > 0.5).double().mean()),
    scores="IoU",
    figure="iou",
)


def unet() -> Workload:
    """A segmentation net with skips, scored by intersection over union."""

    def make(n: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
        x = torch.randn(n, 1, 16, 16, generator=g)
        return x, (F.avg_pool2d(x, 3, stride=1, padding=1) > 0).float()

    torch.manual_seed(0)
    return Workload("unet", UNet(), IOU, **parts(make))


class TiedFunctional(nn.Module):
    """An embedding whose weight is also the head's, and layers that are only tensors called by functions."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(13, 8))
        self.mix = nn.Parameter(torch.randn(16, 8) / 3)
        self.back = nn.Parameter(torch.randn(8, 16) / 4)
        self.twice = nn.Linear(8, 8)
        self.again = nn.Linear(8, 8)
        self.again.weight = self.twice.weight

    def forward(self, x: Tensor) -> Tensor:
        e = F.embedding(x, self.table)  # batch, length, 8
        e = e + F.linear(torch.tanh(F.linear(e, self.mix)), self.back)
        return F.linear(self.again(torch.relu(self.twice(e))), self.table)  # batch, length, 13


def tied_functional() -> Workload:
    """A language model with tied weights and functional calls."""

    def make(n: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
        text = torch.randint(13, (n, 7), generator=g)
        return text[:, :-1], text[:, 1:]

    torch.manual_seed(0)
    return Workload("tied_functional", TiedFunctional(), "language_modelling", **parts(make))


class TwoTowers(nn.Module):
    """Numbers and a category, by name, to a pair of outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers, self.kinds = nn.Linear(5, 10), nn.Embedding(6, 10)
        self.head = nn.Linear(10, 1)

    def forward(self, numbers: Tensor, kind: Tensor) -> dict[str, Tensor]:
        hidden = torch.relu(self.numbers(numbers) + self.kinds(kind))
        return {"logits": self.head(hidden).squeeze(1), "hidden": hidden}


def _hits(outputs: dict[str, Tensor], targets: Tensor) -> Tensor:
    said, true = outputs["logits"] > 0, targets > 0.5
    return torch.stack([said & true, said & ~true, ~said & true], dim=1).double()  # examples, (tp, fp, fn)


F1 = Task(
    name="rare_cases",
    loss=lambda outputs, targets: F.binary_cross_entropy_with_logits(outputs["logits"], targets),
    terms=_hits,
    finish=lambda sums: 2 * sums[..., 0] / (2 * sums[..., 0] + sums[..., 1] + sums[..., 2]).clamp_min(1),
    scores="F1",
    figure="f1",
)


def two_towers() -> Workload:
    """Several inputs by name, an answer with several parts, scored by F1."""

    def make(n: int, g: torch.Generator) -> tuple[dict[str, Tensor], Tensor]:
        numbers, kind = torch.randn(n, 5, generator=g), torch.randint(6, (n,), generator=g)
        return {"numbers": numbers, "kind": kind}, (numbers[:, 0] + kind / 3 > 1).float()

    torch.manual_seed(0)
    return Workload("two_towers", TwoTowers(), F1, **parts(make))


NAMES = ("lstm", "tied_functional", "two_towers", "unet")
REFERENCES = {name: f"tests.foreign:{name}" for name in NAMES}

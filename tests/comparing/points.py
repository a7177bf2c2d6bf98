"""A tiny workload on which recipes really differ, and points of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import torch
from torch import Tensor, nn

from engine import Estimate, Measurer, Point, Workload, measure
from tests.engine.quick import quick

CLASSES = ("oak", "ash", "elm")
SIZES = {"train": 96, "validation": 48, "test": 600}
RECIPES = {
    "original": [],
    "slight": [["weight_pruning", {"amount": 0.15}]],
    "light": [["weight_pruning", {"amount": 0.3}]],
    "heavy": [["weight_pruning", {"amount": 0.8}]],
    "nodes": [["node_pruning", {"amount": 0.5}]],
}


def teacher() -> Tensor:
    return torch.randn(12, 3, generator=torch.Generator().manual_seed(1))


def split(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Inputs (n, 12) and what the teacher says to them, every seventh otherwise."""
    x = torch.randn(n, 12, generator=torch.Generator().manual_seed(seed))
    y = (x @ teacher()).argmax(1)
    y[::7] = (y[::7] + 1) % 3
    return x, y


@cache
def taught() -> Workload:
    """relu(x·T) − relu(−x·T) is the teacher itself."""
    model = nn.Sequential(nn.Linear(12, 6, bias=False), nn.ReLU(), nn.Linear(6, 3, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.cat([teacher().T, -teacher().T]))
        model[2].weight.copy_(torch.cat([torch.eye(3), -torch.eye(3)], dim=1))
    splits = {part: split(n, seed) for seed, (part, n) in enumerate(SIZES.items())}
    return Workload("taught", model.eval(), "classification", **splits, classes=CLASSES)


@cache
def plain(name: str) -> dict[str, object]:
    """The point of that name as `measure --json` prints it; nobody may change it."""
    return measure(taught(), RECIPES[name], protocol=quick()).to_dict()


def point(name: str) -> Point:
    return Point.of_plain(plain(name))


def early(name: str) -> Point:
    """The point of that name as one of a curve."""
    measurer = Measurer(taught(), protocol=quick())
    along = replace(measurer.protocol.along_curve(), precision=0.03)
    return Point.of_measured(measurer.measure(RECIPES[name], along))


def otherwise(one: Point, variant: Mapping[str, Estimate] | None = None, **protocol: object) -> Point:
    """The point with some figures or some of the protocol changed."""
    return replace(one, variant={**one.variant, **(variant or {})}, protocol={**one.protocol, **protocol})

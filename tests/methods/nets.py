"""Nets written by hand, and what a recipe makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from engine import Channel, Context, Recipe, Workload

Rows = Sequence[Sequence[float]]


def linear(rows: Rows, bias: Sequence[float] | None = None) -> nn.Linear:
    """The linear layer with these weights."""
    weight = torch.tensor(rows, dtype=torch.float32)
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias is not None:
            layer.bias.copy_(torch.tensor(bias, dtype=torch.float32))
    return layer


def random_inputs(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def explored(net: nn.Module, inputs: Tensor, targets: Tensor | None = None, task: str = "classification") -> Workload:
    """A workload whose three splits are the same pair; targets are zeros where none are given."""
    pair = (inputs, torch.zeros(len(inputs), dtype=torch.long) if targets is None else targets)
    return Workload("by hand", net, task, train=pair, validation=pair, test=pair)


def edited(net: nn.Module, recipe: list[object], inputs: Tensor) -> nn.Module:
    """What the recipe makes of the net, in eval mode."""
    return Recipe.of(recipe).apply(explored(net, inputs), device="cpu")


def context_of(workload: Workload, channel: Channel | None = None) -> Context:
    base = Context.of(workload, torch.device("cpu"))
    object.__setattr__(base, "channel", channel or base.channel)
    return base


class Listening(Channel):
    """Keeps what is reported, and asks to stop after a number of reports."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.heard: list[Mapping[str, object]] = []
        self.stop_after = stop_after

    def report(self, partial: Mapping[str, object], at_once: bool = False) -> None:
        self.heard.append(partial)

    def cancelled(self) -> bool:
        return self.stop_after is not None and len(self.heard) >= self.stop_after

    @property
    def losses(self) -> list[float]:
        return [float(partial["loss"]) for partial in self.heard]  # type: ignore[arg-type]

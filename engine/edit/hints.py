"""Layers inside two models that are compared: what the smaller one's say of the larger one's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.edit.blocks import find_blocks
from engine.edit.origin import place_of
from engine.edit.rows import PLAIN
from engine.edit.surgery import Skip
from engine.examples import Inputs, main_tensor, run

MOST = 4


@dataclass(frozen=True)
class Hint:
    """One layer of both models.

    small, large    its path in either
    axis            along which its nodes stand
    widths          how many of them the small and the large model have
    """

    small: str
    large: str
    axis: int
    widths: tuple[int, int]


@torch.no_grad()
def find_hints(small: nn.Module, large: nn.Module, example: Inputs) -> list[Hint]:
    """At most four layers, evenly spread and the last among them, that both models have, and whose outputs agree in
    shape but for how many nodes there are.

    The large model's blocks; where none of them is left in the small one, its layers with weights, those aside whose
    output is the model's.

    example    a batch (n, ...)
    """
    where = {place_of(small, path): path for path, part in small.named_modules() if not isinstance(part, Skip)}
    blocks = [block.path for block in find_blocks(large, example)]
    layers = [path for path, part in large.named_modules() if any(p.dim() > 1 for p in part.parameters(recurse=False))]
    for paths in (blocks, layers):
        both = [path for path in paths if path in where]
        with captured(small, [where[path] for path in both]) as gave, captured(large, both) as wanted:
            run(small, example)
            answer = main_tensor(run(large, example))
        hints = [
            hint
            for path in both
            if wanted.get(path) is not answer
            and (hint := _hint(where[path], path, gave, wanted, large.get_submodule(path)))
        ]
        if hints:
            return [hints[i] for i in sorted({(len(hints) - 1) - n * len(hints) // MOST for n in range(MOST)})]
    return []


def _hint(
    small: str, path: str, gave: Mapping[str, Tensor], wanted: Mapping[str, Tensor], layer: nn.Module
) -> Hint | None:
    if small not in gave or path not in wanted:
        return None
    mine, theirs = gave[small].shape, wanted[path].shape
    axis = 1 if any(isinstance(part, PLAIN) for part in layer.modules()) else len(theirs) - 1
    if (
        axis < 1
        or len(mine) != len(theirs)
        or (*mine[:axis], *mine[axis + 1 :]) != (*theirs[:axis], *theirs[axis + 1 :])
    ):
        return None
    return Hint(small, path, axis, (mine[axis], theirs[axis]))


@contextmanager
def captured(model: nn.Module, paths: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Within it the mapping holds what each of these layers gave in the last pass that it took part in: its tensor,
    or the first of a tuple.
    """
    found: dict[str, Tensor] = {}

    def note(path: str) -> Any:
        def hook(_: nn.Module, __: object, output: Any) -> None:
            first = output[0] if isinstance(output, tuple) and output else output
            if isinstance(first, Tensor) and first.is_floating_point():
                found[path] = first

        return hook

    handles = [model.get_submodule(path).register_forward_hook(note(path)) for path in paths]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def projections(hints: Sequence[Hint], like: Tensor, seed: int) -> nn.ModuleList:
    """For each layer a matrix from the small model's nodes to the large one's: the identity where they are as many,
    else drawn by the seed.

    like    on its device and in its dtype
    """
    made = nn.ModuleList()
    with torch.random.fork_rng([like.device] if like.device.type == "cuda" else []):
        torch.manual_seed(seed)
        for hint in hints:
            layer = nn.Linear(*hint.widths, bias=False)
            if hint.widths[0] == hint.widths[1]:
                nn.init.eye_(layer.weight)
            made.append(layer)
    return made.to(like)


def feature_distance(
    hints: Sequence[Hint], across: nn.ModuleList, small: Mapping[str, Tensor], large: Mapping[str, Tensor]
) -> Tensor:
    """1/K Σ_k E(P_k·h_k − H_k)² / E H_k² over the K layers: a scalar, 0 where the small model's say it all.

    small, large    outputs by path: (n, ..., nodes, ...)
    """
    parts = []
    for hint, project in zip(hints, across, strict=True):
        given, wanted = small[hint.small].movedim(hint.axis, -1), large[hint.large].movedim(hint.axis, -1)
        error = (project(given) - wanted).square().mean()
        parts.append(error / wanted.square().mean().clamp_min(torch.finfo(wanted.dtype).tiny))
    return torch.stack(parts).mean()

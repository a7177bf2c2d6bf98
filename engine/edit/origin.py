"""What the layers of a variant were in the original: where they stood, and which of its nodes they still hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from torch import nn

from engine.metrics.size import ORIGIN

# Plain attributes: they go where the layer goes, and are no part of its state.
NODES = f"_nodes{ORIGIN}"
PLACE = f"_place{ORIGIN}"


def note_nodes(layer: nn.Module, gone: Iterable[int], n: int) -> None:
    """Note that of a layer's n nodes some went: those places among the ones that it holds now."""
    out = set(gone)
    before = getattr(layer, NODES, range(n))
    setattr(layer, NODES, tuple(node for place, node in enumerate(before) if place not in out))


def note_mixed(layer: nn.Module, n: int, kept: int) -> None:
    """Note that a layer gives mixtures of its n nodes: none is the original's, so they are counted on behind these."""
    setattr(layer, NODES, tuple(range(n, n + kept)))


def nodes_of(layer: nn.Module) -> list[int] | None:
    """Which nodes of the original's layer this one holds, in its own order; None where that is all of them."""
    last = layer[-1] if isinstance(layer, nn.Sequential) else layer  # of two factors the second holds the nodes
    held = cast("tuple[int, ...] | None", getattr(last, NODES, None))
    return None if held is None else list(held)


def hand_on(old: nn.Module, new: nn.Module) -> None:
    """Tell a layer that stands for another one which nodes that one held."""
    if hasattr(old, NODES):
        setattr(new, NODES, getattr(old, NODES))


def note_place(module: nn.Module, path: str) -> None:
    """Note where a module stands that is about to get another path."""
    if not hasattr(module, PLACE):
        setattr(module, PLACE, path)


def place_of(model: nn.Module, path: str) -> str:
    """The path in the original of the module that has this path in the variant."""
    parts = path.split(".")
    for n in range(len(parts), 0, -1):
        place = getattr(model.get_submodule(".".join(parts[:n])), PLACE, None)
        if place is not None:
            return ".".join([place, *parts[n:]])
    return path

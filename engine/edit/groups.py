"""Groups of nodes that are cut alike, and the cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor, nn

from engine.edit.nodes import Role, depthwise, how_many, keep, mixes

# (path, layer, whether the nodes are its outputs) -> a score for each place, or None where this layer says nothing
Score: TypeAlias = "Callable[[str, nn.Module, bool], Tensor | None]"
Member: TypeAlias = "tuple[str, Role]"  # of a layer: its path, and what the nodes are to it
HEADS = (
    "num_heads", "n_heads", "nhead", "n_head", "heads", "num_attention_heads", "num_key_value_heads", "num_kv_heads",
    "n_kv_heads", "n_head_kv", "num_q_heads",
)  # fmt: skip


@dataclass(frozen=True)
class CoupledGroup:
    """Nodes that are cut alike, each with all that hangs on it elsewhere.

    root      the path of the first layer whose outputs the nodes are
    members   for each layer that they touch, and for each of the nodes, its places there: a node is several places
              where it is one channel behind a flattening, the two halves of a gate, or a head of an attention
    level     which attributes that count nodes or heads are set, too: 0 none, 1 numbers of heads, 2 widths as well
    """

    root: str
    members: Mapping[Member, Sequence[Tensor]]
    level: int = 0

    @property
    def nodes(self) -> int:
        """How many there are."""
        return len(next(iter(self.members.values())))

    @property
    def layers(self) -> tuple[str, ...]:
        """The paths of the layers whose outputs the nodes are, the root first."""
        found = [path for path, role in self.members if role != "reads"]
        return tuple(dict.fromkeys([self.root, *found]))

    @property
    def each(self) -> int:
        """How many of the root's outputs one node is."""
        return max(len(places) for places in self.members[self.root, "gives"])

    def gathered(self, model: nn.Module, score: Score) -> Tensor:
        """For each node the sum of its scores in every coupled layer: (nodes,), double.

        score    of a layer's path, the layer, and whether the nodes are its outputs: one number a place, or None
        """
        total = torch.zeros(self.nodes, dtype=torch.float64)
        for (path, role), places in self.members.items():
            layer = model.get_submodule(path)
            if not mixes(layer) and not depthwise(layer):
                continue
            if (per_place := score(path, layer, role != "reads")) is not None:
                known = per_place.double().cpu()
                total += torch.stack([known[chosen].sum() for chosen in places])
        return total


def cut(model: nn.Module, chosen: Iterable[tuple[CoupledGroup, Sequence[int]]]) -> nn.Module:
    """Take nodes out of a model that the caller owns; the layers note what they still hold."""
    gone: dict[Member, list[Tensor]] = {}
    left: dict[Member, tuple[int, int]] = {}
    settings: list[tuple[CoupledGroup, int]] = []
    for group, nodes in chosen:
        if not nodes:
            continue
        settings.append((group, group.nodes - len(nodes)))
        for member, places in group.members.items():
            gone.setdefault(member, []).extend(places[node] for node in nodes)
            left[member] = group.nodes - len(nodes), group.nodes
    for group, kept in settings:  # before the layers are cut: they are known by their widths
        _set_counts(model, group, kept)
    for (path, role), places in gone.items():
        layer = model.get_submodule(path)
        stays = torch.ones(how_many(layer, role), dtype=torch.bool)
        stays[torch.cat(places)] = False
        kept, of = left[path, role]
        keep(layer, role, stays.nonzero().flatten(), partial(_share, kept, of))
    return model


def _share(kept: int, of: int, groups: int) -> int:
    return groups * kept // of


def _set_counts(model: nn.Module, group: CoupledGroup, kept: int) -> None:
    """Set the attributes by which the modules around a group know how many heads and nodes there are."""
    widths: dict[nn.Module, dict[int, int]] = {}
    for (path, role), places in group.members.items():
        n = how_many(model.get_submodule(path), role)
        goes = sum(len(p) for p in places) * (group.nodes - kept) // group.nodes
        holder = model.get_submodule(path.rpartition(".")[0])
        widths.setdefault(holder, {})[n] = n - goes
    for holder, changed in widths.items():
        for name, value in list(vars(holder).items()):
            if type(value) is not int:
                continue
            if group.level >= 1 and name in HEADS and value * kept % group.nodes == 0:
                setattr(holder, name, value * kept // group.nodes)
            elif group.level >= 2 and value in changed and name not in HEADS:
                setattr(holder, name, changed[value])

"""Which nodes must be cut together, and why some cannot be cut."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
import torch_pruning as tp
from torch import Tensor, nn
from torch_pruning import ops

from engine.edit.origin import note_nodes
from engine.edit.scores import CONVOLUTIONS
from engine.edit.surgery import tied
from engine.examples import Inputs, tensors_in

HEADS = (
    "num_heads", "n_heads", "nhead", "n_head", "heads", "num_attention_heads", "num_key_value_heads",
    "num_key_value_groups", "head_dim", "head_size", "attention_head_size",
)  # fmt: skip


@dataclass(frozen=True)
class CoupledGroup:
    """Nodes of one layer with all that hangs on them elsewhere.

    root     the path of the layer whose outputs the nodes are
    places   for each node, its outputs of that layer: several where the layer's output is split into parts that meet
             again, as in a gated unit
    """

    root: str
    places: list[list[int]]
    group: tp.dependency.Group

    @property
    def nodes(self) -> int:
        """How many there are."""
        return len(self.places)

    @property
    def layers(self) -> tuple[str, ...]:
        """The paths of the layers whose outputs the nodes are, the root first."""
        names = {module: name for name, module in self.group._DG.model.named_modules()}
        outgoing = [item.dep for item in self.group if self.group._DG.is_out_channel_pruning_fn(item.dep.handler)]
        found = [names[dep.target.module] for dep in outgoing if dep.target.module in names]
        return tuple(dict.fromkeys([self.root, *found]))

    def gathered(self, score: Callable[[str, nn.Module, bool], Tensor | None]) -> Tensor:
        """For each node the sum of its scores in every coupled layer: (nodes,), double.

        score    of a layer's path, the layer, and whether the nodes are its outputs: one number a channel, or None
        """
        names = {module: name for name, module in self.group._DG.model.named_modules()}
        device = next(p.device for p in self.group[0].dep.target.module.parameters())
        total = torch.zeros(len(self.group[0].idxs), dtype=torch.float64, device=device)
        for item in self.group:
            layer, outgoing = item.dep.target.module, self.group._DG.is_out_channel_pruning_fn(item.dep.handler)
            if not isinstance(layer, (nn.Linear, *CONVOLUTIONS)):
                continue
            if (per_node := score(names[layer], layer, outgoing)) is None:
                continue
            places = torch.tensor(item.idxs, device=device) % len(per_node)
            total.index_add_(0, torch.tensor(item.root_idxs, device=device), per_node[places].to(total))
        return torch.stack([total[places].sum() for places in self.places])

    def cut(self, nodes: list[int]) -> None:
        """Take these nodes out of every coupled layer, which notes what it still holds."""
        root, graph = self.group[0].dep, self.group._DG
        places = sorted(place for node in nodes for place in self.places[node])
        goes = graph.get_pruning_group(root.target.module, root.handler, places)
        gone: dict[nn.Module, set[int]] = {}
        for item in goes:
            layer = item.dep.target.module
            if graph.is_out_channel_pruning_fn(item.dep.handler) and isinstance(getattr(layer, "weight", None), Tensor):
                gone.setdefault(layer, set()).update(item.idxs)
        for layer, out in gone.items():
            note_nodes(layer, out, len(cast("Tensor", layer.weight)))
        goes.prune()


def _places(group: tp.dependency.Group) -> list[list[int]]:
    """The root's outputs, those together that only go together."""
    root, n = group[0].dep, len(group[0].idxs)
    if not any(isinstance(item.dep.target.module, ops._SplitOp) for item in group):
        return [[i] for i in range(n)]
    found: list[list[int]] = []
    for i in range(n):
        if not any(i in places for places in found):
            alone = group._DG.get_pruning_group(root.target.module, root.handler, [i])
            same = [item for item in alone if item.dep.target is root.target and item.dep.handler == root.handler]
            found.append(sorted({place for item in same for place in item.idxs}))
    return found


def axis_of(layer: nn.Module, outgoing: bool) -> int:
    """The axis of a layer's weight along which its channels lie: those that it gives, or those that it is given."""
    if isinstance(layer, nn.Linear):
        return 0 if outgoing else 1
    conv = cast("nn.Conv2d", layer)
    transposed = bool(conv.transposed)
    if not transposed and conv.groups == conv.in_channels and conv.groups > 1:  # depthwise: a channel is a row
        return 0
    return 0 if outgoing != transposed else 1


def coupled_groups(model: nn.Module, example: Inputs, protected: frozenset[str] = frozenset()) -> list[CoupledGroup]:
    """The groups of nodes that can be cut, the model's outputs, tied weights and attention heads left alone.

    The model's tensors are only read; `cut` replaces them. Raises RuntimeError with torch-pruning's reason where the
    model cannot be traced.

    example      a batch (n, ...)
    protected    paths of layers whose nodes stay
    """
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    try:
        with warnings.catch_warnings(), torch.enable_grad():
            warnings.simplefilter("ignore")
            graph = tp.DependencyGraph().build_dependency(
                model, example_inputs=example, output_transform=tensors_in, verbose=False
            )
            found = list(graph.get_all_groups(ignored_layers=_no_roots(model, protected)))
    except (AssertionError, AttributeError, TypeError, ValueError, KeyError, IndexError, ZeroDivisionError) as error:
        raise RuntimeError(str(error) or type(error).__name__) from error
    names = {module: name for name, module in model.named_modules()}
    alone = {id(module) for module in _left_alone(model)}
    kept = [g for g in found if not _touches(g, alone)]
    made = [CoupledGroup(names[g[0].dep.target.module], _places(g), g) for g in kept]
    return [group for group in made if group.nodes > 1]


def _no_roots(model: nn.Module, protected: frozenset[str]) -> list[nn.Module]:
    """Layers from which no group need be sought: some of those that stay would send torch-pruning round in circles."""
    return [*(model.get_submodule(p) for p in sorted(protected)), *_left_alone(model)]


def _left_alone(model: nn.Module) -> list[nn.Module]:
    """The modules that no cut may touch."""
    twice = tied(model)
    alone: list[nn.Module] = []
    for module in model.modules():
        if any(id(p) in twice for p in module.parameters(recurse=False)) or isinstance(
            module, nn.GroupNorm | nn.RNNBase
        ):
            alone.append(module)
        if isinstance(module, CONVOLUTIONS) and module.groups not in (1, module.in_channels):
            alone.append(module)
        if isinstance(module, nn.MultiheadAttention) or any(
            isinstance(getattr(module, name, None), int) for name in HEADS
        ):
            alone.extend((module, *module.children()))
    return alone


def why_not(model: nn.Module, path: str) -> str:
    """Why no nodes of the layer of that path are cut, as far as the layer shows it."""
    module, twice = model.get_submodule(path), tied(model)
    if any(id(p) in twice for p in module.parameters(recurse=False)):
        return "its weights are shared with another layer"
    if isinstance(module, nn.RNNBase):
        return "the nodes of a recurrent layer stay"
    if isinstance(module, nn.GroupNorm) or (isinstance(module, CONVOLUTIONS) and module.groups > 1):
        return "its nodes belong to groups that must keep their size"
    if module in _left_alone(model):
        return "attention heads stay whole"
    return "its nodes are the model's outputs, or are joined to nodes that cannot be cut"


def _touches(group: tp.dependency.Group, alone: set[int]) -> bool:
    """Whether the group holds a module that stays, the model's output, or a parameter that belongs to no layer."""
    for item in group:
        node = item.dep.target
        if id(node.module) in alone or isinstance(node.module, ops._OutputOp | nn.Parameter):
            return True
        if not node.outputs and group._DG.is_out_channel_pruning_fn(item.dep.handler):
            return True
    return False

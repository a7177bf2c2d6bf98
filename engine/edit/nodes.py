"""The nodes of single layers: which a layer gives, which it reads, which only pass through it; and taking some out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, cast

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from engine.edit.factors import turned
from engine.edit.origin import note_nodes
from engine.edit.scores import CONVOLUTIONS

Role: TypeAlias = Literal["gives", "reads", "passes"]
PLAIN = (nn.Linear, nn.Embedding, *CONVOLUTIONS)


def depthwise(layer: nn.Module) -> bool:
    """Whether each of its channels is made from the one channel of the same place."""
    if not isinstance(layer, CONVOLUTIONS) or layer.transposed:
        return False
    return layer.groups == layer.in_channels == layer.out_channels and layer.groups > 1


def mixes(layer: nn.Module) -> bool:
    """Whether each of its outputs is made from all of its inputs, by a weight that stands in it."""
    kind = type(layer)
    if kind.forward not in [plain.forward for plain in PLAIN] and not turned(layer):
        return False
    return not depthwise(layer) and getattr(layer, "groups", 1) == 1 and "weight" in layer._parameters


def passes(layer: nn.Module) -> bool:
    """Whether nodes go through it side by side, each, or each group of them, with numbers of its own."""
    if isinstance(layer, nn.PReLU):
        return layer.num_parameters > 1
    return isinstance(layer, _NormBase | nn.GroupNorm) or (depthwise(layer) and "weight" in layer._parameters)


def is_wall(layer: nn.Module) -> bool:
    """Whether it reads nodes that it cannot do without: recurrent, a convolution in groups, a weight made of others."""
    known = isinstance(layer, (nn.RNNBase, *PLAIN)) or turned(layer)
    return known and not mixes(layer) and not passes(layer)


def weight_axis(layer: nn.Module, role: Role) -> int:
    """The axis of a layer's weight along which its nodes lie."""
    if isinstance(layer, nn.Embedding):
        return 1
    if role == "passes" or depthwise(layer):
        return 0
    swapped = turned(layer) or bool(getattr(layer, "transposed", False))
    return 0 if (role == "gives") != swapped else 1


def node_axis(layer: nn.Module) -> int:
    """The axis of what goes in and out along which the nodes lie, from the end where the layer counts from there."""
    if isinstance(layer, CONVOLUTIONS):
        return -len(layer.kernel_size) - 1
    return 1 if passes(layer) else -1


def how_many(layer: nn.Module, role: Role) -> int:
    """How many nodes it gives, reads, or lets through."""
    if isinstance(layer, _NormBase):
        return int(layer.num_features)
    if isinstance(layer, nn.GroupNorm):
        return int(layer.num_channels)
    return cast("Tensor", layer.weight).shape[weight_axis(layer, role)]


def keep(layer: nn.Module, role: Role, stays: Tensor, share: Callable[[int], int]) -> None:
    """Leave only the nodes of these places in a layer, which then notes what it holds.

    stays    (n,), ascending
    share    of a number of groups of nodes, how many are left
    """
    n = how_many(layer, role)
    along_rows = ("bias", "running_mean", "running_var") if role != "reads" else ()
    _select(layer, "weight", stays, weight_axis(layer, role))
    for name in along_rows:
        _select(layer, name, stays, 0)
    for name in _counts(layer, role):
        setattr(layer, name, len(stays))
    if isinstance(layer, nn.GroupNorm):
        layer.num_groups = share(layer.num_groups)
    if role != "reads":
        left = set(stays.tolist())
        note_nodes(layer, (i for i in range(n) if i not in left), n)


def _select(layer: nn.Module, name: str, stays: Tensor, axis: int) -> None:
    tensor = getattr(layer, name, None)
    if not isinstance(tensor, Tensor):
        return
    chosen = tensor.detach().index_select(axis, stays.to(tensor.device))
    setattr(layer, name, nn.Parameter(chosen, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else chosen)


def _counts(layer: Any, role: Role) -> list[str]:
    """The attributes that say how many nodes there are."""
    names = {
        "gives": ("out_features", "out_channels", "embedding_dim", "nf"),
        "reads": ("in_features", "in_channels", "nx"),
        "passes": ("num_features", "num_channels", "in_channels", "out_channels", "groups", "num_parameters"),
    }[role]
    return [name for name in names if isinstance(vars(layer).get(name), int)]


def without_reading(layer: nn.Module, gone: Tensor) -> None:
    """Set to zero the weights by which a layer reads the nodes of these places."""
    weight = cast("nn.Parameter", layer.weight)
    silent = weight.detach().clone()
    silent.index_fill_(weight_axis(layer, "reads"), gone.to(weight.device), 0)
    layer.weight = nn.Parameter(silent, weight.requires_grad)


def at_places(axis: int, values: Tensor) -> Tensor:
    """Along an axis, whether there is a true value anywhere: (n,)."""
    place = axis % values.dim()
    others = [i for i in range(values.dim()) if i != place]
    return values.any(dim=others) if others else values

"""The numbers that a layer keeps about its own tensors, after those came in other widths."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from torch import nn

from engine.errors import InvalidInput, shown

Shape: TypeAlias = "tuple[int, ...]"
# Sets a layer's numbers by the shape of its weight, and says which shapes its tensors must then have.
Follow: TypeAlias = "Callable[[Any, Shape], dict[str, Shape]]"


def follow_widths(model: nn.Module, shapes: Mapping[str, Shape]) -> None:
    """Set the numbers of known layers by the shapes that their tensors are about to have.

    model     its layers are changed in place, its tensors are not
    shapes    by name, for each parameter and buffer of its state, of the ranks that those have now

    Raises InvalidInput where the shapes of one layer do not fit together, or it is one of torch's that must keep them.
    """
    for path, module in model.named_modules():
        tensors = {**module._parameters, **module._buffers}
        names = {leaf: f"{path}.{leaf}" if path else leaf for leaf in tensors}
        old = {leaf: tuple(t.shape) for leaf, t in tensors.items() if t is not None and names[leaf] in shapes}
        new = {leaf: shapes[names[leaf]] for leaf in old}
        if new == old:
            continue
        for leaf, must in _required(module, old, new).items():
            if new.get(leaf, must) != must:
                key = "{name} must be of shape {must} for this {kind}, got {got}: prune all tensors of a layer together"
                kind, got = type(module).__name__, shown(new[leaf])
                raise InvalidInput(key, name=shown(names[leaf]), must=shown(must), kind=kind[:60], got=got)


def _required(module: nn.Module, old: dict[str, Shape], new: dict[str, Shape]) -> dict[str, Shape]:
    follow = next((follow for kinds, follow in KNOWN if isinstance(module, kinds)), None)
    if follow is not None:
        weight = new.get("weight", new.get("running_mean"))  # a norm may have the one without the other
        return {} if weight is None else follow(module, weight)
    if type(module).__module__.startswith("torch.nn.modules") and not isinstance(module, LISTS):
        return old  # attention or a recurrent layer: the widths stand in more places than these
    return {}


def _linear(layer: nn.Linear, weight: Shape) -> dict[str, Shape]:
    layer.out_features, layer.in_features = weight
    return {"bias": weight[:1]}


def _convolution(layer: Any, weight: Shape) -> dict[str, Shape]:
    """A weight is (out, in / groups, ...), or transposed (in, out / groups, ...); depthwise, groups follow `in`."""
    depthwise = layer.groups == layer.in_channels > 1
    each = 1 if layer.transposed else layer.out_channels // layer.in_channels
    divisor = each if depthwise else layer.groups
    if weight[0] % divisor:
        key = "{kind} must have channels that {divisor} divides, got {got}: prune its groups alike"
        raise InvalidInput(key, kind=type(layer).__name__[:60], divisor=divisor, got=weight[0])
    if depthwise:
        layer.groups = weight[0] // each
    across = 1 if depthwise and not layer.transposed else weight[1]
    first, second = weight[0], across * layer.groups
    layer.in_channels, layer.out_channels = (first, second) if layer.transposed else (second, first)
    return {"weight": (weight[0], across, *layer.kernel_size), "bias": (layer.out_channels,)}


def _norm(layer: Any, weight: Shape) -> dict[str, Shape]:
    layer.num_features = weight[0]
    return dict.fromkeys(("weight", "bias", "running_mean", "running_var"), weight)


def _group_norm(layer: nn.GroupNorm, weight: Shape) -> dict[str, Shape]:
    if weight[0] % layer.num_groups:
        key = "GroupNorm must have channels that its {groups} groups divide, got {got}: prune its groups alike"
        raise InvalidInput(key, groups=layer.num_groups, got=weight[0])
    layer.num_channels = weight[0]
    return {"bias": weight}


def _layer_norm(layer: Any, weight: Shape) -> dict[str, Shape]:
    layer.normalized_shape = weight
    return {"bias": weight}


def _embedding(layer: Any, weight: Shape) -> dict[str, Shape]:
    layer.num_embeddings, layer.embedding_dim = weight
    if layer.padding_idx is not None and layer.padding_idx >= weight[0]:
        layer.padding_idx = None
    return {}


def _prelu(layer: nn.PReLU, weight: Shape) -> dict[str, Shape]:
    layer.num_parameters = weight[0]
    return {}


LISTS = (nn.ParameterList, nn.ParameterDict)
KNOWN: tuple[tuple[Any, Follow], ...] = (
    (nn.Linear, _linear),
    (nn.modules.conv._ConvNd, _convolution),
    (nn.modules.batchnorm._NormBase, _norm),
    (nn.GroupNorm, _group_norm),
    ((nn.LayerNorm, nn.RMSNorm), _layer_norm),
    ((nn.Embedding, nn.EmbeddingBag), _embedding),
    (nn.PReLU, _prelu),
)

"""One layer as two thin ones."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from engine.edit.origin import hand_on

PLAIN = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def matrix(weight: Tensor) -> Tensor:
    """A weight (m, ...) as a matrix m × n."""
    return weight.flatten(1)


def right_basis(weight: Tensor) -> Tensor:
    """The right singular vectors of a weight as a matrix m × n, by falling singular value: n × min(m, n)."""
    rows: Tensor = torch.linalg.svd(matrix(weight).double(), full_matrices=False).Vh
    return rows.T.to(weight.dtype)


def split_layer(model: nn.Module, path: str, layer: nn.Module, twice: set[int]) -> bool:
    """Whether a layer can become two: linear, or a convolution in one group, its weight not shared.

    A layer inside nn.MultiheadAttention cannot: its weight is read there without calling the layer.
    """
    if type(layer) is not nn.Linear and not (isinstance(layer, PLAIN) and layer.groups == 1):
        return False
    parent = model.get_submodule(path.rpartition(".")[0])
    return id(layer.weight) not in twice and not isinstance(parent, nn.MultiheadAttention)


def _weights(two: nn.Sequential) -> tuple[Tensor, Tensor]:
    return cast("tuple[Tensor, Tensor]", (two[0].weight, two[1].weight))


class FactoredLinear(nn.Sequential):
    """Linear(n, r) then Linear(r, m): the product of both matrices where one weight is asked for."""

    @property
    def weight(self) -> Tensor:
        """The product, m × n."""
        inner, outer = _weights(self)
        return outer @ inner

    @property
    def bias(self) -> Tensor | None:
        """The second layer's, (m,)."""
        return cast("Tensor | None", self[1].bias)


class FactoredConvolution(nn.Sequential):
    """A convolution to r channels, then one of size 1 to all of them."""

    @property
    def weight(self) -> Tensor:
        """The product, (m, channels, ...)."""
        inner, outer = _weights(self)
        return (outer.flatten(1) @ inner.flatten(1)).view(-1, *inner.shape[1:])

    @property
    def bias(self) -> Tensor | None:
        """The second layer's, (m,)."""
        return cast("Tensor | None", self[1].bias)


def factored(layer: nn.Module, basis: Tensor) -> nn.Module:
    """The layer with W replaced by (W·V)·Vᵀ, as two layers.

    basis    V, n × r, orthonormal columns
    """
    made = _factored(layer, cast("Tensor", layer.weight).detach(), basis)
    for part in made:
        cast("nn.Parameter", part.weight).requires_grad_(cast("nn.Parameter", layer.weight).requires_grad)
    hand_on(layer, made[-1])
    return made


def _factored(layer: nn.Module, weight: Tensor, basis: Tensor) -> nn.Sequential:
    outer = matrix(weight) @ basis  # m, r
    if isinstance(layer, nn.Linear):
        return _two(FactoredLinear, *_linears(layer, basis, outer), basis.T, outer, layer.bias)
    conv = cast("nn.Conv2d", layer)  # or Conv1d, Conv3d: the same arguments
    first, second = _convolutions(conv, basis.shape[1])
    outer = outer.view(cast("Tensor", second.weight).shape)
    shaped = basis.T.reshape(-1, *weight.shape[1:])  # r, channels, ...
    return _two(FactoredConvolution, first, second, shaped, outer, conv.bias)


def _linears(layer: nn.Linear, basis: Tensor, outer: Tensor) -> tuple[nn.Module, nn.Module]:
    n, r = basis.shape
    with torch.device("meta"):
        return nn.Linear(n, r, bias=False), nn.Linear(r, len(outer), bias=layer.bias is not None)


def _convolutions(conv: nn.Conv2d, rank: int) -> tuple[nn.Module, nn.Module]:
    kind: Any = type(conv)
    with torch.device("meta"):
        first = kind(
            conv.in_channels, rank, conv.kernel_size, stride=conv.stride, padding=conv.padding,
            dilation=conv.dilation, bias=False, padding_mode=conv.padding_mode,
        )  # fmt: skip
        return first, kind(rank, conv.out_channels, 1, bias=conv.bias is not None)


def _two(kind: type[nn.Sequential], first: nn.Module, second: nn.Module, *tensors: Tensor | None) -> nn.Sequential:
    inner, outer, bias = tensors
    first.weight = nn.Parameter(cast("Tensor", inner).contiguous())
    second.weight = nn.Parameter(cast("Tensor", outer).contiguous())
    if bias is not None:
        second.bias = bias  # the very parameter of the old layer
    return kind(first, second)

"""One layer as two thin ones."""

from __future__ import annotations

from math import prod
from typing import Any, cast

import torch
from torch import Tensor, nn

from engine.edit.origin import hand_on
from engine.edit.rows import PLAIN

SETTINGS = ("kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")  # which some nets read


def turned(layer: nn.Module) -> bool:
    """Whether it is transformers' linear layer whose weight is (inputs, outputs)."""
    return type(layer).__name__ == "Conv1D"


def matrix(weight: Tensor) -> Tensor:
    """A weight (m, ...) as a matrix m × n."""
    return weight.flatten(1)


def why_not_split(model: nn.Module, path: str, layer: nn.Module, twice: set[int]) -> str:
    """Why a layer cannot become two, or nothing: linear layers and convolutions in one group can.

    twice    the ids of parameters that stand in more than one place
    """
    kind = _kind(layer)
    if kind is None:
        return "it is no linear layer or convolution"
    if isinstance(layer, PLAIN) and layer.groups > 1:
        return "it is a convolution in several groups"
    weight = layer._parameters.get("weight")
    if weight is None or not weight.is_floating_point():
        return "its weight is made from others, or is no floating-point number"
    if id(weight) in twice:
        return "its weight is shared with another layer"
    if type(model.get_submodule(path.rpartition(".")[0])) is nn.MultiheadAttention:
        return "torch's attention reads its weight without calling it"
    return ""


def split_layers(model: nn.Module, twice: set[int]) -> dict[str, nn.Module]:
    """The layers that can become two, by path."""
    return {path: m for path, m in model.named_modules() if not why_not_split(model, path, m, twice)}


def _kind(layer: nn.Module) -> type[nn.Module] | None:
    """The class whose forward() it runs; None for another kind of layer, or where somebody wrote their own."""
    if type(layer) is nn.Linear or turned(layer):
        return type(layer)
    for kind in PLAIN:
        if isinstance(layer, kind) and type(layer).forward is kind.forward:
            return kind if type(layer)._conv_forward is kind._conv_forward else None
    return None


def as_matrix(layer: nn.Module, scheme: str = "kernel") -> Tensor:
    """The weight as the matrix M that is split in two: what the second layer gives by what the first one is given.

    A linear layer's weight itself, outputs × inputs. Of a convolution (outputs, channels, ...): "kernel" gives
    outputs × channels · kernel; "separable" gives outputs · second part × channels · first part of the kernel's axes.
    """
    weight = cast("Tensor", layer.weight).detach()
    if turned(layer):
        return weight.T
    first, second = _axes(weight.dim() - 2, scheme)
    apart = weight.permute(0, *(2 + axis for axis in second), 1, *(2 + axis for axis in first))
    return apart.reshape(weight.shape[0] * prod(weight.shape[2 + axis] for axis in second), -1)


def _axes(n: int, scheme: str) -> tuple[range, range]:
    """Which of n axes of a kernel the first layer takes, and which the second: half of them each, or the first all."""
    taken = max(n, 0) if scheme == "kernel" else max(n, 0) // 2
    return range(taken), range(taken, n)


def _weights(two: nn.Sequential) -> tuple[Tensor, Tensor]:
    return cast("tuple[Tensor, Tensor]", (two[0].weight, two[1].weight))


class Factored(nn.Sequential):
    """Two layers in the place of one.

    held    whether what the first one takes up was chosen for the model's outputs, so that a repair leaves it alone
    """

    held = False

    @property
    def bias(self) -> Tensor | None:
        """The second layer's, (m,)."""
        return cast("Tensor | None", self[1].bias)


class FactoredLinear(Factored):
    """Linear(n, r) then Linear(r, m): the product of both matrices where one weight is asked for."""

    @property
    def weight(self) -> Tensor:
        """The product, m × n."""
        inner, outer = _weights(self)
        return outer @ inner


class FactoredTurned(FactoredLinear):
    """The same in the place of a layer whose weight is (inputs, outputs)."""

    @property
    def weight(self) -> Tensor:
        """The product, n × m."""
        inner, outer = _weights(self)
        return (outer @ inner).T


class FactoredConvolution(Factored):
    """A convolution to r channels, then one of them to all: the first takes the whole kernel, or each some axes."""

    @property
    def weight(self) -> Tensor:
        """The product, (m, channels, ...)."""
        inner, outer = _weights(self)
        product = torch.einsum("mrs,rcf->mcfs", outer.flatten(2), inner.flatten(2))
        sides = (a * b for a, b in zip(inner.shape[2:], outer.shape[2:], strict=True))
        return product.reshape(len(outer), inner.shape[1], *sides)

    @property
    def separable(self) -> bool:
        """Whether the second one has a kernel, too."""
        return _weights(self)[1][0, 0].numel() > 1


def factored(
    layer: nn.Module, inner: Tensor, outer: Tensor, scheme: str = "kernel", bias: Tensor | None = None
) -> Factored:
    """The layer with M of `as_matrix` replaced by outer · inner, as two layers.

    inner    r × columns
    outer    rows × r
    bias     (m,), in the place of the layer's own
    """
    weight = cast("nn.Parameter", layer.weight)
    inner, outer = inner.to(weight.dtype), outer.to(weight.dtype)
    if isinstance(layer, PLAIN):
        first, second = _convolutions(cast("nn.Conv2d", layer), len(inner), scheme)  # or Conv1d, Conv3d, all the same
        outer = outer.unflatten(0, (layer.out_channels, -1)).transpose(1, 2)  # m, r, second part of the kernel
        kind: type[Factored] = FactoredConvolution
    else:
        first, second = _linears(layer, inner, outer)
        kind = FactoredTurned if turned(layer) else FactoredLinear
    for part, value in ((first, inner), (second, outer)):
        shaped = value.reshape(cast("Tensor", part.weight).shape).contiguous()
        part.weight = nn.Parameter(shaped, weight.requires_grad)
    if layer.bias is not None:
        own = cast("nn.Parameter", layer.bias)  # the very parameter of the old layer
        second.bias = own if bias is None else nn.Parameter(bias.to(own.dtype), own.requires_grad)
    made = kind(first, second)
    for name in SETTINGS:
        if hasattr(layer, name):
            setattr(made, name, getattr(layer, name))
    hand_on(layer, second)
    return made


def _linears(layer: nn.Module, inner: Tensor, outer: Tensor) -> tuple[nn.Module, nn.Module]:
    with torch.device("meta"):
        return (
            nn.Linear(inner.shape[1], len(inner), bias=False),
            nn.Linear(len(inner), len(outer), bias=layer.bias is not None),
        )


def _convolutions(conv: nn.Conv2d, rank: int, scheme: str) -> tuple[nn.Module, nn.Module]:
    kind: Any = _kind(conv)
    parts = _axes(len(conv.kernel_size), scheme)
    with torch.device("meta"):
        first = kind(conv.in_channels, rank, **_along(conv, parts[0]), bias=False)
        return first, kind(rank, conv.out_channels, **_along(conv, parts[1]), bias=conv.bias is not None)


def _along(conv: nn.Conv2d, axes: range) -> dict[str, Any]:
    """The settings of a convolution along these axes, with a kernel of 1 along the others."""
    n = len(conv.kernel_size)
    names = ("kernel_size", "stride", "dilation") + (() if isinstance(conv.padding, str) else ("padding",))
    settings: dict[str, Any] = {"padding": conv.padding} if isinstance(conv.padding, str) else {}
    for name in names:
        plain = 0 if name == "padding" else 1
        settings[name] = tuple(getattr(conv, name)[axis] if axis in axes else plain for axis in range(n))
    return {**settings, "padding_mode": conv.padding_mode if axes else "zeros"}

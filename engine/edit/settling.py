"""A solved layer and the normalisation after it, made fit for training without a change in what they give together."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from engine.edit.solvable import weight_of
from engine.edit.surgery import set_parameter


def lengths(layer: nn.Module) -> Tensor:
    """How long the row of weights of each output is: (outputs,), double."""
    return weight_of(layer).double().square().sum(2).sqrt().flatten()


def fit_statistics(norm: _BatchNorm, given: Tensor) -> None:
    """Put the mean and variance of what the normalisation is given into it, its slope and shift making up for that.

    Else a training, which goes by the statistics of each batch, would start from another function.

    given    (2, channels)
    """
    if norm.weight is None or norm.bias is None:
        return
    mean, variance = _statistics_of(norm)
    new_mean, new_variance = given.double()
    slope = norm.weight.detach().double() * (variance + norm.eps).rsqrt()
    set_parameter(norm, "bias", norm.bias.double() + slope * (new_mean - mean))
    set_parameter(norm, "weight", slope * (new_variance + norm.eps).sqrt())
    _put(norm, new_mean, new_variance)


def keep_lengths(layer: nn.Module, norm: _BatchNorm, before: Tensor) -> None:
    """Make each row of the layer's weight as long as it was; the statistics of the normalisation take up the scale.

    A step of Adam turns a long row less than a short one, and a solution for fewer inputs has longer rows.

    before    (outputs,)
    """
    mean, variance = _statistics_of(norm)
    ratio = lengths(layer) / before
    shrunk = (variance + norm.eps) / ratio.square() - norm.eps
    free = ratio.isfinite() & (ratio > 0) & (shrunk > 0)
    ratio = torch.where(free, ratio, 1.0)
    holder: Any = layer[1] if isinstance(layer, nn.Sequential) else layer
    weight = cast("Tensor", holder.weight).detach().double()
    set_parameter(holder, "weight", weight / ratio.view(-1, *[1] * (weight.dim() - 1)))
    if holder.bias is not None:
        set_parameter(holder, "bias", holder.bias.detach().double() / ratio)
    _put(norm, mean / ratio, torch.where(free, shrunk, variance))


def _statistics_of(norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    return cast("Tensor", norm.running_mean).double(), cast("Tensor", norm.running_var).double()


def _put(norm: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    old = cast("Tensor", norm.running_mean)
    norm.running_mean, norm.running_var = mean.to(old), variance.to(old)

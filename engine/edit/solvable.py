"""Layers whose weights can be solved for, each kind as the same few operations."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from engine.edit.factors import Factored, FactoredConvolution, FactoredTurned, turned
from engine.edit.rows import PLAIN, inputs_at, row_count, some_rows
from engine.edit.solve import Moments, intercept, reduced_rank, ridge_weight
from engine.edit.surgery import set_parameter, tied

ROWS_EACH = 8  # for each input of a layer
LEAST_ROWS, MOST_ROWS = 2_000, 16_384
HELD = 0.3  # the least ridge of two factors; tried from 0.001 to 3 on four of the sample models


def solvable(model: nn.Module) -> dict[str, nn.Module]:
    """The layers that can be solved, by path: linear, convolutions, and both in two factors."""
    twice = tied(model)
    found: dict[str, nn.Module] = {}
    for path, module in model.named_modules():
        if path.rpartition(".")[0] in found or why_not_solved(module, twice):
            continue
        found[path] = module
    return found


def why_not_solved(module: nn.Module, twice: set[int]) -> str:
    """Why a layer is not solved, or nothing.

    twice    the ids of parameters that stand in more than one place
    """
    held = [p for _, p in module.named_parameters()]
    if isinstance(module, Factored):
        kind = True
    else:
        kind = type(module) in (nn.Linear, *PLAIN) or turned(module)
    if not kind:
        return "it is no linear layer or convolution"
    if any(id(p) in twice for p in held):
        return "its weights are shared with another layer"
    parts = list(module) if isinstance(module, Factored) else [module]
    if not all(p.is_floating_point() for p in held) or not all("weight" in part._parameters for part in parts):
        return "its weight is made from others, or is no floating-point number"
    return ""


def inputs_of(layer: nn.Module, inputs: Tensor, rows: Tensor) -> Tensor:
    """What the weight is multiplied with: (rows, groups, inputs of a group), at least in single precision.

    Of a convolution in two factors that both have a kernel, the weight is the second one's.
    """
    if _second_alone(layer):
        layer, inputs = layer[1], layer[0].forward(inputs)  # type: ignore[index]
    given = inputs_at(layer[0] if isinstance(layer, Factored) else layer, inputs, rows)
    return given if given.dtype == torch.float64 else given.float()


def weight_of(layer: nn.Module) -> Tensor:
    """The weight as one matrix a group: (groups, outputs of a group, inputs of a group)."""
    weight = cast("Tensor", layer[1].weight if _second_alone(layer) else layer.weight).detach()  # type: ignore[index]
    if turned(layer) or isinstance(layer, FactoredTurned):
        return weight.T[None]
    groups = layer.groups if isinstance(layer, PLAIN) else 1
    return weight.reshape(groups, weight.shape[0] // groups, -1)


def some_rows_of(layer: nn.Module, outputs: Tensor, share: float, seed: int, real: Tensor | None = None) -> Tensor:
    """Which rows of a layer are enough to solve it: some for each of its inputs.

    share    of them that this batch is to give
    real     which places hold something, see `some_rows`
    """
    wanted = min(max(ROWS_EACH * weight_of(layer).shape[2], LEAST_ROWS), MOST_ROWS)
    return some_rows(row_count(layer, outputs), max(round(share * wanted), 1), seed, real)


def put_weight(layer: nn.Module, weight: Tensor) -> None:
    """Put a weight, as `weight_of` gives it, into a layer that is not of two factors."""
    shaped = weight[0].T if turned(layer) else weight.reshape(cast("Tensor", layer.weight).shape)
    set_parameter(layer, "weight", shaped)


def solve(
    layer: nn.Module, moments: Moments, ridge: float, steep: Tensor | None = None, whole: Tensor | None = None
) -> Tensor:
    """Put the solution into the layer. Gives what is left of the mean, (outputs,), where the layer has no bias.

    steep    how steeply a normalisation takes up each output, which then takes care of the mean, too: (outputs,)
    whole    of two factors, the weight that they stand for: (1, outputs, inputs)
    """
    holder = _holder(layer)
    centred = steep is not None or holder.bias is not None
    used = moments if centred else moments.uncentred()
    if isinstance(layer, Factored) and not _second_alone(layer):
        weight = _solve_factors(layer, used, ridge, torch.ones(outputs_of(layer)) if steep is None else steep, whole)
    else:
        weight = ridge_weight(used, ridge, weight_of(layer))
        put_weight(holder, weight)
    rest = intercept(used, weight).flatten()
    if holder.bias is not None and centred:
        set_parameter(holder, "bias", rest)
        return torch.zeros_like(rest)
    return rest


def outputs_of(layer: nn.Module) -> int:
    """How many nodes it gives."""
    groups, outputs, _ = weight_of(layer).shape
    return groups * outputs


def has_bias(layer: nn.Module) -> bool:
    """Whether it adds a constant to each output."""
    return _holder(layer).bias is not None


def _solve_factors(layer: Factored, moments: Moments, ridge: float, steep: Tensor, whole: Tensor | None) -> Tensor:
    """Both factors, so that what counts comes out best; the outer one alone where the inner one is held as it is, or
    one of them holds zeros, and then on its support.

    Both are found from the full weight, in a metric in which what hardly varies counts, too: the rows say little of it,
    so the full weight is held more strongly than a weight that is used as it is.
    """
    inner, outer = (cast("Tensor", part.weight).detach().flatten(1).double() for part in layer)
    if not layer.held and bool((inner != 0).all()) and bool((outer != 0).all()):
        start = outer @ inner if whole is None else whole[0]
        outer, inner = reduced_rank(moments, max(ridge, HELD), start, steep, outer.shape[1])
        set_parameter(layer[0], "weight", inner.reshape(cast("Tensor", layer[0].weight).shape))
    else:
        turn = inner.T[None]  # what reaches the outer factor: x·C^T
        reached = Moments(
            moments.rows, (moments.x_mean[:, None] @ turn)[:, 0], moments.y_mean,
            turn.transpose(1, 2) @ moments.xx @ turn, turn.transpose(1, 2) @ moments.xy,
        )  # fmt: skip
        outer = ridge_weight(reached, ridge, outer[None])[0]
    set_parameter(layer[1], "weight", outer.reshape(cast("Tensor", layer[1].weight).shape))
    return (outer @ inner)[None]


def _second_alone(layer: nn.Module) -> bool:
    """Whether a layer is two convolutions that both have a kernel: the second one is solved, on what the first gives.

    Together they are no reduced rank regression: what the second is given at one place is no linear map of one patch.
    """
    return isinstance(layer, FactoredConvolution) and layer.separable


def _holder(layer: nn.Module) -> Any:
    """The part that holds the outputs and their bias."""
    return layer[1] if isinstance(layer, Factored) else layer

"""How much a node matters, layer by layer: from weights, from what a layer is given, from gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from engine.copying import structural_copy
from engine.edit.attention import open_attention
from engine.edit.calibration import damped, input_moments
from engine.edit.factors import turned
from engine.edit.groups import Score
from engine.edit.nodes import weight_axis
from engine.edit.surgery import own_parameters
from engine.examples import batches_of, count, placed, run, take
from engine.method import Context

BATCH = 32  # examples whose gradients count as one for Fisher's information
RIDGE = 0.1


def squares() -> Score:
    """Σ w² over all weights of a channel."""
    return lambda path, layer, outgoing: _channels(layer, _weight(layer).square(), outgoing)


def activations(model: nn.Module, context: Context, examples: int) -> Score:
    """E[x²] of what the layers that read a node are given."""
    moments = input_moments(model, context, examples)

    def score(path: str, layer: nn.Module, outgoing: bool) -> Tensor | None:
        if outgoing or path not in moments:
            return None
        return _per_input(layer, moments[path].diagonal(dim1=1, dim2=2))

    return score


def reconstruction(model: nn.Module, context: Context, examples: int) -> Score:
    """Σ_i w_ij² / [A^(−1)]_jj: what the outputs of the layers that read a node lose without it, once their other
    weights have made up for it as well as they can.

    Source: Hassibi and Stork, Optimal brain surgeon, NIPS 1992.
    """
    moments = input_moments(model, context, examples)

    def score(path: str, layer: nn.Module, outgoing: bool) -> Tensor | None:
        if outgoing or path not in moments:
            return None
        inverse: Tensor = torch.linalg.inv(damped(moments[path], RIDGE)).diagonal(dim1=1, dim2=2)  # groups, inputs
        weight = _weight(layer).T if turned(layer) else _weight(layer).flatten(1)  # outputs, inputs
        groups = len(inverse)
        energy = weight.square().unflatten(0, (groups, -1)).sum(1)
        return _per_input(layer, energy / inverse)

    return score


def gradients(model: nn.Module, context: Context, examples: int, squared: bool) -> Score:
    """Σ w·∂L/∂w of a channel, L the loss over the examples: what the loss would lose without it, to first order; or,
    `squared`, Σ w²·E[(∂L/∂w)²]: to second order, by Fisher's information.

    Source: Molchanov et al., Importance estimation for neural network pruning, arXiv 1906.10771; Theis et al., Faster
    gaze prediction, arXiv 1801.05787; LeCun et al., Optimal brain damage, NIPS 1989.
    """
    terms = _terms(model, context, examples, squared)

    def score(path: str, layer: nn.Module, outgoing: bool) -> Tensor | None:
        term = terms.get(f"{path}.weight")
        return None if term is None else _channels(layer, term, outgoing)

    return score


@torch.enable_grad()
def _terms(model: nn.Module, context: Context, examples: int, squared: bool) -> Mapping[str, Tensor]:
    """w·g or w²·g² of every weight, by name, added up over batches of examples."""
    copied = own_parameters(open_attention(structural_copy(model))).eval()
    for parameter in copied.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    order = torch.randperm(count(context.train[1]), generator=torch.Generator().manual_seed(context.seed))[:examples]
    part = take(context.train[0], order), take(context.train[1], order)
    found: dict[str, Tensor] = {}
    for inputs, targets in batches_of(part, BATCH):
        context.channel.check()
        outputs = run(copied, placed(inputs, context.device))
        loss = context.task.loss(outputs, placed(targets, context.device))
        loss.backward()
        for name, parameter in copied.named_parameters():
            if parameter.grad is not None:
                term = parameter.detach().double() * parameter.grad.double()
                found[name] = found.get(name, torch.zeros_like(term)) + (term.square() if squared else term)
                parameter.grad = None
    return found


def _weight(layer: nn.Module) -> Tensor:
    return cast("Tensor", layer.weight).detach().double()


def _channels(layer: nn.Module, terms: Tensor, outgoing: bool) -> Tensor:
    axis = weight_axis(layer, "gives" if outgoing else "reads")
    return terms.transpose(0, axis).flatten(1).sum(1)


def _per_input(layer: nn.Module, values: Tensor) -> Tensor:
    """Of values for each input (groups, inputs), the sums over a channel's place in the kernel: (channels,)."""
    kernel: Any = getattr(layer, "kernel_size", ())
    places = int(torch.tensor(kernel).prod()) if kernel else 1
    by_channel: Tensor = values.flatten().unflatten(0, (-1, places))
    return by_channel.sum(1)

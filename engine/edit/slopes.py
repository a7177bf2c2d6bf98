"""How steeply a model's outputs hang on what each of its layers gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from engine.copying import structural_copy
from engine.edit.rows import PLAIN
from engine.edit.surgery import own_parameters
from engine.examples import batches_of, count, main_tensor, run
from engine.method import Context

AT_ONCE = 128  # examples


@torch.enable_grad()
def output_slopes(model: nn.Module, context: Context, examples: int, paths: Iterable[str]) -> dict[str, Tensor]:
    """H = E[Σ J^T J] of each of these layers, J the Jacobian of the model's outputs by what the layer gives at one
    place, the sum over places: (outputs, outputs), double, by path.

    By one vector v ~ N(0, 1) an example, for E[(J^T v)(J^T v)^T] = J^T J: one pass back, whatever the model gives.
    A layer that the outputs do not hang on, as far as derivatives go, is left out.

    examples    training examples, drawn by the seed
    Source: Martens and Grosse, Kronecker-factored approximate curvature, arXiv 1503.05671.
    """
    copied = own_parameters(structural_copy(model)).eval()
    found: dict[str, Tensor] = {}
    for path in paths:
        layer = copied.get_submodule(path)
        layer.weight.requires_grad_()
        layer.register_forward_hook(_listening(path, layer, found))
    inputs = context.examples(examples)
    dice = torch.Generator().manual_seed(context.seed)
    for batch, _ in batches_of((inputs, inputs), AT_ONCE):
        context.channel.check()
        outputs = main_tensor(run(copied, batch))
        towards = torch.randn(outputs.shape, generator=dice).to(outputs)
        if outputs.requires_grad:
            (outputs * towards).sum().backward()
    return {path: total / count(inputs) for path, total in found.items()}


def _listening(path: str, layer: nn.Module, found: dict[str, Tensor]) -> Callable[..., None]:
    def add(slope: Tensor) -> None:
        rows = slope.movedim(1 if isinstance(layer, PLAIN) else -1, -1)
        flat = rows.reshape(-1, rows.shape[-1])
        product = (flat.T @ flat).double()
        found[path] = found[path] + product if path in found else product

    def hook(module: nn.Module, args: object, outputs: Tensor) -> None:
        if outputs.requires_grad:
            outputs.register_hook(add)

    return hook

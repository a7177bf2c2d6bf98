"""Finding the layers of a model that can be taken out: those whose input and output shapes agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from engine.examples import Inputs, run

CONTAINERS = (nn.Sequential, nn.ModuleList)


@dataclass
class _Seen:
    """What one forward pass showed of a module."""

    calls: int = 0
    same: bool = False


@dataclass(frozen=True)
class Block:
    """A layer that can be taken out: its path in the model."""

    path: str
    convolutional: bool = field(compare=False, default=False)


@torch.no_grad()
def find_blocks(model: nn.Module, example: Inputs) -> list[Block]:
    """The outermost layers, in the order in which they run, that hold weights, run once, and give a tensor of the
    shape that they got.

    A container is looked into where it holds two or more such layers; a layer that holds no list of others stands
    for itself, so a residual block is one layer and not the convolutions in it.

    example    a batch (n, ...)
    """
    seen: dict[nn.Module, _Seen] = {module: _Seen() for module in model.modules()}
    order: list[nn.Module] = []

    def note(module: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        facts = seen[module]
        facts.calls += 1
        given = inputs[0] if inputs else None
        facts.same = isinstance(given, Tensor) and isinstance(output, Tensor) and given.shape == output.shape
        order.append(module)

    hooked(model, note, lambda: run(model, example))
    names = {module: name for name, module in model.named_modules()}

    def fits(module: nn.Module) -> bool:
        facts = seen[module]
        return facts.same and facts.calls == 1 and any(p.dim() >= 2 for p in module.parameters())

    found = _collect(model, fits)
    place = {module: i for i, module in enumerate(order)}
    found.sort(key=lambda module: place[module])
    return [Block(names[m], any(isinstance(c, nn.Conv1d | nn.Conv2d | nn.Conv3d) for c in m.modules())) for m in found]


def _collect(module: nn.Module, fits: Callable[[nn.Module], bool]) -> list[nn.Module]:
    found: list[nn.Module] = []
    for child in module.children():
        inner = _collect(child, fits)
        lists = any(isinstance(part, nn.ModuleList) for part in child.modules())
        opens = isinstance(child, CONTAINERS) or lists or not fits(child)
        found += inner if opens and (len(inner) > 1 or not fits(child)) else [child]
    return found


def hooked(
    model: nn.Module, note: Callable[[nn.Module, tuple[object, ...], object], None], act: Callable[[], object]
) -> None:
    """Run something with `note(module, inputs, output)` called after each module."""
    handles = [module.register_forward_hook(note) for module in model.modules()]
    try:
        act()
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def around(model: nn.Module, paths: list[str], inputs: Inputs, visit: Callable[[str, Tensor, Tensor], None]) -> None:
    """Run the model and call `visit(path, input, output)` for each of the modules named.

    inputs    (n, ...)
    """
    handles = [
        model.get_submodule(path).register_forward_hook(
            lambda _, given, output, path=path: visit(path, given[0], output)
        )
        for path in paths
    ]
    try:
        run(model, inputs)
    finally:
        for handle in handles:
            handle.remove()

"""One forward pass in which every layer is visited as it runs, and every sum that a layer's output goes into."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._python_dispatch import _pop_mode_temporarily
from torch.utils._pytree import tree_leaves

from engine.examples import Inputs, run
from engine.metrics.watching import Watching

SUMS = (torch.ops.aten.add.Tensor, torch.ops.aten.add_.Tensor)
Hook = Callable[..., None]


@dataclass(frozen=True)
class Output:
    """What a layer gave, on its way to whatever reads it.

    norms     the normalisations with fixed statistics that it went through
    tensor    what they made of it
    place     how many outputs there were before
    """

    path: str
    norms: tuple[_BatchNorm, ...]
    tensor: Tensor
    place: int


class Visitor:
    """Who walks along: told of each thing before it happens. An output may be written into."""

    def layer(self, path: str, inputs: Tensor) -> None:
        """A layer is about to run."""

    def ran(self, path: str, outputs: Tensor) -> None:
        """A layer has run."""

    def norm(self, path: str, norm: _BatchNorm, inputs: Tensor, of: str) -> None:
        """A normalisation is about to run: straight on the output of the layer `of`, where that is not empty."""

    def added(self, output: Output, other: Tensor) -> None:
        """An output that nothing else has read is about to be added to something of its shape."""

    def total(self, output: Output, total: Tensor) -> None:
        """What the sum came to."""

    def read(self, output: Output) -> None:
        """Something else is about to read an output."""

    def reread(self, path: str) -> None:
        """Something reads a layer's output beside the normalisation that it went through."""


class Walk(Watching):
    """A pass through a model in eval mode. Normalisation with fixed statistics, identity and dropout hand a layer's
    output on as its own; every other operator reads it.

    layers    by path: those that are visited
    """

    def __init__(self, model: nn.Module, layers: Mapping[str, nn.Module], visitor: Visitor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.model, self.layers, self.visitor = model, layers, visitor
        self._outputs: dict[int, Output] = {}
        self._normed: dict[int, tuple[weakref.ref[Tensor], str]] = {}  # outputs that went through a normalisation
        self._places, self._aside = 0, 0

    def over(self, inputs: Inputs) -> None:
        """Go through once. inputs: (n, ...)."""
        fast = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)  # it would go past the layers
        handles = list(self._hooks())
        try:
            with torch.no_grad(), self:
                run(self.model, inputs)
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)
            for handle in handles:
                handle.remove()

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if self._aside:
            return func(*args, **kwargs)
        leaves = tree_leaves((args, kwargs))
        for x in leaves:
            if id(x) in self._normed and self._normed[id(x)][0]() is x:
                self.visitor.reread(self._normed[id(x)][1])
        met = [self._outputs[id(x)] for x in leaves if id(x) in self._outputs]
        if not met:
            return func(*args, **kwargs)
        last = max(met, key=lambda output: output.place)
        summed = func in SUMS and not kwargs and len(args) == 2 and _alike(*args)
        with self._stepped_aside():
            for output in met:
                self._outputs.pop(id(output.tensor), None)
                if output is not last or not summed:
                    self.visitor.read(output)
            if summed:
                self.visitor.added(last, args[1] if args[0] is last.tensor else args[0])
            result = func(*args, **kwargs)
            if summed:
                self.visitor.total(last, result)
        return result

    def _hooks(self) -> Iterator[Any]:
        for path, layer in self.layers.items():
            yield layer.register_forward_pre_hook(self._before(path), with_kwargs=True)
            yield layer.register_forward_hook(self._after(path))
        for path, module in self.model.named_modules():
            if isinstance(module, _BatchNorm | nn.Identity | nn.Dropout):
                yield module.register_forward_pre_hook(self._enter(path))
                yield module.register_forward_hook(self._leave())

    def _before(self, path: str) -> Hook:
        def hook(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            given = args[0] if args else next(iter(kwargs.values()))
            with self._out_of_the_way():
                if (output := self._outputs.pop(id(given), None)) is not None:
                    self.visitor.read(output)
                self.visitor.layer(path, given)

        return hook

    def _after(self, path: str) -> Hook:
        def hook(layer: nn.Module, args: object, outputs: Tensor) -> None:
            with self._out_of_the_way():
                self.visitor.ran(path, outputs)
            self._outputs[id(outputs)] = Output(path, (), outputs, self._places)
            self._places += 1

        return hook

    def _enter(self, path: str) -> Hook:
        def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
            output = self._outputs.get(id(args[0])) if args else None
            if output is not None and isinstance(module, _BatchNorm) and module.running_mean is None:
                output = None  # its statistics are the batch's: no fixed line from input to output
            if isinstance(module, _BatchNorm):
                with self._out_of_the_way():
                    self.visitor.norm(
                        path, module, args[0], output.path if output is not None and not output.norms else ""
                    )
            if output is not None:
                self._aside += 1

        return hook

    def _leave(self) -> Hook:
        def hook(module: nn.Module, args: tuple[Any, ...], result: Tensor) -> None:
            output = self._outputs.pop(id(args[0]), None) if self._aside else None
            if output is not None:
                self._aside -= 1
                if isinstance(module, _BatchNorm) and not output.norms:
                    self._normed[id(args[0])] = weakref.ref(args[0]), output.path
                norms = (*output.norms, module) if isinstance(module, _BatchNorm) else output.norms
                self._outputs[id(result)] = Output(output.path, norms, result, output.place)

        return hook

    @contextmanager
    def _stepped_aside(self) -> Iterator[None]:
        """What the visitor does is no part of the walk."""
        self._aside += 1
        try:
            yield
        finally:
            self._aside -= 1

    @contextmanager
    def _out_of_the_way(self) -> Iterator[None]:
        """The same in a hook, where this mode would see every operator of a solve: a third of what that takes."""
        with self._stepped_aside(), _pop_mode_temporarily():
            yield


def _alike(a: object, b: object) -> bool:
    return isinstance(a, Tensor) and isinstance(b, Tensor) and a.shape == b.shape

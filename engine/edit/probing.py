"""What reads a layer's nodes, found by trying: nodes that are made not-a-number show up wherever they go."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from engine.edit.attention import slowly
from engine.edit.nodes import at_places, how_many, is_wall, mixes, node_axis, passes
from engine.examples import Inputs, answer_of, run

Places = Mapping[nn.Module, Tensor]  # module -> which of its nodes, as True and False


@dataclass
class Spread:
    """Where nodes went.

    read     for each layer that reads any of them, which of its inputs they are in: (inputs,)
    passed   the same for each layer that they pass through: (nodes,)
    left     whether the model's output holds any
    """

    read: dict[nn.Module, Tensor] = field(default_factory=dict)
    passed: dict[nn.Module, Tensor] = field(default_factory=dict)
    left: bool = False

    def note(self, layer: nn.Module, places: Tensor) -> None:
        """Some nodes came to a layer."""
        found = self.passed if passes(layer) else self.read
        found[layer] = found[layer] | places if layer in found else places

    @property
    def met(self) -> dict[nn.Module, Tensor]:
        """Both together."""
        return self.read | self.passed


class Probe:
    """A model, with what its layers are given for one example.

    A layer that mixes its inputs is given what it was given in a run without marks, so that marks end where they are
    read: a node is followed as far as the first weights that mix it with others.

    runs    how often each layer runs in a pass
    """

    def __init__(self, model: nn.Module, example: Inputs) -> None:
        self.model, self.example = model, example
        self.layers = [m for m in model.modules() if mixes(m) or passes(m) or is_wall(m)]
        self.runs: dict[nn.Module, int] = {}
        self._clean: dict[nn.Module, list[Tensor]] = {}
        with self._hooks(self._record, None):
            run(model, example)

    @torch.no_grad()
    def spread(self, marked: Places) -> Spread:
        """Where these nodes go.

        marked    layer -> (nodes,), True where it is to be followed
        """
        found = Spread()
        turn: dict[nn.Module, int] = {}

        def arrives(layer: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
            if not given or not isinstance(given[0], Tensor) or not given[0].is_floating_point():
                return None
            places = at_places(node_axis(layer), given[0].isnan()).cpu()
            if bool(places.any()):
                found.note(layer, places)
            if passes(layer):
                return None
            turn[layer] = turn.get(layer, -1) + 1
            clean = self._clean.get(layer, [])[turn[layer] : turn[layer] + 1]
            return (*clean, *given[1:]) if clean and clean[0].shape == given[0].shape else None

        def leaves(layer: nn.Module, given: object, output: Tensor) -> Tensor | None:
            if layer not in marked:
                return None
            shape = [1] * output.dim()
            shape[node_axis(layer)] = -1
            return output.masked_fill(marked[layer].to(output.device).view(shape), math.nan)

        with self._hooks(arrives, leaves):
            outputs = run(self.model, self.example)
        floats = [tensor for tensor in answer_of(outputs) if tensor.is_floating_point()]
        found.left = any(bool(tensor.isnan().any()) for tensor in floats)
        return found

    def marks(self, layer: nn.Module, nodes: Tensor | slice = slice(None)) -> Tensor:
        """Some of a layer's nodes as True and False."""
        marks = torch.zeros(how_many(layer, "gives"), dtype=torch.bool)
        marks[nodes] = True
        return marks

    def _record(self, layer: nn.Module, given: tuple[Any, ...]) -> None:
        self.runs[layer] = self.runs.get(layer, 0) + 1
        if not passes(layer) and given and isinstance(given[0], Tensor):
            self._clean.setdefault(layer, []).append(given[0].detach().clone())

    @contextmanager
    def _hooks(self, before: Any, after: Any) -> Iterator[None]:
        handles = [layer.register_forward_pre_hook(before) for layer in self.layers]
        if after is not None:
            handles += [layer.register_forward_hook(after) for layer in self.layers]
        try:
            # the fast kernel of attention forgets some marks
            with torch.no_grad(), slowly(), sdpa_kernel(SDPBackend.MATH):
                yield
        finally:
            for handle in handles:
                handle.remove()

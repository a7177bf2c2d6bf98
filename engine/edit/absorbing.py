"""Pairs of layers with nothing between them, and fewer nodes there after a rotation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, nn

from engine.copying import structural_copy
from engine.edit.calibration import Given
from engine.edit.factors import as_matrix, split_layers, turned
from engine.edit.origin import note_mixed
from engine.edit.ranks import rank_of
from engine.edit.rows import PLAIN
from engine.edit.spectra import falling
from engine.edit.surgery import set_parameter, tied
from engine.edit.walk import Output, Visitor, Walk
from engine.examples import main_tensor, run
from engine.method import Context

TRIED_ON = 8  # examples
SAME = 1e-4  # of the outputs' size: rounding in single precision is a hundredth of it


@dataclass
class _Pairs(Visitor):
    """Notes which layer reads the very output of which."""

    found: list[tuple[str, str]] = field(default_factory=list)
    runs: dict[str, int] = field(default_factory=dict)
    _read: Output | None = None

    def read(self, output: Output) -> None:
        self._read = output

    def layer(self, path: str, inputs: Tensor) -> None:
        self.runs[path] = self.runs.get(path, 0) + 1
        if self._read is not None and self._read.tensor is inputs and not self._read.norms:
            self.found.append((self._read.path, path))
        self._read = None


@torch.no_grad()
def direct_pairs(model: nn.Module, context: Context) -> list[tuple[str, str]]:
    """(first, second) paths of layers where the second alone reads what the first gives, so that these nodes can be
    mixed in any way: the first gives Q^T·y, the second is given W·Q.

    Each pair is tried before it is trusted: with a rotation Q drawn by the seed the model must give what it gave.
    """
    layers = split_layers(model, tied(model))
    seen = _Pairs()
    inputs = context.examples(TRIED_ON)
    Walk(model, layers, seen).over(inputs)
    wanted = main_tensor(run(model, inputs))
    pairs = []
    for first, second in dict.fromkeys(seen.found):
        if (seen.runs[first], seen.runs[second]) != (1, 1) or not _meet(layers[first], layers[second]):
            continue
        context.channel.check()
        rotated, n = structural_copy(model), len(as_matrix(layers[first]))
        dice = torch.Generator().manual_seed(context.seed)
        mixed: Tensor = torch.linalg.qr(torch.randn(n, n, generator=dice, dtype=torch.float64)).Q
        rotate(rotated.get_submodule(first), rotated.get_submodule(second), mixed.to(wanted.device))
        got = main_tensor(run(rotated, inputs))
        if got.shape == wanted.shape and float((got - wanted).norm()) <= SAME * float(wanted.norm()):
            pairs.append((first, second))
    return pairs


def _meet(first: nn.Module, second: nn.Module) -> bool:
    """Whether the nodes that one gives are those that the other tells apart: along the same axis."""
    return isinstance(first, PLAIN) == isinstance(second, PLAIN)


def absorb(model: nn.Module, pairs: list[tuple[str, str]], given: Mapping[str, Given], share: float) -> set[str]:
    """Slice the nodes between each pair to that share of them, along their principal axes; the model is the caller's.

    given    of each second layer, before anything was cut

    Gives the paths of the layers that read fewer nodes now.
    """
    done = set()
    for first, second in pairs:
        layer, reader = model.get_submodule(first), model.get_submodule(second)
        n = len(as_matrix(layer))
        kept = rank_of(share, (n, n))
        if second not in given or kept == n:
            continue
        mean, moment = _of_nodes(given[second], n)
        flat = reader.bias is not None and given[second].mean.shape[1] == n  # with a kernel there are zeros around
        _, axes = falling(moment - torch.outer(mean, mean) if flat else moment)
        if flat:
            rest = as_matrix(reader).double() @ (mean - axes[:, :kept] @ (axes[:, :kept].T @ mean))
            set_parameter(reader, "bias", cast("Tensor", reader.bias) + rest)
        rotate(layer, reader, axes[:, :kept])
        note_mixed(layer, n, kept)
        done.add(second)
    return done


def rotate(first: nn.Module, second: nn.Module, axes: Tensor) -> None:
    """The first gives Q^T·y in the place of y, the second reads it as W·Q. axes: Q, (nodes, kept), double."""
    shape, kept = cast("Tensor", second.weight).shape, axes.shape[1]
    _put(first, axes.T @ as_matrix(first).double(), cast("Tensor", first.weight).shape[1:])
    if first.bias is not None:
        set_parameter(first, "bias", axes.T @ cast("Tensor", first.bias).double())
    read = torch.einsum("mnk,nr->mrk", as_matrix(second).double().unflatten(1, (len(axes), -1)), axes)
    _put(second, read.flatten(1), (kept, *shape[2:]))
    for layer, names in (
        (first, ("out_features", "out_channels", "nf")),
        (second, ("in_features", "in_channels", "nx")),
    ):
        for name in names:
            if hasattr(layer, name):
                setattr(layer, name, kept)


def _put(layer: nn.Module, weight: Tensor, rest: Sequence[int]) -> None:
    """weight: (outputs, ...), to be put as (outputs, *rest), or turned."""
    set_parameter(layer, "weight", weight.T if turned(layer) else weight.reshape(len(weight), *rest))


def _of_nodes(given: Given, n: int) -> tuple[Tensor, Tensor]:
    """Mean and second moment of the nodes, taken together over the places of the kernel: (n,) and (n, n)."""
    places = given.mean.shape[1] // n
    mean = given.mean[0].view(n, places).mean(1)
    return mean, torch.einsum("ajbj->ab", given.moment[0].view(n, places, n, places)) / places

"""Every layer of a variant solved for what the original gave at the same place, in one walk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from engine.edit.origin import nodes_of, place_of
from engine.edit.rows import outputs_at
from engine.edit.settling import fit_statistics, keep_lengths, lengths
from engine.edit.solvable import has_bias, inputs_of, solve, some_rows_of, weight_of
from engine.edit.solve import Moments
from engine.edit.walk import Output, Visitor

FLAT = 1e-4  # a normalisation's slope, beside its steepest: a flatter one says nothing of what came in


@dataclass
class Wanted(Visitor):
    """What the original gives for a batch of examples, in the rows that are looked at.

    share      of all rows that this batch is to give
    real       which places of the examples hold something, where some do not: (n, length)
    outputs    of each layer that runs once: (rows, outputs)
    totals     what a sum came to, for each layer whose output nothing else reads than this sum
    norms      mean and variance of what a normalisation is given: (2, channels)
    normed     how steeply the normalisation straight after a layer takes up each of its outputs
    """

    layers: Mapping[str, nn.Module]
    share: float
    seed: int
    real: Tensor | None = None
    rows: dict[str, Tensor] = field(default_factory=dict)
    outputs: dict[str, Tensor] = field(default_factory=dict)
    totals: dict[str, Tensor] = field(default_factory=dict)
    norms: dict[str, Tensor] = field(default_factory=dict)
    normed: dict[str, Tensor] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """How large it is."""
        held = (*self.outputs.values(), *self.totals.values(), *self.rows.values())
        return sum(tensor.nbytes for tensor in held)

    def ran(self, path: str, outputs: Tensor) -> None:
        """Note what a layer gave; one that runs more than once is left alone."""
        layer = self.layers[path]
        if path in self.rows:
            self.outputs.pop(path, None)
            return
        self.rows[path] = some_rows_of(layer, outputs, self.share, self.seed, self.real)
        self.outputs[path] = outputs_at(layer, outputs, self.rows[path])

    def norm(self, path: str, norm: _BatchNorm, inputs: Tensor, of: str) -> None:
        """Note the statistics of what comes in."""
        self.norms[path] = _statistics(inputs)
        if of and norm.running_var is not None:
            self.normed[of] = _slope(norm, norm.running_var).abs()

    def total(self, output: Output, total: Tensor) -> None:
        """Note what a sum came to."""
        self.totals[output.path] = outputs_at(self.layers[output.path], total, self.rows[output.path])


@dataclass
class Repair(Visitor):
    """Goes through a variant that it owns and solves each layer as its input arrives, so that what comes later is
    given what the repaired layers give. It may go several times, each time with other examples: what it saw adds up.

    A layer whose output goes into a sum waits for the sum: it is solved for what is missing there, so that it also
    makes up for what was lost on the other side.

    layers    by path in the variant: those that are solved
    sums      whether a layer makes up for the other side of a sum, else it is solved for its own output alone
    wanted    of the same examples, by path in the original
    """

    model: nn.Module
    layers: Mapping[str, nn.Module]
    ridge: float
    sums: bool
    wanted: Wanted
    _moments: dict[str, Moments] = field(default_factory=dict)
    _bases: dict[_BatchNorm, Tensor] = field(default_factory=dict)  # mean and variance before
    _changes: dict[str, list[Tensor]] = field(default_factory=dict)
    _waiting: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    _lengths: dict[str, Tensor] = field(default_factory=dict)  # of the rows of each layer, before
    _after: dict[str, set[str]] = field(default_factory=dict)  # of each normalisation, the layers straight before
    _was: dict[str, Tensor] = field(default_factory=dict)  # what those that wait gave in the original: mean, variance
    _given: dict[str, list[Tensor]] = field(default_factory=dict)  # and what they give now beside it
    _reread: set[str] = field(default_factory=set)

    def settle(self) -> None:
        """Once all is solved: normalisation fits what it is given, and weights are as long as they were."""
        for place, (path, *more) in self._after.items():
            norm = cast("_BatchNorm", self.model.get_submodule(place))
            if more or path not in self._lengths or norm.running_mean is None:
                continue
            if path in self._given:
                fit_statistics(norm, _moved(self._base(norm), torch.stack(self._given[path]).mean(0)))
            if path not in self._reread:
                keep_lengths(self.layers[path], norm, self._lengths[path])

    def reread(self, path: str) -> None:
        """Its output must stay what it is, for something beside the normalisation reads it."""
        self._reread.add(path)

    def layer(self, path: str, inputs: Tensor) -> None:
        """Solve the layer, or keep what it is given until its sum."""
        place, layer = self._place(path), self.layers[path]
        if place not in self.wanted.outputs:
            return
        given = inputs_of(layer, inputs, self.wanted.rows[place])
        if self.sums and place in self.wanted.totals:
            self._waiting[path] = given, inputs
        else:
            self._solve(path, given, self._own(path))

    def norm(self, path: str, norm: _BatchNorm, inputs: Tensor, of: str) -> None:
        """Re-estimate its statistics: as they were, moved as far as what comes in has moved from the original's.

        So the choice of examples does not matter where nothing has changed.
        """
        self._after.setdefault(path, set()).add(of)
        if norm.running_mean is None:
            return
        base, before = self._base(norm), self.wanted.norms.get(self._place(path))
        before = base if before is None else _held(norm, before)
        if of in self._waiting:
            self._was[of] = before
            return
        seen = _statistics(inputs)
        if before.shape != seen.shape:
            return
        pairs = self._changes.setdefault(path, [])
        pairs.append(torch.stack((before.to(seen), seen)))
        changes = torch.stack(pairs).mean(0)
        if not torch.equal(*changes):
            norm.running_mean, norm.running_var = _moved(base, changes)

    def added(self, output: Output, other: Tensor) -> None:
        """Solve the layer for what the sum lacks, and put what it gives now where its old output is."""
        if output.path not in self._waiting:
            return
        given, inputs = self._waiting.pop(output.path)
        layer, place = self.layers[output.path], self._place(output.path)
        lacking = _held(layer, self.wanted.totals[place]) - outputs_at(layer, other, self.wanted.rows[place])
        for norm in reversed(output.norms):
            lacking = self._before(norm, lacking, self._own(output.path))
        rest = self._solve(output.path, given, lacking)
        if output.norms and not has_bias(layer):
            base = self._base(output.norms[0])[0]
            output.norms[0].running_mean = base - rest.to(base)
        now = _statistics(_again(layer, output, inputs))
        if output.norms and (was := self._was[output.path]).shape == now.shape:
            self._given.setdefault(output.path, []).append(torch.stack((was.to(now), now)))

    def read(self, output: Output) -> None:
        """Something reads it after all: solve it for its own output."""
        if output.path not in self._waiting:
            return
        given, inputs = self._waiting.pop(output.path)
        self._solve(output.path, given, self._own(output.path))
        _again(self.layers[output.path], output, inputs)

    def _place(self, path: str) -> str:
        return place_of(self.model, path)

    def _own(self, path: str) -> Tensor:
        """What the layer gave in the original."""
        return _held(self.layers[path], self.wanted.outputs[self._place(path)])

    def _solve(self, path: str, given: Tensor, wanted: Tensor) -> Tensor:
        """Gives what is left of the mean, where nothing in the layer takes it up: (outputs,)."""
        layer = self.layers[path]
        self._lengths.setdefault(path, lengths(layer))
        moments = Moments.of(given, wanted.to(given.dtype).unflatten(1, (given.shape[1], -1)))
        if path in self._moments:
            moments = self._moments[path] + moments
        self._moments[path] = moments
        steep = self.wanted.normed.get(self._place(path))
        return solve(
            layer, moments, self.ridge, None if steep is None else _held(layer, steep[None])[0], self._whole(path)
        )

    def _whole(self, path: str) -> Tensor | None:
        """The original's weight, where the layer still has all its inputs."""
        layer, old = self.layers[path], weight_of(self.wanted.layers[self._place(path)])
        nodes = nodes_of(layer)
        old = old if nodes is None or len(old) > 1 else old[:, nodes]
        return old if old.shape == weight_of(layer).shape else None

    def _base(self, norm: _BatchNorm) -> Tensor:
        if norm not in self._bases:
            self._bases[norm] = torch.stack((cast("Tensor", norm.running_mean), cast("Tensor", norm.running_var)))
        return self._bases[norm]

    def _before(self, norm: _BatchNorm, after: Tensor, own: Tensor) -> Tensor:
        """What a normalisation must be given for what should come out; the layer's own output where it is flat."""
        mean, variance = self._base(norm)
        slope = _slope(norm, variance)
        shift = 0 if norm.bias is None else norm.bias
        flat = slope.abs() <= FLAT * slope.abs().max()
        return torch.where(flat, own, (after - shift) / slope + mean)


def _again(layer: nn.Module, output: Output, inputs: Tensor) -> Tensor:
    """What the layer gives now, in the place of what it gave before."""
    given = new = cast("Tensor", layer.forward(inputs))
    for norm in output.norms:
        new = norm.forward(new)
    output.tensor.copy_(new)
    return given


def _moved(base: Tensor, changes: Tensor) -> Tensor:
    """Mean and variance as they were, moved as far as what comes in has moved: (2, channels).

    changes    what came in and what comes in: (2, 2, channels)
    """
    was, now = changes
    ratio = now[1] / was[1].clamp_min(torch.finfo(now.dtype).tiny)
    return torch.stack((base[0] + (now[0] - was[0]).to(base), base[1] * ratio.to(base)))


def _held(layer: nn.Module, columns: Tensor) -> Tensor:
    """Of columns, one for each node of the original, those that the layer still holds."""
    nodes = nodes_of(layer)
    return columns if nodes is None else columns[:, nodes]


def _slope(norm: _BatchNorm, variance: Tensor) -> Tensor:
    slope = (variance + norm.eps).rsqrt()
    return slope if norm.weight is None else slope * norm.weight


def _statistics(inputs: Tensor) -> Tensor:
    """Mean and variance of each channel: (2, channels). In two passes, each many times faster than torch.var."""
    axes = [axis for axis in range(inputs.dim()) if axis != 1]
    wide = inputs.to(torch.promote_types(inputs.dtype, torch.float32))  # a square may not fit in half precision
    mean = wide.mean(axes, keepdim=True)
    return torch.stack((mean.flatten(), (wide - mean).square().mean(axes)))

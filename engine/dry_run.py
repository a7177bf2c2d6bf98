"""A step tried on one layer after another: which of them it can treat, and if not, why."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import nn

from engine.edit.blocks import hooked
from engine.edit.nodes import how_many, mixes
from engine.edit.scores import CONVOLUTIONS
from engine.errors import BrokenVariant, CannotApply, first_line
from engine.examples import Inputs, main_tensor, placed, run, take
from engine.method import Alone, Context, Method
from engine.per_layer import alone_in_each, left_as_it_was, tied_to
from engine.recipe import FAULTS, Recipe, run_or_name

BATCHES = (1, 3)  # at which every claim is tried
TRIAL = {"steps": 1, "batch_size": 8, "examples": 16}  # enough to see what a step does to each layer
UNTRIED = "at its strongest, too, the step leaves it as it is"
FIXED_VIEW = re.compile(r"shape '.*' is invalid for input of size \d+")
NODES, BLOCKS = "node_pruning", "layer_pruning"  # the methods that treat several layers as one


def strongest(kind: type[Method]) -> Method:
    """A method in its default form with what moves a figure at its end, and little else to do."""
    form = next(form for form in kind.forms if form.name == kind.default_form)
    ends = {
        name: kind.coefficient(name).low if way > 0 else kind.coefficient(name).top
        for name, (_, way) in form.effect.monotone.items()
    }
    return kind(form.name, {**{n: value for n, value in TRIAL.items() if n in form.coefficients}, **ends})


@dataclass(frozen=True)
class DryRun:
    """What the original does at each batch size, to be compared with.

    parts    batches of BATCHES examples
    shapes   of its answers
    calls    how often each module runs in one pass, by path
    """

    parts: list[Inputs]
    shapes: list[torch.Size]
    calls: Counter[str]

    @classmethod
    @torch.no_grad()
    def of(cls, context: Context) -> DryRun:
        """That of a context's original. Raises BrokenVariant where it does not run."""
        model, calls = context.original, Counter[str]()
        names = {module: name for name, module in model.named_modules()}
        parts = [placed(take(context.train[0], slice(n)), context.device) for n in BATCHES]
        shapes = [run_or_name(lambda x=x: main_tensor(run(model, x)).shape) for x in parts]  # type: ignore[misc]
        with hooked(model.modules(), lambda module, _, __: calls.update([names[module]])):
            run(model, parts[0])
        return cls(parts, shapes, calls)

    @torch.no_grad()
    def fault(self, model: nn.Module) -> str:
        """Why a model cannot take the original's place, or nothing."""
        for inputs, wanted in zip(self.parts, self.shapes, strict=True):
            try:
                got = main_tensor(run(model, inputs)).shape
            except Exception as error:  # the model's own code: whatever it raises is a reason here
                return f"treated so, the model does not run: {first_line(error)}"
            if got != wanted:
                return f"treated so, the model gives {tuple(got)} instead of {tuple(wanted)}"
        return ""


def each_layer(step: Method, context: Context, paths: list[str], tries: DryRun) -> Iterator[Alone]:
    """What the step does to each of the original's layers, treatable only where that was tried; a layer may come twice.

    A reason is as narrow as the layer shows it.
    """
    every = _all_at_once if step.how.effect.changes == {"values"} else _one_at_a_time
    try:
        for one in every(step, context, paths, tries):
            if not one.layers:  # nodes of something that is no layer
                continue
            layer, calls = context.original.get_submodule(one.layers[0]), tries.calls[one.layers[0]]
            yield one if one.treatable else replace(one, reason=_narrow(one.reason, step.name, layer, calls))
    except (CannotApply, BrokenVariant, *FAULTS) as error:  # it treats nothing in this model
        yield from (Alone((path,), None, False, first_line(error)) for path in paths)


def _all_at_once(step: Method, context: Context, paths: list[str], tries: DryRun) -> Iterator[Alone]:
    model, treated = context.original, Recipe((step,)).apply_in(context)
    fault = tries.fault(treated)
    for path in paths:
        same = left_as_it_was(step, model, treated, path)
        if same is not None:
            yield replace(same, treatable=False, reason=UNTRIED if same.treatable else same.reason)
        else:
            yield Alone((path, *tied_to(model, path, paths)), treated, not fault, fault)


def _one_at_a_time(step: Method, context: Context, paths: list[str], tries: DryRun) -> Iterator[Alone]:
    for one in alone_in_each(step, context.original, Recipe((step,)).context_of(0, context), paths):
        context.channel.check()
        fault = (one.reason or UNTRIED) if one.model is None else tries.fault(one.model)
        yield replace(one, treatable=not fault, reason=fault)


def _narrow(why: str, method: str, layer: nn.Module, calls: int) -> str:
    if (fixed := FIXED_VIEW.search(why)) is not None:
        return f"a view with a fixed size reads its nodes: {fixed[0]}"
    if method == NODES and mixes(layer) and how_many(layer, "gives") == 1:
        return "it has one node, which stays"
    if calls > 1 and (method == BLOCKS or why == UNTRIED):
        return f"{why}; it runs {calls} times in one pass"
    if isinstance(layer, CONVOLUTIONS) and layer.groups > 1:
        depthwise = layer.groups == layer.in_channels
        return f"{why}; it is a depthwise convolution" if depthwise else f"{why}; it is one in {layer.groups} groups"
    return why

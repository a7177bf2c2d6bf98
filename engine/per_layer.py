"""Every layer by itself: what it costs, and what is lost where a step treats it alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeAlias

import torch
from torch import nn

from engine.copying import structural_copy
from engine.edit.surgery import replace_module
from engine.errors import BrokenVariant, CannotApply, InvalidInput
from engine.examples import Split, count, placed, repeated, take
from engine.measurement import Measurer
from engine.method import Alone, Context, Method
from engine.metrics.accuracy import evaluate
from engine.metrics.answers import Answers
from engine.metrics.begun import Begun
from engine.metrics.layers import LayerCost, layer_costs, layer_paths, within
from engine.metrics.paired import compare
from engine.metrics.record import torch_threads
from engine.recipe import Recipe, RecipeLike, check_runs, run_or_name
from engine.speed import machine_of
from engine.store import Payload

Sides: TypeAlias = tuple[list[LayerCost], list[LayerCost]]
EXAMPLES = 1000  # of validation, at most
UNTOUCHED = "at these coefficients the step leaves it as it is"
NO_WEIGHTS = "it has no weights of two or more dimensions"


def view_layers(measurer: Measurer, recipe: RecipeLike, step: int | None = None, examples: int = EXAMPLES) -> Payload:
    """Every layer of the model that a step is given: its shape, parameters, multiply-adds, bytes and time before and
    after the whole recipe, and its sensitivity: the fall of the score on validation where the step treats it alone.

    step        number of the step, counted from 0; default the last. The steps before it are done first
    examples    of validation, drawn by the seed, at most

    Raises InvalidInput for a step that is not there, and as `Measurer.measure` does.
    """
    made = Recipe.of(recipe)
    index = len(made) - 1 if step is None else step
    if len(made):
        made.step(index)
    elif step is not None:
        raise InvalidInput("a step must be one of the recipe's (none, for the recipe is empty), got {got}", got=step)
    if isinstance(examples, bool) or not isinstance(examples, int) or examples < 1:
        raise InvalidInput("examples must be a whole number from 1, got {got}", got=examples)
    key = measurer.keys.layers(made, index, examples)
    with torch_threads(measurer.protocol.threads):
        machine = machine_of(measurer.protocol, measurer.keep)
        found = measurer.keep("layers", key, partial(_view, measurer, made, index, examples))
    told = {"protocol": measurer.protocol.to_dict(), "machine": machine.to_dict()}
    asked = {"model": measurer.workload.name, "recipe": made.to_list(), "step": index if len(made) else None}
    return {**asked, **told, **found}


def _view(measurer: Measurer, recipe: Recipe, index: int, examples: int) -> Payload:
    context = measurer.context
    before = measurer.built.of(Recipe(recipe.steps[:index]), context)
    after, refusal = _applied(measurer, recipe, index)
    costs = {str(batch): _costs(measurer, before, after, batch) for batch in measurer.protocol.batches}
    alone: dict[str, Payload] = {}
    n = 0
    if len(recipe):
        split = _drawn(context, examples)
        n = count(split[1])
        begun = Begun(measurer.cast(before), split, context.device, everywhere=True)
        paths, base = layer_paths(before), _answers(measurer, before, split, begun)
        refused = [Alone((path,), None, False, refusal) for path in paths] if refusal else None
        here = recipe.context_of(index, context)
        for one in refused or alone_in_each(recipe.step(index), before, here, paths):
            found = _sensitivity(measurer, base, one, (split, begun))
            for path in one.layers:
                alone[path] = {**found, "treated_with": [other for other in one.layers if other != path]}
            context.channel.report({"layer": len(alone), "of": len(paths)})
    rows = _rows(costs, alone)
    return {"examples": n, "score": measurer.workload.task.figure, "layers": rows}


def _applied(measurer: Measurer, recipe: Recipe, index: int) -> tuple[nn.Module | None, str]:
    """The variant, or why the step treats nothing in this model. Raises what an earlier or later step raises."""
    try:
        return measurer.built.of(recipe, measurer.context), ""
    except CannotApply as error:
        if error.step != index:
            raise
        return None, str(error)


def _costs(
    measurer: Measurer, before: nn.Module, after: nn.Module | None, batch: int
) -> tuple[list[LayerCost], list[LayerCost]]:
    measurer.channel.check()
    inputs = placed(repeated(measurer.workload.train[0], batch), measurer.protocol.device)
    sides = [
        [] if model is None else run_or_name(partial(layer_costs, measurer.cast(model), inputs))
        for model in (before, after)
    ]
    return sides[0], sides[1]


def _rows(costs: Mapping[str, Sides], alone: Mapping[str, Payload]) -> list[Payload]:
    """A row for each layer, in the order in which they run, and one for each that only the variant has."""
    first, second = next(iter(costs.values()))
    known = {cost.path for cost in first}
    fresh = [cost for cost in second if not any(within(cost.path, path) for path in known)]
    return [_row(cost, True, costs, alone) for cost in first] + [_row(cost, False, costs, alone) for cost in fresh]


def _row(here: LayerCost, before: bool, costs: Mapping[str, Sides], alone: Mapping[str, Payload]) -> Payload:
    """One layer; `before` where the model has it before the recipe."""
    path, (batch, (_, second)) = here.path, next(iter(costs.items()))
    parts = [cost for cost in second if within(cost.path, path)]
    after = {"shapes": [list(cost.shape) for cost in parts], "parameters": sum(cost.parameters for cost in parts)}
    untold = "the recipe has no step" if before else "it came with the recipe"
    none: Payload = {"sensitivity": None, "treatable": False, "reason": untold, "treated_with": []}
    return {
        "layer": path,
        "kind": here.kind,
        "shape": list(here.shape) if before else None,
        "parameters": here.parameters if before else 0,
        "multiply_adds": here.multiply_adds // int(batch) if before else 0,
        "share": _share(path, *next(iter(costs.values()))),
        "after": after if parts else None,
        "batches": {size: _at(path, *sides) for size, sides in costs.items()},
        **alone.get(path, none),
    }


def _at(path: str, first: Sequence[LayerCost], second: Sequence[LayerCost]) -> Payload:
    """What a layer costs at one batch size, before and after; null where there is nothing of it."""
    own = [cost for cost in first if cost.path == path]
    parts = [cost for cost in second if within(cost.path, path)]
    return {"before": _summed(own), "after": _summed(parts), "share": _share(path, first, second)}


def _summed(parts: Sequence[LayerCost]) -> Payload | None:
    names = ("time_ms", "multiply_adds", "moved_bytes")
    return {name: sum(getattr(cost, name) for cost in parts) for name in names} if parts else None


def _share(path: str, first: Sequence[LayerCost], second: Sequence[LayerCost]) -> float:
    """The layer's part of the time that all layers take, before the recipe."""
    whole = sum(cost.time_ms for cost in first)
    return sum(cost.time_ms for cost in first if cost.path == path) / whole if whole else 0.0


def _sensitivity(measurer: Measurer, base: Answers, one: Alone, on: tuple[Split, Begun]) -> Payload:
    """What became of the score where one thing was treated alone."""
    told: Payload = {"sensitivity": None, "treatable": one.treatable, "reason": one.reason}
    if one.model is None:
        return told
    try:
        check_runs(one.model, measurer.context)
    except BrokenVariant as error:
        return {**told, "treatable": False, "reason": str(error)}
    gain = compare(base, _answers(measurer, one.model, *on), measurer.workload.task, measurer.protocol.seed).difference
    if gain.value is None or gain.low is None or gain.high is None:
        return {**told, "sensitivity": gain.to_dict()}
    fall = replace(gain, value=0.0 - gain.value, low=0.0 - gain.high, high=0.0 - gain.low)
    return {**told, "sensitivity": fall.to_dict()}


def _answers(measurer: Measurer, model: nn.Module, split: Split, begun: Begun) -> Answers:
    return evaluate(measurer.cast(model), measurer.workload.task, split, begun, measurer.channel).answers


def _drawn(context: Context, most: int) -> Split:
    inputs, targets = context.validation
    n = count(targets)
    chosen = torch.randperm(n, generator=torch.Generator().manual_seed(context.seed))[:most]
    return take(inputs, chosen), take(targets, chosen)


def alone_in_each(step: Method, model: nn.Module, context: Context, layers: Sequence[str]) -> Iterator[Alone]:
    """For each of these layers a model in which the step treated it alone, with all that must go with it, or why not.

    context    of the step, as `Recipe.context_of` gives it
    """
    if step.neutral:
        yield from (Alone((path,), None, True, UNTOUCHED) for path in layers)
        return
    try:
        own = step.one_by_one(structural_copy(model), context, layers)
        yield from own if own is not None else _transplanted(step, model, context, layers)
    except CannotApply as error:  # it treats nothing in this model
        yield from (Alone((path,), None, False, str(error)) for path in layers)


def _transplanted(step: Method, model: nn.Module, context: Context, layers: Sequence[str]) -> Iterator[Alone]:
    """The model with one layer from the treated one, for each layer that is another there."""
    treated = step.edit(structural_copy(model), context).eval()
    for path in layers:
        context.channel.check()
        if (same := left_as_it_was(step, model, treated, path)) is not None:
            yield same
            continue
        yield Alone((path, *tied_to(model, path, layers)), _with(model, treated, path))


def tied_to(model: nn.Module, path: str, layers: Sequence[str]) -> list[str]:
    """Those of the layers that hold a weight of the layer of that path, too."""
    held = {id(p) for p in model.get_submodule(path).parameters()}
    return [o for o in layers if o != path and held & {id(p) for p in model.get_submodule(o).parameters()}]


def left_as_it_was(step: Method, model: nn.Module, treated: nn.Module, path: str) -> Alone | None:
    """Why the layer of that path is the same in the treated model; None where it is another there."""
    old, new = model.get_submodule(path), treated.get_submodule(path)
    if not _same(old, new):
        return None
    has_weights = any(p.dim() >= 2 and p.is_floating_point() for p in old.parameters())
    able, why = step.treats(model, path) if has_weights else (False, NO_WEIGHTS)
    return Alone((path,), None, able, why or UNTOUCHED)


def _with(model: nn.Module, treated: nn.Module, path: str) -> nn.Module:
    """A copy of the model with the layer of that path as it is in the treated one; a tie goes with it."""
    copied = structural_copy(model)
    old, new = copied.get_submodule(path), treated.get_submodule(path)
    if type(old) is not type(new):
        if not path:  # the layer is the whole model
            return new
        replace_module(copied, path, new)
        return copied
    for name in old._buffers:
        setattr(old, name, new._buffers[name])
    there = dict(new.named_parameters())
    pairs = {id(p): there[name] for name, p in old.named_parameters()}
    for module in copied.modules():
        for name, parameter in list(module._parameters.items()):
            if id(parameter) in pairs:
                setattr(module, name, pairs[id(parameter)])
    return copied


def _same(old: nn.Module, new: nn.Module) -> bool:
    if type(old) is not type(new):
        return False
    sides = [(*layer.parameters(), *layer.buffers()) for layer in (old, new)]
    return all(a is b or torch.equal(a, b) for a, b in zip(*sides, strict=True))

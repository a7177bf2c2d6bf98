"""What a recipe does to single weights, how many things a step acts on, and what a training will cost."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from engine.copying import structural_copy
from engine.errors import unknown
from engine.memo import Memo
from engine.method import Context
from engine.metrics.record import pick_device
from engine.recipe import Recipe
from engine.workload import Workload

BINS = 80
SAMPLE = 400  # points of a transfer curve
TRIAL_STEPS = 3


@dataclass(frozen=True)
class WeightView:
    """The weights of one layer before and after a recipe.

    edges             ends of the histogram's bins, ascending: BINS + 1 numbers
    before, after     weights in each bin; after is empty where the layer is gone
    n, zeros          how many weights there are, and how many are exactly zero: (before, after)
    flipped           how many changed their sign, None where the shape changed
    curve             pairs (w, f(w)) by rising w, a sample; empty where the shape changed
    reason            why something is missing
    """

    layer: str
    edges: list[float]
    before: list[int]
    after: list[int]
    n: tuple[int, int]
    zeros: tuple[int, int]
    flipped: int | None
    curve: list[tuple[float, float]]
    reason: str = ""


def layer_names(workload: Workload) -> list[str]:
    """The names of the original's weights of two or more dimensions, in order."""
    return [name for name, p in workload.model().named_parameters() if p.dim() >= 2]


@torch.no_grad()
def view_weights(original: nn.Module, variant: nn.Module, layer: str) -> WeightView:
    """The weights called `layer` in both models. Raises UnknownName where the original has none of that name."""
    known = {name: p for name, p in original.named_parameters() if p.dim() >= 2}
    if layer not in known:
        raise unknown("layer", layer, known)
    before = known[layer].detach().float().cpu()
    after = _same_weight(variant, layer)
    both = before if after is None else torch.cat([before.flatten(), after.flatten()])
    low, high = float(both.min()), float(both.max())
    pad = 1e-6 + 0.01 * (high - low)
    edges = torch.linspace(low - pad, high + pad, BINS + 1)
    first = _histogram(before, edges)
    ends = edges.tolist()
    zeros = int((before == 0).sum())
    if after is None:
        gone = "the layer is not in the variant any more"
        return WeightView(layer, ends, first, [], (before.numel(), 0), (zeros, 0), None, [], gone)
    counts = (before.numel(), after.numel()), (zeros, int((after == 0).sum()))
    if after.shape != before.shape:
        reason = f"the layer's shape changed from {list(before.shape)} to {list(after.shape)}"
        return WeightView(layer, ends, first, _histogram(after, edges), *counts, None, [], reason)
    flipped = int((before.sign() * after.sign() < 0).sum())
    return WeightView(layer, ends, first, _histogram(after, edges), *counts, flipped, _curve(before, after))


def _same_weight(variant: nn.Module, name: str) -> Tensor | None:
    """The weight of that name; of a layer that was factored, the product."""
    path, _, attribute = name.rpartition(".")
    try:
        found = getattr(variant.get_submodule(path), attribute)
    except AttributeError:
        return None
    return found.detach().float().cpu() if isinstance(found, Tensor) else None


def _histogram(weight: Tensor, edges: Tensor) -> list[int]:
    return cast("list[int]", torch.histogram(weight.flatten(), edges).hist.long().tolist())


def _curve(before: Tensor, after: Tensor) -> list[tuple[float, float]]:
    order = before.flatten().argsort()
    if len(order) > SAMPLE:
        order = order[torch.linspace(0, len(order) - 1, SAMPLE).long()]
    return list(zip(before.flatten()[order].tolist(), after.flatten()[order].tolist(), strict=True))


def count_things(workload: Workload, recipe: Recipe, index: int, context: Context | None = None) -> int | None:
    """How many layers or nodes a step of a recipe acts on, after the steps before it; None where on neither.

    Earlier training steps are passed over: they change no structure. Raises CannotApply with the step's reason.
    """
    step = recipe.step(index)
    here = context or Context.of(workload, pick_device("cpu"))
    before = Recipe(tuple(s for s in recipe.steps[:index] if "training" not in s.how.needs))
    model = before.apply_in(here)
    return step.things(model, before.context_of(len(before), here))


def training_seconds(recipe: Recipe, context: Context) -> float:
    """About how long the training steps of a recipe take: a few of them are done, and timed.

    The first is thrown away: it pays for what is done once.
    """
    total = 0.0
    model = structural_copy(context.original)
    for index, step in enumerate(recipe.steps):
        here = recipe.context_of(index, context)
        if "training" not in step.how.needs:
            model = model if step.neutral else step.edit(model, here)
            continue
        wanted = step.whole("steps")
        times = []
        for steps in (1, min(wanted, TRIAL_STEPS)):
            began = time.perf_counter()
            step.with_value("steps", steps).edit(structural_copy(model), here)
            times.append((time.perf_counter() - began) / max(1, steps))
        total += wanted * times[1]
        context = replace(context, memo=Memo())  # what comes now looks at a model that was not trained
    return total

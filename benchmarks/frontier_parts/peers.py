"""What ours is held against: torch-pruning's own pruners, and torch.nn.utils.prune."""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch_pruning as tp
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import prune

from benchmarks.frontier_parts.common import EXAMPLES, Make
from engine import Context
from engine.edit.surgery import weights
from engine.examples import count, run, take

PARTS = ("query", "key", "value")
ENDS = ("out", "down", "near.2", "embedding")  # what gives the stream between the blocks


def by_torch_pruning(taylor: bool = False, statistics: bool = False, **settings: bool) -> Make:
    """torch-pruning's BasePruner with its defaults, told the heads and the loose parameters.

    taylor        first-order Taylor scores instead of magnitudes
    statistics    estimate those of batch normalisation again on the examples
    settings      `bottleneck`: only what lies inside the attention and feed-forward parts, the option of that name in
                  its example for vision transformers; `whole_heads`: whole heads instead of a share of each
    """

    def make(context: Context, amount: float) -> nn.Module:
        model = copy.deepcopy(context.original)
        for parameter in model.parameters():
            parameter.requires_grad_()
        pruner = _pruner(model, context, amount, taylor, settings)
        if taylor:
            _gradients(model, context)
        pruner.step()
        for module in model.modules():
            if hasattr(module, "num_heads"):
                module.num_heads = pruner.num_heads[module.query]
        model.zero_grad()
        return estimated_again(model, context) if statistics else model.eval()

    return make


def _pruner(model: nn.Module, context: Context, amount: float, taylor: bool, settings: dict[str, bool]) -> Any:
    score = tp.importance.GroupTaylorImportance() if taylor else tp.importance.GroupMagnitudeImportance(p=2)
    stays: list[nn.Module] = [model.head]  # type: ignore[list-item]
    if settings.get("bottleneck"):
        stays += [module for path, module in model.named_modules() if path.endswith(ENDS)]
    more: dict[str, object] = {}
    if isinstance(getattr(model, "position", None), nn.Parameter):
        more["unwrapped_parameters"] = [(model.position, 2)]
    heads = {getattr(m, part): m.num_heads for m in model.modules() if hasattr(m, "num_heads") for part in PARTS}
    if settings.get("whole_heads"):
        most = min((1 - 1 / number for number in heads.values()), default=0.0)  # it would take the last head, too
        more |= {"prune_num_heads": True, "prune_head_dims": False, "head_pruning_ratio": min(amount, most)}
    return tp.pruner.BasePruner(
        model, context.examples(2), importance=score, pruning_ratio=amount, num_heads=heads, ignored_layers=stays,
        **more,
    )  # fmt: skip


def _gradients(model: nn.Module, context: Context) -> None:
    """Of the loss on the calibration examples, as its Taylor scores want them."""
    chosen = torch.randperm(count(context.train[1]), generator=torch.Generator().manual_seed(context.seed))[:EXAMPLES]
    model.zero_grad()
    context.task.loss(run(model, take(context.train[0], chosen)), take(context.train[1], chosen)).backward()


def estimated_again(model: nn.Module, context: Context) -> nn.Module:
    """The model with the statistics of batch normalisation taken from the calibration examples."""
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return model.eval()
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all that it is given
        norm.train()
    with torch.no_grad():
        run(model, context.examples(EXAMPLES))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return model.eval()


def by_torch_prune(context: Context, amount: float) -> nn.Module:
    """torch.nn.utils.prune, global, by magnitude, over the same weights as ours."""
    model = copy.deepcopy(context.original)
    places = [(model.get_submodule(path), own) for path, own in map(_split, dict(weights(model)))]
    prune.global_unstructured(places, prune.L1Unstructured, amount=amount)
    for module, name in places:
        prune.remove(module, name)
    return model.eval()


def _split(name: str) -> tuple[str, str]:
    path, _, own = name.rpartition(".")
    return path, own

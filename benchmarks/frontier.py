"""Smaller without training: accuracy against parameters removed, beside torch-pruning, in the same run.

No gradient step is taken in the first table. torch-pruning runs with its defaults, by magnitude and by first-order
Taylor scores, as it leaves the model and with the statistics of batch normalisation estimated again on the same
examples; on the transformer it is told the heads. Ours is node_pruning by group norm, then repair; `random` is the
floor: nodes by lot, then repair. Area is that under accuracy against the share of parameters removed, over the range
that all reach, divided by the range. Three seeds draw the examples; every run is in results/frontier.json.
"""

from __future__ import annotations

import copy
import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch_pruning as tp
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from engine import Context, Protocol, Recipe, Workload
from engine.examples import batches_of, take
from engine.examples import run as run_model
from sample_models import load

MODELS = ("fashion_resnet", "spoken_digits", "language_transformer")
AMOUNTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
SEEDS = (0, 1, 2)
EXAMPLES = 400
RESULTS = Path(__file__).parent / "results" / "frontier.json"
Make = Callable[[Context, float], nn.Module]


def accuracy(model: nn.Module, workload: Workload) -> float:
    """The task's score on test."""
    total = torch.zeros(())
    model.eval()
    with torch.inference_mode():
        for inputs, targets in batches_of(workload.test, 256):
            total = total + workload.task.terms(run_model(model, inputs), targets).double().sum(0)
    return float(workload.task.finish(total))


def size(model: nn.Module) -> int:
    """How many parameters there are."""
    return sum(p.numel() for p in model.parameters())


def by_torch_pruning(taylor: bool, statistics_too: bool) -> Make:
    """torch-pruning with its defaults."""

    def make(context: Context, amount: float) -> nn.Module:
        model = copy.deepcopy(context.original)
        for parameter in model.parameters():
            parameter.requires_grad_()
        importance = tp.importance.GroupTaylorImportance() if taylor else tp.importance.GroupMagnitudeImportance(p=2)
        heads = {
            getattr(m, name): m.num_heads
            for m in model.modules()
            if isinstance(getattr(m, "num_heads", None), int)
            for name in ("query", "key", "value")
        }
        pruner = tp.pruner.BasePruner(
            model, context.examples(1), importance=importance, pruning_ratio=amount, num_heads=heads,
            ignored_layers=[model.head],
        )  # fmt: skip
        if taylor:
            chosen = torch.randperm(len(context.train[1]), generator=torch.Generator().manual_seed(context.seed))
            chosen = chosen[:EXAMPLES]
            outputs = model(take(context.train[0], chosen))
            context.task.loss(outputs, context.train[1][chosen]).backward()
        pruner.step()
        model.zero_grad()
        return estimated_again(model, context) if statistics_too else model

    return make


def estimated_again(model: nn.Module, context: Context) -> nn.Module:
    """The model with the statistics of batch normalisation taken from the calibration examples."""
    for norm in (m for m in model.modules() if isinstance(m, _BatchNorm)):
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    with torch.no_grad():
        model(context.examples(EXAMPLES))
    return model.eval()


def by_recipe(*steps: list[object]) -> Make:
    """Ours: steps of which the first takes the amount."""

    def make(context: Context, amount: float) -> nn.Module:
        first = [steps[0][0], {**steps[0][1], "amount": amount}]  # type: ignore[dict-item]
        return Recipe.of([first, *steps[1:]]).apply_in(context)

    return make


NODES: list[object] = ["node_pruning", {"form": "group_norm"}]
LOT: list[object] = ["node_pruning", {"form": "random"}]
REPAIR: list[object] = ["repair", {"examples": EXAMPLES, "batch_size": EXAMPLES}]
WAYS: dict[str, Make] = {
    "torch-pruning, magnitude": by_torch_pruning(taylor=False, statistics_too=False),
    "torch-pruning, Taylor": by_torch_pruning(taylor=True, statistics_too=False),
    "torch-pruning, magnitude, statistics": by_torch_pruning(taylor=False, statistics_too=True),
    "torch-pruning, Taylor, statistics": by_torch_pruning(taylor=True, statistics_too=True),
    "ours, random, repair": by_recipe(LOT, REPAIR),
    "ours, group norm, repair": by_recipe(NODES, REPAIR),
}


def run() -> Iterator[str]:
    """The rows of all tables; the runs go to the results file."""
    threads = torch.get_num_threads()
    torch.set_num_threads(Protocol.here().threads)
    runs: list[dict[str, object]] = []
    yield "| model | way | area (least to most of 3 seeds) | " + " | ".join(f"{a:.0%}" for a in AMOUNTS) + " |"
    yield "|---|---|---|" + "---|" * len(AMOUNTS)
    for name in MODELS:
        workload = load(name)
        curves = {way: [_curve(way, workload, seed, runs) for seed in SEEDS] for way in WAYS}
        reach = min(curve[-1][0] for seeds in curves.values() for curve in seeds)
        for way, seeds in curves.items():
            areas = [area(curve, reach) for curve in seeds]
            points = [f"{statistics.mean(c[i + 1][1] for c in seeds):.3f}" for i in range(len(AMOUNTS))]
            spread = f"{statistics.mean(areas):.3f} ({min(areas):.3f} to {max(areas):.3f})"
            yield f"| {name}, to {reach:.0%} fewer | {way} | {spread} | " + " | ".join(points) + " |"
        RESULTS.parent.mkdir(exist_ok=True)  # after each model, so that a run that is cut off leaves what it has
        RESULTS.write_text(json.dumps(runs, indent=0) + "\n", "utf-8")
    torch.set_num_threads(threads)


def _curve(way: str, workload: Workload, seed: int, runs: list[dict[str, object]]) -> list[tuple[float, float]]:
    """(share of parameters removed, accuracy) for each amount, from the original on."""
    context = Context.of(workload, torch.device("cpu"), seed)
    whole = size(context.original)
    points = [(0.0, accuracy(context.original, workload))]
    for amount in AMOUNTS:
        began = time.perf_counter()
        model = WAYS[way](context, amount)
        seconds = time.perf_counter() - began
        points.append((1 - size(model) / whole, accuracy(model, workload)))
        row = {"model": workload.name, "way": way, "seed": seed, "amount": amount, "seconds": round(seconds, 3)}
        runs.append({**row, "removed": round(points[-1][0], 4), "accuracy": round(points[-1][1], 4)})
    return points


def area(curve: list[tuple[float, float]], reach: float) -> float:
    """The mean of accuracy over 0 to `reach` of the parameters removed, straight between the points."""
    total = 0.0
    for (x0, y0), (x1, y1) in itertools.pairwise(curve):
        if x0 >= reach or x1 <= x0:
            continue
        end = min(x1, reach)
        total += (end - x0) * (y0 + (y0 + (y1 - y0) * (end - x0) / (x1 - x0))) / 2
    return total / reach

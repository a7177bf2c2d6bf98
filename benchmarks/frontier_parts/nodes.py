"""Smaller without training: accuracy against parameters removed, beside torch-pruning.

No gradient step is taken. Ours is node_pruning, then repair; `random`, nodes by lot and then repair, is the floor.
torch-pruning runs with its defaults, by magnitude and by first-order Taylor scores, as it leaves the model and, where
there is batch normalisation, with its statistics estimated again on the same examples. On the transformer it is told
the heads and the loose parameter, and also tried in the two other ways that it offers: only inside the blocks, and
whole heads. Area: the mean of accuracy over the share of parameters removed, up to what all reach; beside it the same
against ours up to what those two reach.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from torch.nn.modules.batchnorm import _BatchNorm

from benchmarks.frontier_parts.common import (
    REPAIR,
    Curve,
    Make,
    Selection,
    accuracy,
    area,
    by_recipe,
    kept_context,
    size,
    spread,
    workload_of,
)  # fmt: skip
from benchmarks.frontier_parts.peers import by_torch_pruning
from benchmarks.frontier_parts.results import Results, Row

PART = "nodes"
AMOUNTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
OURS = "ours, group norm, repair"
WAYS: dict[str, Make] = {
    "torch-pruning, magnitude": by_torch_pruning(),
    "torch-pruning, Taylor": by_torch_pruning(taylor=True),
    "ours, random, repair": by_recipe("amount", ["node_pruning", {"form": "random"}], REPAIR),
    OURS: by_recipe("amount", ["node_pruning", {"form": "group_norm"}], REPAIR),
}
NORMED: dict[str, Make] = {
    "torch-pruning, magnitude, statistics": by_torch_pruning(statistics=True),
    "torch-pruning, Taylor, statistics": by_torch_pruning(taylor=True, statistics=True),
}
HEADED: dict[str, Make] = {
    "torch-pruning, magnitude, inside the blocks": by_torch_pruning(bottleneck=True),
    "torch-pruning, Taylor, inside the blocks": by_torch_pruning(taylor=True, bottleneck=True),
    "torch-pruning, magnitude, inside the blocks, whole heads": by_torch_pruning(bottleneck=True, whole_heads=True),
    "torch-pruning, Taylor, inside the blocks, whole heads": by_torch_pruning(
        taylor=True, bottleneck=True, whole_heads=True
    ),
}


def ways_of(name: str) -> dict[str, Make]:
    """The ways that make sense for a model."""
    modules = list(workload_of(name).model().modules())
    found = dict(WAYS)
    if any(isinstance(module, _BatchNorm) for module in modules):
        found |= NORMED
    if any(hasattr(module, "num_heads") for module in modules):
        found |= HEADED
    return dict(sorted(found.items(), key=lambda item: item[0].startswith("ours")))


def measure(chosen: Selection, results: Results) -> None:
    """Do the runs that are missing."""
    for name in chosen.models:
        for seed in chosen.seeds:
            _original(name, seed, results)
            for way, make in ways_of(name).items():
                for amount in chosen.of(AMOUNTS):
                    key = {"model": name, "way": way, "seed": seed, "amount": amount}
                    try:
                        results.done(PART, key, lambda make=make, key=key: _point(make, key))
                    except RuntimeError as error:  # torch-pruning can take every head of an attention
                        results.tell(f"{PART}: {way} leaves no model that runs at {amount}: {error}")


def _original(name: str, seed: int, results: Results) -> None:
    key = {"model": name, "way": "original", "seed": seed, "amount": 0.0}
    workload = workload_of(name)
    results.done(PART, key, lambda: {"removed": 0.0, "accuracy": round(accuracy(workload.model(), workload), 4)})


def _point(make: Make, key: Row) -> Row:
    name = key["model"]
    context = kept_context(name, key["seed"], key["way"])
    began = time.perf_counter()
    model = make(context, key["amount"])
    seconds = time.perf_counter() - began
    removed = 1 - size(model) / size(context.original)
    return {
        "removed": round(removed, 4),
        "accuracy": round(accuracy(model, workload_of(name)), 4),
        "seconds": round(seconds, 3),
    }


def table(results: Results) -> Iterator[str]:
    """The areas, then accuracy at each amount."""
    yield "| model | way | area (least to most) | ours / this, over what both reach | " + (
        " | ".join(f"{amount:.0%}" for amount in AMOUNTS) + " |"
    )
    yield "|---|---|---|---|" + "---|" * len(AMOUNTS)
    for name in dict.fromkeys(row["model"] for row in results.rows(PART)):
        curves = {way: _curves(results, name, way) for way in ways_of(name)}
        curves = {way: found for way, found in curves.items() if found}
        if OURS not in curves:
            continue
        reach = min(curve[-1][0] for found in curves.values() for curve in found)
        for way, found in curves.items():
            yield f"| {name}, to {reach:.0%} fewer | {way} | {spread(area(c, reach) for c in found)} | " + (
                f"{_against(curves[OURS], found)} | " + " | ".join(_points(results, name, way)) + " |"
            )


def _curves(results: Results, name: str, way: str) -> list[Curve]:
    """The curve of each seed, from the original on."""
    found = []
    for seed in sorted({row["seed"] for row in results.rows(PART, model=name, way=way)}):
        rows = results.rows(PART, model=name, way="original", seed=seed)
        rows += results.rows(PART, model=name, way=way, seed=seed)
        found.append(sorted((row["removed"], row["accuracy"]) for row in rows))
    return found


def _against(ours: list[Curve], theirs: list[Curve]) -> str:
    """The ratio of the mean areas up to what both reach."""
    reach = min(curve[-1][0] for curve in (*ours, *theirs))
    mine, other = (statistics.mean(area(curve, reach) for curve in curves) for curves in (ours, theirs))
    return f"{mine / other:.2f} (to {reach:.0%})"


def _points(results: Results, name: str, way: str) -> list[str]:
    found = [results.rows(PART, model=name, way=way, amount=amount) for amount in AMOUNTS]
    return [f"{statistics.mean(row['accuracy'] for row in rows):.3f}" if rows else "–" for rows in found]

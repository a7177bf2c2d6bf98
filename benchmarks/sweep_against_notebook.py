"""A curve of 21 points by the engine, against the loop that a notebook would hold.

The loop deep-copies the model, prunes it (torch.nn.utils.prune, torch-pruning, or an SVD), evaluates all test
examples, and times a forward pass. Both do the same amounts on the same machine in the same run, one thread; the
engine starts with an empty store. The ratio is loop / engine: above 1 the engine is faster.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator

import torch
import torch_pruning as tp
from torch import nn
from torch.nn.utils import prune

from engine import Protocol, Recipe, Sweep, Workload, open_store, run_sweep
from engine.measurement import Measurer
from sample_models import load

AMOUNTS = [round(0.045 * i, 3) for i in range(21)]
TIMED = 20  # forward passes at batch 1 and at batch 64


def _evaluate_and_time(model: nn.Module, workload: Workload) -> None:
    x, y = workload.test
    model.eval()
    with torch.inference_mode():
        hits = sum(int((model(a).argmax(1) == b).sum()) for a, b in zip(x.split(256), y.split(256), strict=True))
        for batch in (1, 64):
            inputs = x[:batch]
            for _ in range(5):
                model(inputs)
            for _ in range(TIMED):
                began = time.perf_counter()
                model(inputs)
                _ = time.perf_counter() - began
    assert 0 <= hits <= len(y)


def _by_magnitude(model: nn.Module, amount: float, _: Workload) -> None:
    layers = [(m, "weight") for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    prune.global_unstructured(layers, prune.L1Unstructured, amount=amount)
    for layer, name in layers:
        prune.remove(layer, name)


def _by_nodes(model: nn.Module, amount: float, workload: Workload) -> None:
    last = [m for m in model.modules() if isinstance(m, nn.Linear)][-1]
    pruner = tp.pruner.BasePruner(
        model, workload.example, importance=tp.importance.GroupMagnitudeImportance(p=2), pruning_ratio=amount,
        ignored_layers=[last],
    )  # fmt: skip
    pruner.step()


def _by_rank(model: nn.Module, amount: float, _: Workload) -> None:
    with torch.no_grad():
        for p in model.parameters():
            if p.dim() >= 2:
                u, s, v = torch.linalg.svd(p.flatten(1), full_matrices=False)
                rank = max(1, round((1 - amount) * len(s)))
                p.copy_((u[:, :rank] * s[:rank] @ v[:rank]).view_as(p))


CASES: tuple[tuple[str, Callable[[nn.Module, float, Workload], None], list[object], str], ...] = (
    ("magnitude_global", _by_magnitude, ["weight_pruning", {"form": "magnitude_global"}], "amount"),
    ("group_norm", _by_nodes, ["node_pruning", {"form": "group_norm"}], "amount"),
    ("rank by SVD", _by_rank, ["structure_optimization", {"form": "formula"}], "rank"),
)


def run() -> Iterator[str]:
    """A row for each case and model."""
    yield "| model | what | loop, s | engine, s | ratio |\n|---|---|---|---|---|"
    threads = torch.get_num_threads()
    torch.set_num_threads(Protocol.here().threads)
    for name in ("digits_mlp", "fashion_resnet"):
        for what, change, step, coefficient in CASES:
            workload = load(name)
            loop = _seconds(lambda change=change, workload=workload: _loop(change, workload))
            mine = _seconds(lambda step=step, c=coefficient, workload=workload: _engine(step, c, workload))
            yield f"| {name} | {what} | {loop:.2f} | {mine:.2f} | {loop / mine:.2f} |"
    torch.set_num_threads(threads)


def _loop(change: Callable[[nn.Module, float, Workload], None], workload: Workload) -> None:
    original = workload.model()
    for amount in AMOUNTS:
        model = copy.deepcopy(original)
        if amount:
            change(model, amount, workload)
        _evaluate_and_time(model, workload)


def _engine(step: list[object], coefficient: str, workload: Workload) -> None:
    values = [1 - a for a in AMOUNTS] if coefficient == "rank" else AMOUNTS
    plan = Sweep(Recipe.of([step]), (0, coefficient), tuple(values))
    assert len(list(run_sweep(plan, Measurer(workload, store=open_store("sqlite://"))))) == len(AMOUNTS)


def _seconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began

"""A point that nobody has measured, on `fashion_resnet`: when its first figures come, and when its interval is whole.

From the wish to the queue, with its warm worker and an empty store, to the first partial accuracy (at least 200
examples) and to the accuracy of all examples; against one evaluation of the same variant as a notebook would do it
(deep copy, torch.nn.utils.prune, every test example in batches of 256), once with torch's own number of threads and
once with one, which is faster where others use the machine. Alternating, median of 9; ratio = ours / naive.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from statistics import median

import torch
from torch import nn
from torch.nn.utils import prune

from engine import Job, Protocol, Recipe, Runner, Workload, open_store
from sample_models import load

RUNS = 9
LOOK_S = 0.001


def run() -> Iterator[str]:
    """A row for first figures, one for the whole interval."""
    threads = torch.get_num_threads()
    workload, runner = load("fashion_resnet"), Runner(open_store("sqlite://"))
    first, whole = list[float](), list[float]()
    naive: dict[int, list[float]] = {threads: [], 1: []}
    try:
        _ours(runner, workload, 0.5)  # the worker imports, and measures the original
        for i in range(RUNS):
            amount = round(0.3 + 0.05 * i + 0.001, 4)
            for n, found in naive.items():
                torch.set_num_threads(n)
                found.append(_naive(workload, amount))
            a, b = _ours(runner, workload, amount)
            first.append(a)
            whole.append(b)
    finally:
        runner.close()
        torch.set_num_threads(threads)
    yield "| what | ms | naive evaluation, ms | its threads | ratio |\n|---|---|---|---|---|"
    for what, found in (("first figures", first), ("interval of all examples", whole)):
        for n, times in naive.items():
            ratio = median(a / b for a, b in zip(found, times, strict=True))
            yield f"| {what} | {1e3 * median(found):.0f} | {1e3 * median(times):.0f} | {n} | {ratio:.2f} |"


def _naive(workload: Workload, amount: float) -> float:
    began = time.perf_counter()
    model = copy.deepcopy(workload.model()).eval()
    layers = [(m, "weight") for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    prune.global_unstructured(layers, prune.L1Unstructured, amount=amount)
    for layer, name in layers:
        prune.remove(layer, name)
    x, y = workload.test
    with torch.inference_mode():
        hits = sum(int((model(a).argmax(1) == b).sum()) for a, b in zip(x.split(256), y.split(256), strict=True))
    assert 0 < hits <= len(y)
    return time.perf_counter() - began


def _ours(runner: Runner, workload: Workload, amount: float) -> tuple[float, float]:
    """Seconds to the first accuracy, and to that of all examples."""
    recipe = Recipe.of([["weight_pruning", {"form": "magnitude_global", "amount": amount}]])
    job, began, first = Job.of("point", workload, recipe, Protocol.here()), time.perf_counter(), 0.0
    runner.want("benchmark", [job])
    while True:
        seen = runner.partial(job)
        now = time.perf_counter() - began
        if "accuracy" in seen and not first:
            first = now
        if seen.get("examples") == seen.get("of", 0) != 0:
            break
        if runner.outcome(job).status in ("done", "failed"):
            raise RuntimeError(f"the interval came with the point, got: {runner.outcome(job)}")
        time.sleep(LOOK_S)
    while runner.outcome(job).status == "running":
        time.sleep(LOOK_S)
    return first, now

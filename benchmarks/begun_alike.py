"""What models that begin alike have in common is run once: the same evaluation with and without what is kept.

"the last layer" is one variant after the other in which the last linear layer alone is another, all test examples
(2,000 at most); "layer by layer" is the sensitivity of each layer, where a step treats it alone. Ratio = whole / kept,
the median of three that take turns. No answer differs: tests/engine/test_begun.py.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

import torch
from torch import nn

import sample_models
from engine import Context, Measurer, Workload, view_layers
from engine.copying import structural_copy
from engine.examples import count, take
from engine.metrics import begun
from engine.metrics.accuracy import evaluate
from engine.metrics.begun import Begun
from engine.metrics.record import torch_threads

RUNS, MOST = 3, 2000
STEP = [["weight_pruning", {"form": "magnitude_layer", "amount": 0.8}]]
CPU = torch.device("cpu")


def run() -> Iterator[str]:
    """Two rows a sample model."""
    yield "| model | what | whole, s | kept, s | ratio |"
    yield "|---|---|---|---|---|"
    for name in sample_models.available_models():
        workload = sample_models.load(name)
        for what, look in (("the last layer", _last), ("layer by layer", _layers)):
            whole, kept = look(workload)
            yield f"| {name} | {what} | {whole:.3f} | {kept:.3f} | {whole / kept:.2f} |"


def _last(workload: Workload) -> tuple[float, float]:
    model = Context.of(workload, CPU).original
    chosen = slice(min(MOST, count(workload.test[1])))
    split = take(workload.test[0], chosen), take(workload.test[1], chosen)
    known = Begun(model, split, CPU)
    path = [path for path, module in model.named_modules() if isinstance(module, nn.Linear)][-1]

    def look(where: torch.device | Begun) -> float:
        variant = structural_copy(model)
        layer = variant.get_submodule(path)
        layer.weight = nn.Parameter(layer.weight.detach() * 1.01)  # type: ignore[operator,union-attr]
        return _seconds(lambda: evaluate(variant, workload.task, split, where))

    with torch_threads(1):
        look(known)  # what is kept is seen at the first
        times = [(look(CPU), look(known)) for _ in range(RUNS)]
    return _medians(times)


def _layers(workload: Workload) -> tuple[float, float]:
    def look(most: int) -> float:
        begun.Begun.__init__.__defaults__ = (False, most)
        return _seconds(lambda: view_layers(Measurer(workload, device="cpu"), STEP))

    try:
        times = [(look(0), look(begun.MOST_BYTES)) for _ in range(RUNS)]
    finally:
        begun.Begun.__init__.__defaults__ = (False, begun.MOST_BYTES)
    return _medians(times)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _medians(times: list[tuple[float, float]]) -> tuple[float, float]:
    whole, kept = zip(*times, strict=True)
    return statistics.median(whole), statistics.median(kept)

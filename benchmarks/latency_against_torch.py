"""Median latency by the engine's interleaved run against `torch.utils.benchmark`, on the same models and inputs."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.benchmark import Timer

from engine import Protocol
from engine.measurement import repeated
from engine.metrics.latency import time_pair
from sample_models import load

MODELS = ("digits_mlp", "fashion_resnet", "language_transformer")


def run() -> Iterator[str]:
    """A row for each model and batch size."""
    protocol = Protocol.here("cpu")
    yield "| model | batch | engine, ms (95 %) | torch.utils.benchmark, ms (quartiles) | ratio |"
    yield "|---|---|---|---|---|"
    for name in MODELS:
        workload = load(name)
        for batch in (1, 64):
            model, inputs = workload.model(), repeated(workload.train[0], batch)
            told = {"model": model, "inputs": inputs, "torch": torch}
            code = "with torch.inference_mode(): model(inputs)"
            theirs = Timer(code, globals=told, num_threads=protocol.threads).blocked_autorange(min_run_time=1.0)
            ours = time_pair(model, workload.model(), inputs, protocol).figures()["original"]["median"]
            taken = torch.tensor(theirs.times, dtype=torch.float64) * 1e3  # ms
            low, median, high = taken.quantile(torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)).tolist()
            yield (
                f"| {name} | {batch} | {ours.value:.4g} ({ours.low:.4g} to {ours.high:.4g}) | {median:.4g} "
                f"({low:.4g} to {high:.4g}) | {ours.value / median:.3f} |"
            )

"""The loop that a notebook would hold: deep copy, change, evaluate all examples, time some passes."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
import torch_pruning as tp
from torch import Tensor, nn
from torch.nn.utils import prune

from engine import Workload
from engine.metrics.record import torch_threads

Change: TypeAlias = Callable[[nn.Module, float, Workload], "nn.Module | None"]
BATCH = 256
WARM_UP, TIMED = 5, 20  # passes at batch 1 and at batch 64
PARTS = ("query", "key", "value")
STREAM = ("out", "down", "near.2", "embedding")  # of the transformer: what gives the stream between its blocks


def loop(change: Change, amounts: Sequence[float], workload: Workload, threads: int) -> tuple[float, list[nn.Module]]:
    """The seconds that it takes, and the variants, for whoever wants to count their work."""
    made = []
    with torch_threads(threads):
        began = time.perf_counter()
        original = workload.model()
        for amount in amounts:
            model = copy.deepcopy(original)
            if amount:
                change(model, amount, workload)
            _accuracy(model, workload)
            _latency(model, workload)
            made.append(model)
        spent = time.perf_counter() - began
    return spent, made


@torch.inference_mode()
def _accuracy(model: nn.Module, workload: Workload) -> float:
    x, y = workload.test
    model.eval()
    hits = sum(int((model(a).argmax(1) == b).sum()) for a, b in zip(x.split(BATCH), y.split(BATCH), strict=True))
    return hits / len(y)


@torch.inference_mode()
def _latency(model: nn.Module, workload: Workload) -> list[float]:
    found = []
    for batch in (1, 64):
        inputs = workload.test[0][:batch]
        for _ in range(WARM_UP):
            model(inputs)
        times = []
        for _ in range(TIMED):
            began = time.perf_counter()
            model(inputs)
            times.append(time.perf_counter() - began)
        found.append(statistics.median(times))
    return found


@torch.no_grad()
def clipped(model: nn.Module, alpha: float, _: Workload) -> None:
    """Every weight nearer to zero by alpha standard deviations of its tensor."""
    for w in model.parameters():
        if w.dim() >= 2:
            w.copy_(w.sign() * (w.abs() - alpha * w.std()).clamp_min(0))


def pruned(model: nn.Module, amount: float, _: Workload) -> None:
    """Zeros by torch.nn.utils.prune, the smallest of all layers."""
    kinds = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Embedding
    layers = [(m, "weight") for m in model.modules() if isinstance(m, kinds)]
    prune.global_unstructured(layers, prune.L1Unstructured, amount=amount)
    for layer, name in layers:
        prune.remove(layer, name)


def shortened(model: nn.Module, alpha: float, _: Workload) -> None:
    """The last blocks deleted from the lists in which they stand."""
    blocks = [path for path, m in model.named_modules() if type(m).__name__ in ("Block", "Residual")]
    if hasattr(model, "near"):
        blocks.insert(0, "near")
    gone = min(round(alpha * len(blocks)), len(blocks) - 1)
    for path in reversed(blocks[len(blocks) - gone :]):
        parent, _, place = path.rpartition(".")
        del model.get_submodule(parent)[int(place)]  # type: ignore[operator]


def narrowed(model: nn.Module, amount: float, workload: Workload) -> None:
    """Nodes by torch-pruning, told the heads of an attention, its loose parameter, and to keep the stream's width."""
    kept: list[nn.Module] = [model.head]  # type: ignore[list-item]
    heads = {getattr(m, part): m.num_heads for m in model.modules() if hasattr(m, "num_heads") for part in PARTS}
    more: dict[str, object] = {}
    if heads:
        kept += [m for path, m in model.named_modules() if path.endswith(STREAM)]
        more = {"unwrapped_parameters": [(model.position, 2)], "num_heads": heads}
    pruner = tp.pruner.BasePruner(
        model, workload.train[0][:2], importance=tp.importance.GroupMagnitudeImportance(p=2), pruning_ratio=amount,
        ignored_layers=kept, **more,
    )  # fmt: skip
    pruner.step()
    for m in model.modules():
        if hasattr(m, "num_heads"):
            m.num_heads = pruner.num_heads[m.query]


@torch.no_grad()
def factored(model: nn.Module, lost: float, _: Workload) -> None:
    """Each linear layer and convolution in two factors by its singular values, where two are smaller."""
    for path, layer in list(model.named_modules()):
        if not isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d):
            continue
        w = layer.weight.flatten(1)
        rank = max(1, round((1 - lost) * min(w.shape)))
        if rank * sum(w.shape) < w.numel():
            u, s, v = torch.linalg.svd(w, full_matrices=False)
            parent, _, name = path.rpartition(".")
            setattr(model.get_submodule(parent), name, _two(layer, v[:rank], u[:, :rank] * s[:rank]))


def _two(layer: nn.Linear | nn.Conv1d | nn.Conv2d, inner: Tensor, outer: Tensor) -> nn.Sequential:
    rank, bias = len(inner), layer.bias is not None
    if isinstance(layer, nn.Linear):
        first: nn.Module = nn.Linear(layer.in_features, rank, bias=False)
        last: nn.Module = nn.Linear(rank, layer.out_features, bias=bias)
    else:
        kind = type(layer)
        first = kind(layer.in_channels, rank, layer.kernel_size, layer.stride, layer.padding, bias=False)  # type: ignore[arg-type]
        last = kind(rank, layer.out_channels, 1, bias=bias)
    first.weight.copy_(inner.view_as(first.weight))  # type: ignore[operator, arg-type]
    last.weight.copy_(outer.view_as(last.weight))  # type: ignore[operator, arg-type]
    if layer.bias is not None:
        last.bias.copy_(layer.bias)  # type: ignore[operator]
    return nn.Sequential(first, last)

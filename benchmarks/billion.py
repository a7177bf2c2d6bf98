"""One step on a transformer of a billion parameters: bytes moved a second, and memory beside original and variant.

Least bytes: each weight read once and written once. Their share of what torch's own copy moves in the same run is given
for a copy into memory that was written before, and for one into fresh memory, which the variant needs. Memory is the
process's, looked at every millisecond: its highest, less the original and the variant, in units of the largest layer.
"""

from __future__ import annotations

import ctypes
import gc
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from engine import Context, Protocol, Recipe, Workload
from engine.copying import structural_copy
from engine.metrics.record import torch_threads

WIDTH, REPEATS, SPARE = 1792, 3, 3.0  # the last: of the original's bytes that must be free
PAGE = 4096
STEPS = (
    ["weight_clipping", {"form": "formula", "alpha": 0.002}],
    ["weight_clipping", {"form": "soft_threshold", "alpha": 0.002}],
    ["weight_clipping", {"form": "hard_threshold", "alpha": 0.002}],
    ["weight_clipping", {"form": "clamp", "limit": 0.03}],
    ["weight_clipping", {"form": "soft_threshold", "alpha": 0.1, "scale": "std"}],
    ["weight_pruning", {"form": "formula", "alpha": 0.3}],
    ["weight_pruning", {"form": "magnitude_layer", "amount": 0.5}],
    ["weight_pruning", {"form": "magnitude_global", "amount": 0.5}],
)


class Block(nn.Module):
    """What a layer of a transformer holds: 12 · width² weights."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Of one token a pass attention hands on its value."""
        x = x + self.out(self.value(self.norms[0](x)))
        mixed: Tensor = x + self.down(torch.relu(self.up(self.norms[1](x))))
        return mixed


def transformer(parameters: float) -> nn.Module:
    """As many blocks as come nearest, drawn by a seed."""
    with torch.device("meta"):
        model = nn.Sequential(*(Block(WIDTH) for _ in range(max(1, round(parameters / (12 * WIDTH**2))))))
    model = model.to_empty(device="cpu").requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.normal_(0, 0.02, generator=generator)
    return model.eval()


@dataclass
class Seen:
    """The process's memory in bytes."""

    before: int = 0
    most: int = 0


@contextmanager
def looking() -> Iterator[Seen]:
    """Look at the process's memory every millisecond."""
    seen, done = Seen(_memory()), threading.Event()

    def look() -> None:
        while not done.wait(0.001):
            seen.most = max(seen.most, _memory())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def _memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def _free() -> int:
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    return next(int(parts[1]) for parts in lines if parts[0] == "MemAvailable:") * 1024


def run(parameters: float = 1e9) -> Iterator[str]:
    """A row for each step."""
    while SPARE * 4 * parameters > _free():
        parameters /= 2
    with torch_threads(Protocol.here("cpu").threads), torch.no_grad():
        model = transformer(parameters)
        count = sum(p.numel() for p in model.parameters())
        largest = max(p.nbytes for p in model.parameters())
        x = torch.randn(4, WIDTH)
        workload = Workload("billion", model, "regression", train=(x, x), validation=(x, x), test=(x, x))
        context = Context("billion", workload.task, (x, x), (x, x), model, {}, torch.device("cpu"))
        written, fresh = _copies(model)
        yield f"{count:.3g} parameters, float32; the largest layer is {largest / 2**20:.0f} MiB"
        yield f"copy: {written / 1e9:.1f} GB/s into written memory, {fresh / 1e9:.1f} GB/s into fresh memory\n"
        yield "| step | s | GB/s | of a copy | of a copy into fresh memory | memory beside, largest layers |"
        yield "|---|---|---|---|---|---|"
        for step in STEPS:
            yield _row(step, model, context, (written, fresh, largest))


def _row(step: list[object], model: nn.Module, context: Context, beside: tuple[float, float, int]) -> str:
    method, times, most = Recipe.of([step]).step(0), [], []
    for _ in range(REPEATS):
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)  # what was freed is not given back by itself
        copied = structural_copy(model)
        with looking() as seen:
            began = time.perf_counter()
            method.edit(copied, context)
            times.append(time.perf_counter() - began)
        own = sum(p.nbytes for p, old in zip(copied.parameters(), model.parameters(), strict=True) if p is not old)
        most.append((seen.most - seen.before - own) / beside[2])
        del copied
    changed = sum(p.nbytes for p in model.parameters() if p.dim() >= 2)
    moved = 2 * changed / statistics.median(times)
    shares = " | ".join(f"{moved / other:.0%}" for other in beside[:2])
    values = ", ".join(f"{name} {value}" for name, value in method.values.items())
    what = f"{method.name} {method.form}, {values}"
    return f"| {what} | {statistics.median(times):.2f} | {moved / 1e9:.1f} | {shares} | {max(most):.1f} |"


def _copies(model: nn.Module) -> tuple[float, float]:
    """Bytes a second, reading and writing counted, of a copy of a gigabyte: into written memory, and into fresh."""
    some = [p for p in model.parameters() if p.dim() >= 2][:20]
    moved, there = 2 * sum(p.nbytes for p in some), [p.clone() for p in some]

    def best(work: Callable[[], object]) -> float:
        times = []
        for _ in range(5):
            began = time.perf_counter()
            kept = work()
            times.append(time.perf_counter() - began)
            del kept
        return moved / min(times)

    written = best(lambda: [to.copy_(p) for to, p in zip(there, some, strict=True)])
    there.clear()
    return written, best(lambda: [p.clone() for p in some])

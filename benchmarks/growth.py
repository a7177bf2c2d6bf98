"""How the cost of a curve grows with what is asked for: points, examples, parameters and layers, doubled in turn.

A residual net of linear layers, made in memory and fitted for some steps to random data with a rule in them. Every
point evaluates all examples, so that an early end hides nothing; the store is empty at each run. "Parameters" doubles
them by the width, "layers" doubles the blocks at their width, and so the parameters, too. The ratio is the median time
at twice as much over the median at once as much, of 3 runs each that take turns. Aim: no worse than linear, 2.0; what
is paid once a curve or once a point pulls it below. Beside it the notebook's loop, one thread.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import cache

import torch
from torch import Tensor, nn

from benchmarks.sweep_parts.cases import CASES, Case, by_engine, by_loop
from engine import Workload

RUNS = 3
INPUTS, CLASSES, STEPS = 64, 10, 30
METHODS = ("weight_pruning", "structure_optimization")
AIM = 2.0
HEAD = "| method | doubled | engine, s | twice, s | ratio | loop, s | twice, s | ratio |"


@dataclass(frozen=True)
class Size:
    """Of one curve.

    parameters    about so many times those of width 128
    """

    points: int = 6
    examples: int = 8000
    parameters: int = 1
    layers: int = 4


class Residual(nn.Module):
    """A layer of twice the width and one back, with a skip around both."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """x (examples, width)."""
        return x + self.down(torch.relu(self.up(x)))


def run() -> Iterator[str]:
    """A row for each method and what is doubled."""
    once = Size()
    told = ", ".join(
        f"{getattr(once, field.name)} {field.name}" for field in fields(once) if field.name != "parameters"
    )
    yield f"once as much: {told}, {_parameters(once):,} parameters\n"
    yield f"{HEAD}\n|{'---|' * (HEAD.count('|') - 1)}"
    worst = 0.0
    for case in (case for case in CASES if case.step[0] in METHODS):
        _once(case, replace(once, points=2))  # what is imported and looked up once a process
        for field in fields(once):
            twice = replace(once, **{field.name: 2 * getattr(once, field.name)})
            engine = _compared(lambda size, case=case: _once(case, size), once, twice)
            loop = _compared(lambda size, case=case: _by_hand(case, size), once, twice)
            worst = max(worst, engine[1] / engine[0])
            cells = " | ".join(f"{a:.2f} | {b:.2f} | {b / a:.2f}" for a, b in (engine, loop))
            what = f"{field.name} ({_parameters(twice):,})" if field.name == "parameters" else field.name
            yield f"| {case.step[0]} | {what} | {cells} |"
    yield f"\nthe engine's worst ratio is {worst:.2f}; linear is {AIM}"


def _compared(seconds: Callable[[Size], float], once: Size, twice: Size) -> tuple[float, float]:
    """The medians of both, which take turns."""
    found = [(seconds(once), seconds(twice)) for _ in range(RUNS)]
    one, two = (statistics.median(side) for side in zip(*found, strict=True))
    return one, two


def _once(case: Case, size: Size) -> float:
    return by_engine(case, _amounts(size), _workload(size), full=True).seconds


def _by_hand(case: Case, size: Size) -> float:
    return by_loop(case, _amounts(size), _workload(size), threads=1).seconds


def _amounts(size: Size) -> list[float]:
    """From 0 to 0.9; how far they go hangs not on their number."""
    return [round(0.9 * i / (size.points - 1), 4) for i in range(size.points)]


def _parameters(size: Size) -> int:
    return sum(p.numel() for p in _workload(size).model().parameters())


@cache
def _made(examples: int, parameters: int, layers: int) -> Workload:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        width = round(128 * parameters**0.5)
        net = nn.Sequential(
            nn.Linear(INPUTS, width), *(Residual(width) for _ in range(layers)), nn.Linear(width, CLASSES)
        )
        rule = torch.randn(INPUTS, CLASSES)
        x = torch.randn(2000 + examples, INPUTS)
        y = (x @ rule).argmax(1)
        optimizer = torch.optim.Adam(net.parameters(), 1e-3)
        for start in range(0, STEPS * 50, 50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[start : start + 50]), y[start : start + 50]).backward()
            optimizer.step()
    splits = {"train": slice(1500), "validation": slice(1500, 2000), "test": slice(2000, None)}
    data = {name: (x[part], y[part]) for name, part in splits.items()}
    return Workload("growth", net.eval(), "classification", **data)


def _workload(size: Size) -> Workload:
    return _made(size.examples, size.parameters, size.layers)

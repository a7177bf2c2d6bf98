"""Which sweep is held against which loop, and what one of either takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from benchmarks.sweep_parts.loops import Change, clipped, factored, loop, narrowed, pruned, shortened
from engine import Measured, Protocol, Recipe, Sweep, Workload, open_store, run_sweep
from engine.examples import count
from engine.measurement import Measurer
from engine.metrics.compute import multiply_adds
from engine.metrics.machine import know_machine
from engine.metrics.side_by_side import cores

AMOUNTS = tuple(round(0.045 * i, 3) for i in range(21))


@dataclass(frozen=True)
class Case:
    """A method, its step, the coefficient that is varied, and the same by hand."""

    step: tuple[str, dict[str, object]]
    coefficient: str
    change: Change

    def plan(self, amounts: Sequence[float] = AMOUNTS) -> Sweep:
        """The sweep at these values; a rank is what is left, and the others what goes."""
        values = [round(1 - a, 3) for a in amounts] if self.coefficient == "rank" else amounts
        return Sweep(Recipe.of([self.step]), (0, self.coefficient), tuple(values))


CASES = (
    Case(("weight_clipping", {"form": "soft_threshold", "scale": "std"}), "alpha", clipped),
    Case(("weight_pruning", {"form": "magnitude_global"}), "amount", pruned),
    Case(("layer_pruning", {"form": "formula"}), "alpha", shortened),
    Case(("node_pruning", {"form": "group_norm"}), "amount", narrowed),
    Case(("structure_optimization", {"form": "low_rank"}), "rank", factored),
)


@dataclass(frozen=True)
class Took:
    """One curve: its seconds, the examples that were evaluated, and the multiply-adds of those evaluations."""

    seconds: float
    examples: int
    work: float


def by_loop(case: Case, amounts: Sequence[float], workload: Workload, threads: int) -> Took:
    """The notebook's curve. Its work is counted when its time is over."""
    seconds, made = loop(case.change, amounts, workload, threads)
    n = count(workload.test[1])
    return Took(seconds, n * len(made), n * sum(_multiply_adds(model, workload) for model in made))


def by_engine(case: Case, amounts: Sequence[float], workload: Workload, full: bool) -> Took:
    """The engine's curve, with a store that holds nothing. What it evaluates of the original counts, too."""
    began = time.perf_counter()
    points = list(run_sweep(case.plan(amounts), Measurer(workload, store=open_store("sqlite://")), full))
    seconds = time.perf_counter() - began
    assert len(points) == len(amounts)
    assert all(isinstance(point, Measured) for point in points), points
    found = cast("list[Measured]", points)
    work = found[0].of * cast("float", found[0].original.multiply_adds.value)
    work += sum(p.protocol.examples * cast("float", p.variant.multiply_adds.value) for p in found)
    return Took(seconds, sum(p.protocol.examples for p in found), work)


def ceiling() -> float:
    """Multiply-adds a second of this machine: of a product of two matrices on one thread, times its cores."""
    protocol = Protocol.here(threads=1)
    return know_machine(protocol).multiply_adds_per_s * cores()


def settings() -> tuple[int, ...]:
    """The thread counts that the loop is run with: torch's own, and one."""
    return tuple(dict.fromkeys((torch.get_num_threads(), 1)))


def _multiply_adds(model: nn.Module, workload: Workload) -> float:
    return cast("float", multiply_adds(model, workload.example).value)

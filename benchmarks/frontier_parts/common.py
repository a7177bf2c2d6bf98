"""What the tables share: which runs are asked for, how a model is scored, how curves are compared."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import nn

from engine import Context, Recipe, Workload
from engine.examples import Split, batches_of
from engine.examples import run as run_model
from sample_models import load

MODELS = ("fashion_resnet", "spoken_digits", "language_transformer")
SEEDS = (0, 1, 2)
EXAMPLES = 400  # of calibration, for every side
REPAIR: list[object] = ["repair", {"examples": EXAMPLES, "batch_size": EXAMPLES}]
Make = Callable[[Context, float], nn.Module]
Curve = list[tuple[float, float]]


@dataclass(frozen=True)
class Selection:
    """Which runs are asked for; what is not named is taken as each table has it.

    clock    what a budget is counted in, "wall" or "processor"
    quick    the fewest points, to see that it runs
    """

    models: tuple[str, ...] = MODELS
    seeds: tuple[int, ...] = SEEDS
    amounts: tuple[float, ...] = ()
    budgets: tuple[float, ...] = ()
    clock: str = "wall"
    quick: bool = False

    def of(self, all_amounts: Sequence[float]) -> tuple[float, ...]:
        """The amounts, levels or ranks of a table that are asked for."""
        if self.amounts:
            return tuple(amount for amount in all_amounts if amount in self.amounts)
        return tuple(all_amounts)[:: max(1, len(all_amounts) // 2)] if self.quick else tuple(all_amounts)

    def holds(self, row: Mapping[str, object]) -> bool:
        """Whether the row is of a run that is asked for."""
        asked = {"model": self.models, "seed": self.seeds, "amount": self.amounts, "budget": self.budgets}
        return row.get("clock", self.clock) == self.clock and all(
            not values or name not in row or row[name] in values for name, values in asked.items()
        )


@lru_cache(maxsize=1)
def workload_of(name: str) -> Workload:
    """The sample model of that name with its data."""
    return load(name)


def fresh_context(name: str, seed: int) -> Context:
    """A context in which nothing is known yet."""
    return Context.of(workload_of(name), torch.device("cpu"), seed)


@lru_cache(maxsize=1)
def kept_context(name: str, seed: int, way: str) -> Context:
    """The context of one curve, which its points share, as those of a sweep do."""
    return fresh_context(name, seed)


def accuracy(model: nn.Module, workload: Workload, split: Split | None = None) -> float:
    """The task's score, on test where no split is given."""
    total = torch.zeros(())
    model.eval()
    with torch.inference_mode():
        for inputs, targets in batches_of(split or workload.test, 256):
            total = total + workload.task.terms(run_model(model, inputs), targets).double().sum(0)
    return float(workload.task.finish(total))


def size(model: nn.Module) -> int:
    """How many parameters there are."""
    return sum(p.numel() for p in model.parameters())


def zeros(model: nn.Module) -> float:
    """The share of zeros among the weights of two or more dimensions."""
    held = [p for p in model.parameters() if p.dim() >= 2]
    return sum(int((p == 0).sum()) for p in held) / sum(p.numel() for p in held)


def by_recipe(coefficient: str, *steps: list[object]) -> Make:
    """Ours: steps, of which the first is given the amount under that name."""

    def make(context: Context, amount: float) -> nn.Module:
        first = [steps[0][0], {**steps[0][1], coefficient: amount}]  # type: ignore[dict-item]
        return Recipe.of([first, *steps[1:]]).apply_in(context)

    return make


def area(curve: Curve, reach: float) -> float:
    """The mean of accuracy over 0 to `reach` of the parameters removed, straight between the points."""
    total = 0.0
    for (x0, y0), (x1, y1) in itertools.pairwise(curve):
        if x0 >= reach or x1 <= x0:
            continue
        end = min(x1, reach)
        total += (end - x0) * (y0 + (y0 + (y1 - y0) * (end - x0) / (x1 - x0))) / 2
    return total / reach


def height(curve: Curve, x: float) -> float:
    """The curve at x, straight between its points; at its ends beyond them."""
    before = max((point for point in curve if point[0] <= x), default=curve[0])
    after = min((point for point in curve if point[0] >= x), default=curve[-1])
    if after[0] <= before[0]:
        return before[1]
    return before[1] + (after[1] - before[1]) * (x - before[0]) / (after[0] - before[0])


def spread(values: Iterable[float], digits: int = 3) -> str:
    """The mean, and the least and the most where there are several."""
    found = list(values)
    if not found:
        return "–"
    mean = f"{statistics.mean(found):.{digits}f}"
    return mean if len(found) == 1 else f"{mean} ({min(found):.{digits}f} to {max(found):.{digits}f})"

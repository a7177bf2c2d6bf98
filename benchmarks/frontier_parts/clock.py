"""Equal wall-clock: what a budget of seconds is worth to each side, at equal parameter counts.

torch-pruning's model spends it on estimating statistics again, then on fine-tuning; ours on repair, then on
fine-tuning. The budget runs from the start of the estimating or the repair, with nothing known beforehand; pruning
counts on neither side. The loop is the same for both: AdamW, batches of 128, a warm-up over a tenth of what is left
of the budget and then a cosine, by the clock and not by steps, so that it is used to the end. A step is not begun
where it would not fit. Ours is cut by the least share of nodes, in steps of 0.01, at which it is no larger than
torch-pruning's. Each side has the rate that is best on validation in the runs of the first seed, which count in no
budget; the other seeds run at that rate alone. Four rates are tried, of 30 s two.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator
from functools import lru_cache

import torch
from torch import nn

from benchmarks.frontier_parts.common import (
    REPAIR,
    SEEDS,
    Make,
    Selection,
    accuracy,
    by_recipe,
    fresh_context,
    size,
    spread,
    workload_of,
)  # fmt: skip
from benchmarks.frontier_parts.peers import by_torch_pruning, estimated_again
from benchmarks.frontier_parts.results import Results, Row
from engine import Context, Recipe
from engine.copying import structural_copy
from engine.edit.surgery import own_tensors
from engine.edit.training import WEIGHT_DECAY, batches
from engine.errors import SecateurError
from engine.examples import count, run, take

PART = "clock"
AMOUNTS = (0.3, 0.5, 0.7)  # of the nodes, by torch-pruning: about 47, 25 and 9 % of the parameters are left
BUDGETS = (1.0, 5.0, 30.0)  # seconds
RATES = (3e-4, 1e-3, 3e-3, 1e-2)
LONG = 30.0  # seconds, from which on the two rates in the middle are tried alone
BATCH = 128
WARM = 0.1  # of what is left of the budget
THEIRS, OURS = "torch-pruning, statistics", "ours, group norm, repair"
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "processor": time.process_time}
Ready = Callable[[nn.Module, Context], nn.Module]


def repaired(model: nn.Module, context: Context) -> nn.Module:
    """Ours, before fine-tuning."""
    return Recipe.of([REPAIR]).steps[0].edit(model, context)


SIDES: dict[str, Ready] = {THEIRS: estimated_again, OURS: repaired}


def measure(chosen: Selection, results: Results) -> None:
    """Do the runs that are missing."""
    budgets = chosen.budgets or (BUDGETS[:1] if chosen.quick else BUDGETS)
    for name in chosen.models:
        for budget in budgets:
            for amount in chosen.of(AMOUNTS):
                for side in SIDES:
                    key = {"model": name, "amount": amount, "budget": budget, "way": side, "clock": chosen.clock}
                    _seeds(key, chosen, results)


def _seeds(key: Row, chosen: Selection, results: Results) -> None:
    """The first seed at every rate, the others at the best."""
    if pruned(key["model"], key["amount"], key["way"]) is None:
        results.tell(f"{PART}: {key['way']} cannot be cut as far on {key['model']} at {key['amount']}")
        return
    tried = [
        results.done(PART, full, lambda full=full: _run(full))
        for full in ({**key, "seed": SEEDS[0], "rate": rate} for rate in _rates(key["budget"]))
    ]
    rate = max(tried, key=lambda row: row["validation"])["rate"]
    for seed in chosen.seeds:
        full = {**key, "seed": seed, "rate": rate}
        results.done(PART, full, lambda full=full: _run(full))


def _rates(budget: float) -> tuple[float, ...]:
    return RATES[1:3] if budget >= LONG else RATES


@lru_cache(maxsize=8)
def pruned(name: str, amount: float, side: str) -> nn.Module | None:
    """The model of that side before anything is made good; None where ours cannot be cut as far as theirs."""
    context = fresh_context(name, 0)
    heads = any(hasattr(module, "num_heads") for module in context.original.modules())
    theirs = by_torch_pruning(bottleneck=heads)(context, amount)
    if side == THEIRS:
        return theirs
    ours: Make = by_recipe("amount", ["node_pruning", {"form": "group_norm"}])
    for share in range(round(100 * amount) - 5, 100):
        try:
            model = ours(context, share / 100)
        except SecateurError:
            return None
        if size(model) <= size(theirs):
            return model
    return None


def _run(key: Row) -> Row:
    """One model after its budget."""
    start, ready = pruned(key["model"], key["amount"], key["way"]), SIDES[key["way"]]
    assert start is not None
    workload, clock = workload_of(key["model"]), CLOCKS[key["clock"]]
    ready(_own(start), fresh_context(key["model"], key["seed"]))  # whatever is loaded at first use
    step = _seconds_a_step(start, fresh_context(key["model"], key["seed"]), clock)
    context = fresh_context(key["model"], key["seed"])
    began = clock()
    model = ready(_own(start), context)
    prepared = clock() - began
    before = accuracy(model, workload)
    began = clock() - prepared  # scoring takes nothing from the budget
    steps = fine_tune(model, context, key["rate"], step, lambda: clock() - began, key["budget"])
    seconds = clock() - began
    return {
        "parameters": size(model), "left": round(size(model) / size(context.original), 4),
        "prepared": round(prepared, 3), "steps": steps, "seconds": round(seconds, 3), "before": round(before, 4),
        "validation": round(accuracy(model, workload, workload.validation), 4),
        "accuracy": round(accuracy(model, workload), 4),
    }  # fmt: skip


def _own(model: nn.Module) -> nn.Module:
    return own_tensors(structural_copy(model)).requires_grad_(True).eval()


def _seconds_a_step(model: nn.Module, context: Context, clock: Callable[[], float]) -> float:
    """The second of two steps on a copy."""
    times: list[float] = []

    def told() -> float:
        times.append(clock())
        return 0.0 if len(times) < 3 else math.inf

    fine_tune(_own(model), context, 1e-4, 0.0, told, 1.0)
    return times[2] - times[1]


def fine_tune(
    model: nn.Module, context: Context, rate: float, step: float, spent: Callable[[], float], budget: float
) -> int:
    """AdamW until the budget is spent; gives the number of steps.

    step     seconds that the first step will take
    spent    seconds of the budget that are gone
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=WEIGHT_DECAY)
    model.requires_grad_(True).train()
    torch.manual_seed(context.seed)
    start = now = spent()
    x, y = context.train
    steps = 0
    for chosen in batches(count(y), BATCH, 1_000_000, context.seed):
        if now + step > budget:
            break
        at = (now + step - start) / (budget - start)  # where the step will have ended
        for group in optimizer.param_groups:
            group["lr"] = rate * share_of_rate(at)
        loss = context.task.loss(run(model, take(x, chosen)), take(y, chosen))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        steps += 1
        before, now = now, spent()
        step = now - before
    model.eval()
    return steps


def share_of_rate(at: float) -> float:
    """Of the largest rate, at that share of the time: up over the first tenth, then down along a cosine."""
    return at / WARM if at < WARM else 0.5 * (1 + math.cos(math.pi * (at - WARM) / (1 - WARM)))


def table(results: Results) -> Iterator[str]:
    """A row for each model, budget and parameter count: both sides at their own best rates."""
    yield "| model | seconds | parameters left, theirs / ours | before, theirs / ours | theirs | ours | difference |"
    yield "|---|---|---|---|---|---|---|"
    cells = {(r["model"], r["budget"], -r["amount"], r["clock"]) for r in results.rows(PART)}
    for name, budget, amount, clock in sorted(cells):
        key = {"model": name, "budget": budget, "amount": -amount, "clock": clock}
        theirs, ours = (_best(results, {**key, "way": side}) for side in SIDES)
        if not theirs or not ours:
            continue
        left, before = (
            " / ".join(f"{statistics.mean(row[what] for row in rows):.3f}" for rows in (theirs, ours))
            for what in ("left", "before")
        )
        means = [statistics.mean(row["accuracy"] for row in rows) for rows in (theirs, ours)]
        marked = f"{budget:g}" if clock == "wall" else f"{budget:g} of {clock} time"
        difference = f"{means[1] - means[0]:+.3f}"
        yield f"| {name} | {marked} | {left} | {before} | {_side(theirs)} | {_side(ours)} | {difference} |"


def _best(results: Results, key: Row) -> list[Row]:
    """The runs of a side at the rate that was best on validation for the first seed."""
    tried = results.rows(PART, **key, seed=SEEDS[0])
    if not tried:
        return []
    return results.rows(PART, **key, rate=max(tried, key=lambda row: row["validation"])["rate"])


def _side(rows: list[Row]) -> str:
    steps = statistics.mean(row["steps"] for row in rows)
    return f"{spread(row['accuracy'] for row in rows)}, rate {rows[0]['rate']:g}, {steps:.0f} steps"

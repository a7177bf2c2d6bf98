"""The cost of repair, beside one forward pass of the original and one of the variant over the same examples.

Half of the nodes are cut; nothing is known beforehand, as at the first point of a sweep, and then once more with what
the original gives known, as at every later point. Solves are the time inside the solver, rows and moments that of
laying the inputs out and multiplying them. The median of several repeats in the same process, interleaved.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from unittest import mock

import torch
from torch import nn

from benchmarks.frontier_parts.common import EXAMPLES, REPAIR, Selection, fresh_context
from benchmarks.frontier_parts.results import Results, Row
from engine import Context, Recipe
from engine.copying import structural_copy
from engine.edit import repairing
from engine.examples import run as run_model

PART = "cost"
AMOUNT = 0.5
REPEATS = 7
INSIDE = {"solves": ("solve",), "rows": ("inputs_of", "outputs_at", "some_rows_of")}


def measure(chosen: Selection, results: Results) -> None:
    """Do the repeats that are missing."""
    for name in chosen.models:
        steps = [["node_pruning", {"form": "group_norm", "amount": AMOUNT}]]
        for repeat in range(-1, 2 if chosen.quick else REPEATS):  # the first warms up and is not kept
            if repeat >= 0:
                key = {"model": name, "amount": AMOUNT, "repeat": repeat}
                results.done(PART, key, lambda name=name, steps=steps: _times(name, steps))
            elif len(results.rows(PART, model=name)) < REPEATS:
                _times(name, steps)


def _times(name: str, steps: list[object]) -> Row:
    """Seconds of each."""
    context = fresh_context(name, 0)
    variant = Recipe.of(steps).apply_in(context)
    examples = context.examples(EXAMPLES)
    inside = dict.fromkeys((*INSIDE, "moments"), 0.0)
    row = {"examples": EXAMPLES}
    row["forward_original"] = _seconds(lambda: _forward(context.original, examples))
    row["forward_variant"] = _seconds(lambda: _forward(variant, examples))
    with _timed(inside):
        row["repair"] = _seconds(lambda: repaired(variant, context))
        row |= inside
    row["repair_again"] = _seconds(lambda: repaired(variant, context))
    return {label: value if label == "examples" else round(value, 5) for label, value in row.items()}


def repaired(variant: nn.Module, context: Context) -> nn.Module:
    """The variant after repair; the variant itself stays as it is."""
    return Recipe.of([REPAIR]).steps[0].edit(structural_copy(variant), context)


def _forward(model: nn.Module, examples: torch.Tensor) -> None:
    with torch.no_grad():
        run_model(model, examples)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _timed(inside: dict[str, float]) -> ExitStack:
    """While it is open, what the repair spends in its parts is added up."""
    stack = ExitStack()

    def watched(label: str, function: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            began = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                inside[label] += time.perf_counter() - began

        return call

    for label, names in INSIDE.items():
        for name in names:
            stack.enter_context(mock.patch.object(repairing, name, watched(label, getattr(repairing, name))))
    of = repairing.Moments.of
    stack.enter_context(mock.patch.object(repairing.Moments, "of", watched("moments", of)))
    return stack


def table(results: Results) -> Iterator[str]:
    """Medians, and the ratio to the two forward passes."""
    yield (
        "| model | original, ms | variant, ms | repair, ms | of it solves, rows, moments, ms | repair / both | "
        "later points |"
    )
    yield "|---|---|---|---|---|---|---|"
    for name in dict.fromkeys(row["model"] for row in results.rows(PART)):
        rows = results.rows(PART, model=name)
        middle = {label: 1e3 * statistics.median(row[label] for row in rows) for label in rows[0] if _time(label)}
        both = [row["forward_original"] + row["forward_variant"] for row in rows]
        ratios = [sorted(row[one] / b for row, b in zip(rows, both, strict=True)) for one in ("repair", "repair_again")]
        shown = [f"{statistics.median(r):.1f} ({r[0]:.1f} to {r[-1]:.1f})" for r in ratios]
        yield (
            f"| {name} | {middle['forward_original']:.0f} | {middle['forward_variant']:.0f} | {middle['repair']:.0f} | "
            + (
                ", ".join(f"{middle[one]:.0f}" for one in ("solves", "rows", "moments"))
                + f" | {shown[0]} | {shown[1]} |"
            )
        )


def _time(label: str) -> bool:
    return label in ("forward_original", "forward_variant", "repair", "repair_again", "moments", *INSIDE)

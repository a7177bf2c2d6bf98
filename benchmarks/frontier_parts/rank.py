"""Factors: accuracy against the share of parameters left, beside plain singular values at equal parameters.

Every way is a line of WAYS. What is compared is accuracy at the parameter counts of the plain way, read off the other
curves straight between their points. `random`, directions by lot, is the floor: without repair, which would find the
same factors from any.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.frontier_parts.common import (
    REPAIR,
    Curve,
    Selection,
    accuracy,
    by_recipe,
    height,
    kept_context,
    size,
    workload_of,
)  # fmt: skip
from benchmarks.frontier_parts.results import Results, Row
from engine import CannotApply

PART = "rank"
RANKS = (0.1, 0.2, 0.3, 0.4, 0.5)
SHARES = (0.2, 0.35, 0.5, 0.65, 0.8)  # of the parameters, where a form is told how many go
PEER = "plain singular values"


@dataclass(frozen=True)
class Way:
    """Steps of which the first is given each of the values under the coefficient's name."""

    steps: tuple[list[object], ...]
    coefficient: str = "rank"
    values: tuple[float, ...] = RANKS


WAYS: dict[str, Way] = {
    PEER: Way((["structure_optimization", {"form": "low_rank"}],)),
    "ours, random directions": Way((["structure_optimization", {"form": "random"}],)),
    "ours, singular values, repair": Way((["structure_optimization", {"form": "low_rank"}], REPAIR)),
    "ours, whitened, repair": Way((["structure_optimization", {"form": "whitened"}], REPAIR)),
    "ours, budget": Way((["structure_optimization", {"form": "budget"}],), "amount", SHARES),
    "ours, budget, repair": Way((["structure_optimization", {"form": "budget"}], REPAIR), "amount", SHARES),
}


def measure(chosen: Selection, results: Results) -> None:
    """Do the runs that are missing."""
    for name in chosen.models:
        for seed in chosen.seeds:
            for label, way in WAYS.items():
                for value in chosen.of(way.values):
                    key = {"model": name, "way": label, "seed": seed, "amount": value}
                    try:
                        results.done(PART, key, lambda way=way, key=key: _point(way, key))
                    except CannotApply as error:  # ranks of 1 save less than that
                        results.tell(f"{PART}: {error}")


def _point(way: Way, key: Row) -> Row:
    context = kept_context(key["model"], key["seed"], key["way"])
    began = time.perf_counter()
    model = by_recipe(way.coefficient, *way.steps)(context, key["amount"])
    seconds = time.perf_counter() - began
    left = size(model) / size(context.original)
    score = accuracy(model, workload_of(key["model"]))
    return {"left": round(left, 4), "accuracy": round(score, 4), "seconds": round(seconds, 3)}


def table(results: Results) -> Iterator[str]:
    """Accuracy at the parameter counts of the plain way, and the least that a way lies above it."""
    for name in dict.fromkeys(row["model"] for row in results.rows(PART)):
        plain = _curve(results, name, PEER)
        yield f"| {name}: parameters left | " + " | ".join(f"{x:.1%}" for x, _ in plain) + " | least above |"
        yield "|---|" + "---|" * (len(plain) + 1)
        for label in WAYS:
            if curve := _curve(results, name, label):
                scores = [height(curve, x) if curve[0][0] <= x <= curve[-1][0] else None for x, _ in plain]
                above = [y - peer for y, (_, peer) in zip(scores, plain, strict=True) if y is not None]
                cells = ["–" if y is None else f"{y:.3f}" for y in scores]
                least = f"{min(above):+.3f}" if above else "–"
                yield f"| {label} ({_seeds(results, name, label)}) | " + " | ".join(cells) + f" | {least} |"
        yield ""


def _curve(results: Results, name: str, label: str) -> Curve:
    """(share left, mean accuracy over the seeds) for each value, by share."""
    found = []
    for value in WAYS[label].values:
        if rows := results.rows(PART, model=name, way=label, amount=value):
            found.append(tuple(statistics.mean(row[what] for row in rows) for what in ("left", "accuracy")))
    return sorted(found)


def _seeds(results: Results, name: str, label: str) -> str:
    """The widest spread over the seeds."""
    by_value: dict[float, list[float]] = {}
    for row in results.rows(PART, model=name, way=label):
        by_value.setdefault(row["amount"], []).append(row["accuracy"])
    widest = max(max(scores) - min(scores) for scores in by_value.values())
    return f"{max(map(len, by_value.values()))} seeds, ± {widest / 2:.3f}"

"""Zeros: accuracy at each share of zeros, beside torch.nn.utils.prune's global magnitude.

The weights are all parameters of two or more dimensions for every way, and the share of zeros is counted in the model
that is scored. `random`, zeros by lot and then repair, is the floor.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from benchmarks.frontier_parts.common import (
    REPAIR,
    Make,
    Selection,
    accuracy,
    by_recipe,
    kept_context,
    workload_of,
    zeros,
)  # fmt: skip
from benchmarks.frontier_parts.peers import by_torch_prune
from benchmarks.frontier_parts.results import Results, Row

PART = "zeros"
LEVELS = (0.5, 0.7, 0.8, 0.9, 0.95)
PEER = "torch.nn.utils.prune, global magnitude"
FORMS = ("magnitude_global", "magnitude_adaptive", "wanda", "inverse_hessian")


def _ours(form: str, *after: list[object]) -> Make:
    return by_recipe("amount", ["weight_pruning", {"form": form}], *after)


WAYS: dict[str, Make] = {
    PEER: by_torch_prune,
    "ours, random, repair": _ours("random", REPAIR),
    **{f"ours, {form}": _ours(form) for form in FORMS},
    **{f"ours, {form}, repair": _ours(form, REPAIR) for form in FORMS},
}


def measure(chosen: Selection, results: Results) -> None:
    """Do the runs that are missing."""
    for name in chosen.models:
        for seed in chosen.seeds:
            for way, make in WAYS.items():
                for level in chosen.of(LEVELS):
                    key = {"model": name, "way": way, "seed": seed, "amount": level}
                    results.done(PART, key, lambda make=make, key=key: _point(make, key))


def _point(make: Make, key: Row) -> Row:
    context = kept_context(key["model"], key["seed"], key["way"])
    began = time.perf_counter()
    model = make(context, key["amount"])
    seconds = time.perf_counter() - began
    score = accuracy(model, workload_of(key["model"]))
    return {"zeros": round(zeros(model), 4), "accuracy": round(score, 4), "seconds": round(seconds, 3)}


def table(results: Results) -> Iterator[str]:
    """Accuracy at each level, its spread over the seeds, and the least that a way lies above the peer."""
    yield "| model | way | " + " | ".join(f"{level:.0%}" for level in LEVELS) + " | least above the peer |"
    yield "|---|---|" + "---|" * (len(LEVELS) + 1)
    for name in dict.fromkeys(row["model"] for row in results.rows(PART)):
        for way in WAYS:
            cells, above = [], []
            for level in LEVELS:
                mine, peer = (_scores(results, name, one, level) for one in (way, PEER))
                cells.append(_cell(mine))
                if mine and peer:
                    above.append(statistics.mean(mine) - statistics.mean(peer))
            yield f"| {name} | {way} | " + " | ".join(cells) + f" | {min(above):+.3f} |" if above else ""


def _scores(results: Results, name: str, way: str, level: float) -> list[float]:
    return [row["accuracy"] for row in results.rows(PART, model=name, way=way, amount=level)]


def _cell(scores: list[float]) -> str:
    if not scores:
        return "–"
    return f"{statistics.mean(scores):.3f} ± {(max(scores) - min(scores)) / 2:.3f}"

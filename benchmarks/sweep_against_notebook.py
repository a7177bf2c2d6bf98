"""A curve of 21 points by the engine, every one measured, against the loop that a notebook would hold.

Five methods that do not train. The loop deep-copies the model, changes it (by torch alone, torch.nn.utils.prune,
torch-pruning, or an SVD into two factors), evaluates all test examples in batches of 256, and times passes at batch 1
and 64 (5 thrown away, 20 timed). It is run with torch's own number of threads and with one, and the better counts. The
engine starts with an empty store; "to ± 1 point" ends a point's evaluation where the half-width of its paired
difference is known so far or all examples are seen, "full" evaluates all. Loop and engine take turns in one process.
Ratio = loop / engine: above 1 the engine is faster. Aims: 5 to ± 1 point, 1.5 full.

"of all" is the share of the examples that the first of them evaluated. "Of the ceiling" is examples evaluated times
multiply-adds of their variants a second, over the best product of two 512 x 512 matrices on one thread times the cores:
loop, to ± 1 point, full. Timed passes do not count in it. The median of as many runs as the row says; where it says
"1 in 4", the loop does every fourth amount, both ends included, and its time is that times 21 / 6. layer_pruning has
fewer models than points, as there are few blocks; the engine and the loop both take each point anew, but a timing is
shared by all points of one shape in the engine, as everywhere in it.

By itself it leaves out what would take longer than some five minutes. `python -m benchmarks.sweep_against_notebook
MODEL,... [METHOD,...]` does all methods, or those, of the models named; spoken_digits is among them.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator, Sequence

from benchmarks.sweep_parts.cases import AMOUNTS, CASES, Case, Took, by_engine, by_loop, ceiling, settings
from engine import Workload
from sample_models import load

PLANS = {"digits_mlp": (3, 1), "spoken_digits": (1, 1), "fashion_resnet": (1, 4), "language_transformer": (1, 10)}
FIVE_MINUTES = {"digits_mlp": (), "fashion_resnet": (), "language_transformer": ("weight_pruning", "node_pruning")}
AIMS = {"to ± 1 point": 5.0, "full": 1.5}
HEAD = "model | method | loop, s (threads) | to ± 1 point, s | of all | ratio | full, s | ratio | of the ceiling | runs"


def run(models: Sequence[str] = (), methods: Sequence[str] = ()) -> Iterator[str]:
    """A row for each model and method, then how many reach the aims."""
    most, ratios = ceiling(), list[tuple[float, float]]()
    yield f"ceiling: {most / 1e9:.1f} G multiply-adds a second\n\n| {HEAD} |\n|" + "---|" * (HEAD.count("|") + 1)
    for name in models or FIVE_MINUTES:
        workload, wanted = load(name), methods if models else FIVE_MINUTES[name]
        by_engine(CASES[1], AMOUNTS[:2], workload, full=False)  # what is imported and looked up once a process
        for case in CASES:
            if wanted and case.step[0] not in wanted:
                continue
            row, ratio = _row(name, case, workload, most)
            ratios.append(ratio)
            yield row
    yield ""
    for place, (what, aim) in enumerate(AIMS.items()):
        found = [ratio[place] for ratio in ratios]
        reached = sum(ratio >= aim for ratio in found)
        yield f"{what}: {reached} of {len(found)} rows reach {aim}, median {statistics.median(found):.2f}"


def _row(name: str, case: Case, workload: Workload, most: float) -> tuple[str, tuple[float, float]]:
    runs, every = PLANS[name]
    some = AMOUNTS[::every]
    loops: dict[int, list[Took]] = {threads: [] for threads in settings()}
    engine: dict[bool, list[Took]] = {False: [], True: []}
    for _ in range(runs):
        for threads, took in loops.items():
            took.append(by_loop(case, some, workload, threads))
        for full, found in engine.items():
            found.append(by_engine(case, AMOUNTS, workload, full))
    threads = min(loops, key=lambda one: _seconds(loops[one]))
    by_hand = _seconds(loops[threads]) * len(AMOUNTS) / len(some)
    short, full_s = (_seconds(engine[full]) for full in (False, True))
    of_all = engine[False][0].examples / engine[True][0].examples
    shares = " / ".join(f"{_share(took, most):.1%}" for took in (loops[threads], engine[False], engine[True]))
    said = f"{runs}, 1 in {every}" if every > 1 else str(runs)
    row = (
        f"| {name} | {case.step[0]} | {by_hand:.2f} ({threads}) | {short:.2f} | {of_all:.0%} | {by_hand / short:.2f} "
        f"| {full_s:.2f} | {by_hand / full_s:.2f} | {shares} | {said} |"
    )
    return row, (by_hand / short, by_hand / full_s)


def _seconds(took: Sequence[Took]) -> float:
    return statistics.median(one.seconds for one in took)


def _share(took: Sequence[Took], most: float) -> float:
    return statistics.median(one.work / one.seconds for one in took) / most


if __name__ == "__main__":
    for line in run(*(word.split(",") for word in sys.argv[1:])):
        print(line, flush=True)

"""Smaller without training, beside the libraries that there are, in the same run.

`python -m benchmarks.frontier [nodes|clock|zeros|rank|cost ...] [--model NAME] [--seed N] [--amount A] [--budget S]`
does the runs that the results file lacks, one at a time, each kept as soon as it is done, and prints the tables:

    nodes    accuracy against parameters removed, beside torch-pruning
    clock    the same after an equal wall-clock budget of repair and fine-tuning
    zeros    accuracy at each share of zeros, beside torch.nn.utils.prune
    rank     accuracy against parameters left by factors, beside plain singular values
    cost     what repair takes, beside a forward pass

--again does the named runs anew, --quick a few of them with nothing kept, --table none, --clock processor counts the
budgets in processor time, for a machine that others use.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import torch

from benchmarks.frontier_parts import clock, cost, nodes, rank, zeros
from benchmarks.frontier_parts.common import MODELS, SEEDS, Selection
from benchmarks.frontier_parts.results import FILE, Results
from engine import Protocol

PARTS = {part.PART: part for part in (nodes, clock, zeros, rank, cost)}


def run() -> Iterator[str]:
    """The rows of all tables; runs that the results file holds are not done again."""
    yield from tables(tuple(PARTS), Selection(), Results(FILE, print))


def tables(parts: tuple[str, ...], chosen: Selection | None, results: Results) -> Iterator[str]:
    """Do what is missing of these parts, then give their tables. chosen: None does nothing."""
    threads = torch.get_num_threads()
    torch.set_num_threads(Protocol.here().threads)
    for part in parts:
        if chosen is not None:
            PARTS[part].measure(chosen, results)
        yield f"\n### {part}\n{(PARTS[part].__doc__ or '').strip()}\n"
        yield from PARTS[part].table(results)
    torch.set_num_threads(threads)


def main(arguments: list[str] | None = None) -> None:
    """What the command line asks for."""
    parser = argparse.ArgumentParser("benchmarks.frontier", description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS])
    parser.add_argument("--model", action="append", choices=MODELS)
    parser.add_argument("--seed", action="append", type=int)
    parser.add_argument("--amount", action="append", type=float)
    parser.add_argument("--budget", action="append", type=float)
    parser.add_argument("--clock", choices=[*clock.CLOCKS], default="wall")
    for flag in ("--again", "--quick", "--table"):
        parser.add_argument(flag, action="store_true")
    asked = parser.parse_args(arguments)
    parts = tuple(asked.parts or PARTS)
    chosen = Selection(
        tuple(asked.model or MODELS), tuple(asked.seed or SEEDS[: 1 if asked.quick else None]),
        tuple(asked.amount or ()), tuple(asked.budget or ()), asked.clock, asked.quick,
    )  # fmt: skip
    results = Results(None if asked.quick else FILE, lambda line: print(line, flush=True))
    if asked.again:
        for part in parts:
            results.forget(part, lambda row: not chosen.holds(row))
    for line in tables(parts, None if asked.table else chosen, results):
        print(line, flush=True)


if __name__ == "__main__":
    main()

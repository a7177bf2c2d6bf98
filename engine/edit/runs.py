"""Runs of blocks that follow one another, and which of them go together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from torch import Tensor, nn

from engine.edit.blocks import Block, around
from engine.edit.scores import angular_distance
from engine.examples import batches_of, count
from engine.method import Context

Run: TypeAlias = "tuple[int, int]"  # the places of its first and its last block
Choice: TypeAlias = "tuple[int, float, tuple[Run, ...]]"  # how many runs, how far they turn together, which
BATCH = 64  # the inputs of all blocks are held at once


def chains(blocks: Sequence[Block]) -> list[list[int]]:
    """The places of blocks that stand in one row, each one's input the former's output; every block is in one row."""
    place = {block.path: i for i, block in enumerate(blocks)}
    rows: dict[int, list[int]] = {}
    for i, block in enumerate(blocks):
        row = rows.pop(place[block.follows], []) if block.follows in place else []  # only the end of a row goes on
        rows[i] = [*row, i]
    return sorted(rows.values())


def distances(model: nn.Module, blocks: Sequence[Block], context: Context, examples: int) -> dict[Run, float]:
    """For every run of blocks in a row, how far it turns what it is given: the angular distance over the examples."""
    row_of = {i: row for row in chains(blocks) for i in row}
    place = {block.path: i for i, block in enumerate(blocks)}
    sums: dict[Run, float] = {}
    inputs = context.examples(examples)
    before: dict[int, Tensor] = {}

    def visit(block: Block, given: Tensor, gave: Tensor) -> None:
        last = place[block.path]
        before[last] = given
        row = row_of[last]
        for first in row[: row.index(last) + 1]:
            turned = angular_distance(before[first], gave, not blocks[first].convolutional)
            sums[first, last] = sums.get((first, last), 0.0) + float(turned) * len(gave)

    for batch, _ in batches_of((inputs, inputs), BATCH):
        context.channel.check()
        around(model, blocks, batch, visit)
    return {run: total / count(inputs) for run, total in sums.items()}


def nearest_runs(rows: Sequence[Sequence[int]], distance: Mapping[Run, float], goes: int) -> list[int]:
    """The places of `goes` blocks: the one run of that length which turns its input least, and where no row is that
    long the fewest runs, those of them that together turn their inputs least.

    rows        of places, as `chains` gives them; between two runs that go out of one row a block stays
    distance    of each run

    A dynamic programme over the rows and, in a row, over its blocks. The earlier one goes among equals.
    """
    best: dict[int, Choice] = {0: (0, 0.0, ())}
    for row in rows:
        inside = _in_row(row, distance)
        joined: dict[int, Choice] = {}
        for taken, (runs, far, which) in best.items():
            for more, (others, turned, what) in inside.items():
                if taken + more <= goes:
                    _better(joined, taken + more, (runs + others, far + turned, which + what))
        best = joined
    return sorted(i for row in rows for i in row if any(a <= i <= b and a in row for a, b in best[goes][2]))


def _in_row(row: Sequence[int], distance: Mapping[Run, float]) -> dict[int, Choice]:
    """For each number of blocks, the best choice out of this row."""
    upto: list[dict[int, Choice]] = [{0: (0, 0.0, ())}]  # of the first n blocks
    for n in range(1, len(row) + 1):
        here = dict(upto[n - 1])
        for first in range(n):
            run = row[first], row[n - 1]
            for taken, (runs, far, which) in upto[max(first - 1, 0)].items():
                _better(here, taken + n - first, (runs + 1, far + distance[run], (*which, run)))
        upto.append(here)
    return upto[-1]


def _better(found: dict[int, Choice], taken: int, choice: Choice) -> None:
    if taken not in found or choice[:2] < found[taken][:2]:
        found[taken] = choice

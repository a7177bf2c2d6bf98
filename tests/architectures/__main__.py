"""Run the full matrix and write the table: `python -m tests.architectures [NAME ...]`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence

import torch

from engine import unknown
from tests.architectures.every import ARCHITECTURES
from tests.architectures.matrix import Outcome, cases, outcomes
from tests.architectures.table import FILE, Table


def full(names: Sequence[str]) -> Iterator[tuple[str, list[Outcome]]]:
    """What becomes of every case of each architecture."""
    for name in names:
        if name not in ARCHITECTURES:
            raise unknown("architecture", name, ARCHITECTURES)
        yield name, list(outcomes(cases(name)))


def main(names: list[str]) -> None:
    """Print a line for each architecture, one for each fault, and rewrite its rows."""
    torch.set_num_threads(1)
    table = Table.read() if names and FILE.exists() else Table()
    for name, found in full(names or list(ARCHITECTURES)):
        table.put(name, found)
        counted = Counter(one.status for one in found)
        print(f"{name:22} {sum(one.seconds for one in found):6.1f} s  {dict(counted)}", flush=True)
        for one in found:
            if one.status in ("broken", "error"):
                print(f"    {one.case}: {one.reason} {one.where}", flush=True)
    table.write()


if __name__ == "__main__":
    main(sys.argv[1:])

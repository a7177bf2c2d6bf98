"""Every form of every method at three strengths on every architecture of tests/architectures, and what is left out.

Shares are of the parameters that each method's default form takes away at its strongest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import torch

from tests.architectures.__main__ import full
from tests.architectures.every import ARCHITECTURES
from tests.architectures.table import REMOVERS, Table


def run() -> Iterator[str]:
    """A row for each architecture, then whatever differs from the committed table."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    committed, different = Table.read(), []
    yield "| architecture | parameters | cases | not accepted | " + " | ".join(REMOVERS) + " | s |"
    yield "|---|---|---|---|" + "---|" * len(REMOVERS) + "---|"
    for name, found in full(list(ARCHITECTURES)):
        here = Table()
        here.put(name, found)
        different += committed.differences(found)
        left = Counter(one.case.method for one in found if one.status != "accepted")
        refused = ", ".join(f"{method} {n}" for method, n in sorted(left.items())) or "-"
        shares = " | ".join(f"{here.removed[name][method]:.0%}" for method in REMOVERS)
        size = max(one.parameters[0] for one in found)
        seconds = sum(one.seconds for one in found)
        yield f"| {name} | {size:,} | {len(found)} | {refused} | {shares} | {seconds:.1f} |"
    yield from ["", f"{len(different)} cases differ from the committed table", *different]
    torch.set_num_threads(threads)

"""Sums over resamples of examples, for bootstrap intervals: one way for every score."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import torch
from torch import Tensor

RESAMPLES = 1000
AT_ONCE = 50  # resamples: as double precision they stay in the cache
KEPT = 2**25  # counts, of a byte each


def resampled_sums(values: Tensor, seed: int = 0) -> Tensor:
    """The sums of RESAMPLES draws with replacement of as many examples: (RESAMPLES, k), double.

    values    (n, k): what each example adds

    Σ_i c_ri · v_i, where c_ri says how often resample r took example i. Equal n and seed take the same examples, so
    that two scores of the same examples can be subtracted. Source: Efron, Bootstrap methods, Annals of Statistics 1979.
    """
    n, wide = len(values), values.double()
    counts = _kept(n, seed) if n * RESAMPLES <= KEPT else _drawn(n, seed)
    room = torch.empty(
        AT_ONCE, n, dtype=torch.float64
    )  # one for all: fetching as much anew costs more than the product
    return torch.cat([room.copy_(some) @ wide for some in counts])


@lru_cache(maxsize=4)
def _kept(n: int, seed: int) -> tuple[Tensor, ...]:
    # A curve asks for the same counts at each of its points; drawing them costs more than all products with them.
    return tuple(_drawn(n, seed))


def _drawn(n: int, seed: int) -> Iterator[Tensor]:
    """How often each resample takes each example: (AT_ONCE, n) at a time. By 1 on average, so a byte holds it."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(RESAMPLES // AT_ONCE):
        yield _counts(AT_ONCE, n, generator).byte()


def _counts(resamples: int, n: int, generator: torch.Generator) -> Tensor:
    """How often each resample takes each example: (resamples, n)."""
    chosen = torch.randint(n, (resamples, n), generator=generator)
    return torch.zeros(resamples, n).scatter_add_(1, chosen, torch.ones(1).expand(resamples, n))

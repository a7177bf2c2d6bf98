"""Sums over resamples of examples, for bootstrap intervals: one way for every score."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

RESAMPLES = 1000
AT_ONCE = 50  # resamples, where all of them would not be kept
KEPT = 2**23  # counts: 32 MB


def resampled_sums(values: Tensor, seed: int = 0) -> Tensor:
    """The sums of RESAMPLES draws with replacement of as many examples: (RESAMPLES, k), double.

    values    (n, k): what each example adds

    Σ_i c_ri · v_i, where c_ri says how often resample r took example i. Equal n and seed take the same examples, so
    that two scores of the same examples can be subtracted. Source: Efron, Bootstrap methods, Annals of Statistics 1979.
    """
    n, wide = len(values), values.double()
    if n * RESAMPLES <= KEPT:
        return _kept(n, seed).double() @ wide
    generator = torch.Generator().manual_seed(seed)
    return torch.cat([_counts(AT_ONCE, n, generator).double() @ wide for _ in range(RESAMPLES // AT_ONCE)])


@lru_cache(maxsize=4)
def _kept(n: int, seed: int) -> Tensor:
    # A curve asks for the same counts at each of its points; drawing them costs more than all products with them.
    return _counts(RESAMPLES, n, torch.Generator().manual_seed(seed))


def _counts(resamples: int, n: int, generator: torch.Generator) -> Tensor:
    """How often each resample takes each example: (resamples, n)."""
    chosen = torch.randint(n, (resamples, n), generator=generator)
    return torch.zeros(resamples, n).scatter_add_(1, chosen, torch.ones(1).expand(resamples, n))

"""Which weights become zero, and what the others make up for."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 128  # columns that are chosen from together


def adaptive_scores(weight: Tensor) -> Tensor:
    """w² / Σ v² over all weights v of the layer that are no smaller: same shape; the largest of a layer scores 1.

    Source: Lee et al., Layer-adaptive sparsity for the magnitude-based pruning, arXiv 2010.07611.
    """
    squares = weight.flatten().double().square()
    order = squares.argsort()
    rest = squares[order].flip(0).cumsum(0).flip(0)  # of this one and all above it
    scores = torch.zeros_like(squares)
    scores[order] = squares[order] / rest.clamp_min(torch.finfo(squares.dtype).tiny)
    return scores.view_as(weight)


def places_in_groups(sizes: Tensor, m: int) -> Tensor:
    """Of every m that follow one another in a node's weights, which is the largest (1), the next (2), and so on; the
    later one before among equals. What is left over at the end is a group of its own. int32, same shape.

    sizes    (nodes, ...)
    """
    rows = sizes.flatten(1)
    places = torch.empty_like(rows, dtype=torch.int32)
    for start in range(0, rows.shape[1], m):
        part = rows[:, start : start + m]
        ranked = torch.arange(part.shape[1], 0, -1, dtype=torch.int32, device=rows.device).expand(part.shape)
        places[:, start : start + m].scatter_(1, part.argsort(dim=1, stable=True), ranked)
    return places.view_as(sizes)


def row_ranks(scores: Tensor) -> Tensor:
    """How many of each node's weights score less, the earlier ones among equals: (nodes, weights), int32."""
    rows = scores.flatten(1)
    ranked = torch.arange(rows.shape[1], dtype=torch.int32, device=rows.device).expand(rows.shape)
    return torch.empty_like(rows, dtype=torch.int32).scatter_(1, rows.argsort(dim=1, stable=True), ranked)


def row_mask(ranks: Tensor, amount: float) -> Tensor:
    """False for the lowest of each node's n weights. amount · n of each, rounded so that of all nodes together it is
    the rounded amount.

    ranks    (nodes, n), see `row_ranks`
    """
    ends = [round(amount * ranks.shape[1] * node) for node in range(len(ranks) + 1)]
    goes = torch.tensor(ends, device=ranks.device).diff()
    return ranks >= goes[:, None]


def inverse_root(moment: Tensor) -> Tensor:
    """The upper root R of A^(−1) = Rᵀ·R, double.

    moment    A = X^T X, damped: (inputs, inputs)
    """
    root: Tensor = torch.linalg.cholesky(torch.linalg.inv(moment.double()), upper=True)
    return root


def compensated(weight: Tensor, root: Tensor, amount: float) -> Tensor:
    """The weight with round(amount · n) of its n entries at zero, each taken out at what its loss costs,
    w² / [A^(−1)]_jj, and made up for by the entries to its right: (nodes, inputs), double.

    weight    (nodes, inputs); its zeros stay
    root      of A^(−1), A = X^T X, damped: (inputs, inputs), see `inverse_root`

    Source: Frantar and Alistarh, SparseGPT, arXiv 2301.00774; Hassibi and Stork, Optimal brain surgeon, NIPS 1992.
    """
    w = weight.double().clone(memory_format=torch.contiguous_format)  # it may be another one's transpose
    dead = w == 0
    for start in range(0, w.shape[1], BLOCK):
        end = min(start + BLOCK, w.shape[1])
        cost = (w[:, start:end] / root.diagonal()[start:end]).square()
        goes = round(amount * len(w) * end) - round(amount * len(w) * start)
        gone = dead[:, start:end].clone()
        gone.view(-1)[cost.masked_fill(gone, -1).flatten().argsort(stable=True)[:goes]] = True
        errors = torch.zeros_like(cost)
        for column in range(start, end):
            lost = torch.where(gone[:, column - start], w[:, column], 0.0) / root[column, column]
            w[:, column:end] -= lost[:, None] * root[column, column:end]
            errors[:, column - start] = lost
        w[:, end:] -= errors @ root[start:end, end:]
        w[:, start:end][gone] = 0
    return w

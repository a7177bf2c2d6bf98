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


def n_of_m_mask(sizes: Tensor, n: int, m: int) -> Tensor:
    """True for the n largest of every m that follow one another in a node's weights; what is left over at the end is
    a group of its own.

    sizes    (nodes, ...)
    """
    rows = sizes.flatten(1)
    keep = torch.ones_like(rows, dtype=torch.bool)
    for start in range(0, rows.shape[1], m):
        part = rows[:, start : start + m]
        goes = max(part.shape[1] - n, 0)
        places = part.argsort(dim=1, stable=True)[:, :goes] + start
        keep.scatter_(1, places, False)
    return keep.view_as(sizes)


def row_mask(scores: Tensor, amount: float) -> Tensor:
    """False for the lowest of each node's n weights: (nodes, ...). amount · n of each, rounded so that of all nodes
    together it is the rounded amount.
    """
    rows = scores.flatten(1)
    ends = [round(amount * rows.shape[1] * node) for node in range(len(rows) + 1)]
    goes = torch.tensor(ends, device=rows.device).diff()
    ranks = rows.argsort(dim=1, stable=True).argsort(dim=1)
    return (ranks >= goes[:, None]).view_as(scores)


def compensated(weight: Tensor, moment: Tensor, amount: float) -> Tensor:
    """The weight with round(amount · n) of its n entries at zero, each taken out at what its loss costs,
    w² / [A^(−1)]_jj, and made up for by the entries to its right: (nodes, inputs), double.

    weight    (nodes, inputs); its zeros stay
    moment    A = X^T X, damped: (inputs, inputs)

    Source: Frantar and Alistarh, SparseGPT, arXiv 2301.00774; Hassibi and Stork, Optimal brain surgeon, NIPS 1992.
    """
    w = weight.double().clone(memory_format=torch.contiguous_format)  # it may be another one's transpose
    dead = w == 0
    root: Tensor = torch.linalg.cholesky(torch.linalg.inv(moment.double()), upper=True)
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

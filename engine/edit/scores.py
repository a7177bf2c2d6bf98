"""How much a weight, a node or a block matters."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def removed_of(amount: float, n: int) -> int:
    """round(amount · n), and at least one of n stays."""
    return min(round(amount * n), n - 1)


def magnitude_masks(tensors: Sequence[Tensor], amount: float, together: bool) -> list[Tensor]:
    """For each tensor, True where a weight stays: exactly round(amount · n) of the smallest go.

    together    rank all tensors as one, else each by itself; as one, a hundredth of each stays whatever it is, and at
                least one weight, as far as the amount leaves that many
    """
    if not together:
        return [_mask(t.abs().flatten(), amount).view_as(t) for t in tensors]
    if not tensors:
        return []
    total = sum(t.numel() for t in tensors)
    kept = floors([t.numel() for t in tensors], total - round(amount * total))
    joint = _mask(torch.cat([_safe(t.abs().flatten(), n) for t, n in zip(tensors, kept, strict=True)]), amount)
    parts: tuple[Tensor, ...] = joint.split([t.numel() for t in tensors])
    return [part.view_as(t) for part, t in zip(parts, tensors, strict=True)]


def floors(sizes: Sequence[int], stays: int, share: float = 0.01) -> list[int]:
    """How many weights of each layer stay whatever they are: a hundredth, at least one, as far as `stays` reaches."""
    wanted = [max(int(share * n), 1) for n in sizes]
    if sum(wanted) <= stays:
        return wanted
    return [n * stays // max(sum(sizes), 1) for n in sizes]


def _safe(sizes: Tensor, n: int) -> Tensor:
    """The n largest made larger than any other, the later ones among equals."""
    return sizes.index_fill(0, sizes.argsort(stable=True)[len(sizes) - n :], torch.inf)


def _mask(sizes: Tensor, amount: float) -> Tensor:
    """sizes: (n,); the earlier one goes first among equals."""
    keep = torch.ones_like(sizes, dtype=torch.bool)
    goes = round(amount * len(sizes))
    if goes == 0:
        return keep
    limit = sizes.kthvalue(goes).values
    keep[sizes < limit] = False
    equal = (sizes == limit).nonzero().flatten()
    keep[equal[: goes - int((sizes < limit).sum())]] = False
    return keep


def drawn(n: int, seed: int, place: int = 0) -> Tensor:
    """Scores that say nothing, the same for the same seed and place: (n,), double, hardly ever two alike."""
    return torch.rand(n, generator=torch.Generator().manual_seed(1_000_003 * seed + place), dtype=torch.float64)


def lowest(scores: Tensor, n: int) -> list[int]:
    """The places of the n lowest scores, in ascending order of place; the earlier one goes first among equals."""
    return sorted(scores.argsort(stable=True)[:n].tolist())


def block_influence(before: Tensor, after: Tensor, per_place: bool) -> Tensor:
    """1 − E cos(x_l, x_{l+1}): how much a block turns its input; a scalar.

    before, after    (n, ...); one vector an example, or one a place along the last axis where `per_place`
    """
    return 1 - F.cosine_similarity(_vectors(before, per_place), _vectors(after, per_place), dim=1).mean()


def angular_distance(before: Tensor, after: Tensor, per_place: bool) -> Tensor:
    """E arccos(cos(x_l, x_{l+n})) / π: how far a run of blocks turns what it is given, 0 to 1; a scalar.

    before, after    (n, ...); one vector an example, or one a place along the last axis where `per_place`
    """
    x, y = _vectors(before, per_place), _vectors(after, per_place)
    return F.cosine_similarity(x, y, dim=1).clamp(-1, 1).arccos().mean() / torch.pi


def _vectors(tensor: Tensor, per_place: bool) -> Tensor:
    return (tensor.flatten(0, -2) if per_place else tensor.flatten(1)).double()

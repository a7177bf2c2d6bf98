"""How much a weight, a node or a block matters."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.edit.ranking import JointThreshold, in_turn

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def removed_of(amount: float, n: int) -> int:
    """round(amount · n), and at least one of n stays."""
    return min(round(amount * n), n - 1)


def magnitude_masks(tensors: Sequence[Tensor], amount: float) -> list[Tensor]:
    """For each tensor, True where a weight stays: exactly round(amount · n) of the smallest of all tensors together go.

    A hundredth of each stays whatever it is, and at least one weight, as far as the amount leaves that many.
    """
    if not tensors:
        return []
    sizes, total = in_turn([t.abs() for t in tensors]), sum(t.numel() for t in tensors)
    goes = round(amount * total)
    kept = floors([t.numel() for t in tensors], total - goes)
    limit = JointThreshold(goes, JointThreshold.floors_of(sizes, kept)).find(sizes)
    return [limit.stays(place, one) for place, one in enumerate(sizes())]


def floors(sizes: Sequence[int], stays: int, share: float = 0.01) -> list[int]:
    """How many weights of each layer stay whatever they are: a hundredth, at least one, as far as `stays` reaches."""
    wanted = [max(int(share * n), 1) for n in sizes]
    if sum(wanted) <= stays:
        return wanted
    return [n * stays // max(sum(sizes), 1) for n in sizes]


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

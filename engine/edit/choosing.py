"""How many nodes go of which group."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.edit.groups import CoupledGroup
from engine.edit.scores import lowest, removed_of

Chosen = list[tuple[CoupledGroup, list[int]]]
HALVINGS = 10  # of the share that meets a budget


@dataclass(frozen=True)
class Rules:
    """What every choice must keep to.

    together    rank the nodes of all groups as one, each score beside the mean of its group; else each group by itself
    most        the largest share of a group that goes
    multiple    what stays of a layer is a multiple of it, as far as there are as many
    """

    together: bool = False
    most: float = 1.0
    multiple: int = 1


def choose(groups: Sequence[CoupledGroup], scores: Sequence[Tensor], share: float, rules: Rules) -> Chosen:
    """The lowest nodes: round(share · n) of each group, or of all of them together; at least one of each stays.

    scores    for each group (nodes,)
    """
    limits = [removed_of(rules.most, group.nodes) for group in groups]
    if rules.together:
        wanted = _together(scores, limits, share)
    else:
        wanted = [min(removed_of(share, len(s)), limit) for s, limit in zip(scores, limits, strict=True)]
    counts = [_rounded(group, n, rules.multiple) for group, n in zip(groups, wanted, strict=True)]
    return [(group, lowest(s, n)) for group, s, n in zip(groups, scores, counts, strict=True)]


def _together(scores: Sequence[Tensor], limits: Sequence[int], share: float) -> list[int]:
    """How many go of each group where all are ranked together: round(share · n) of all, as far as limits allow."""
    beside = [s / s.abs().mean().clamp_min(torch.finfo(s.dtype).tiny) for s in scores]
    owner = torch.cat([torch.full((len(s),), i) for i, s in enumerate(scores)])
    counts, left = [0] * len(scores), round(share * len(owner))
    for group in owner[torch.cat(beside).argsort(stable=True)].tolist():
        if left and counts[group] < limits[group]:
            counts[group] += 1
            left -= 1
    return counts


def _rounded(group: CoupledGroup, goes: int, multiple: int) -> int:
    """The same number or fewer, so that the width of the group's first layer that stays is a multiple."""
    step = multiple // math.gcd(multiple, group.each)
    stays = -(-(group.nodes - goes) // step) * step
    return max(group.nodes - stays, 0)


def within_budget(
    amount: float, choice: Callable[[float], Chosen], saved: Callable[[Chosen], float]
) -> tuple[Chosen, float]:
    """The choice by the smallest share of nodes that saves this much, and what it saves; else the largest choice.

    saved    of a choice, the share of the budget that it saves: it can only grow with the share of nodes
    """
    low, high = 0.0, 1.0
    best = choice(high)
    reached = saved(best)
    if reached < amount:
        return best, reached
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        found = choice(middle)
        value = saved(found)
        if value >= amount:
            high, best, reached = middle, found, value
        else:
            low = middle
    return best, reached

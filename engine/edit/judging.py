"""What a model is worth on validation, and which blocks it can best do without."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import nn

from engine.copying import structural_copy
from engine.edit.blocks import Block, take_out
from engine.examples import Split, batches_of, count, placed, run, take
from engine.method import Context

Worth: TypeAlias = "tuple[float, float]"  # the score, and the loss with its sign turned: the larger pair is better
BATCH = 256


def validation_part(context: Context, most: int) -> Split:
    """At most so many examples of the validation split, drawn by the seed where there are more."""
    inputs, targets = context.validation
    n = count(targets)
    if n <= most:
        return inputs, targets
    chosen = torch.randperm(n, generator=torch.Generator().manual_seed(context.seed))[:most]
    return take(inputs, chosen), take(targets, chosen)


@torch.no_grad()
def worth(model: nn.Module, context: Context, part: Split) -> Worth:
    """The task's score on examples, as far as it is a number, and by the loss where that ties. The model is in eval
    mode and stays so.
    """
    total, loss, task = torch.zeros(()), 0.0, context.task
    for inputs, targets in batches_of(part, BATCH):
        context.channel.check()
        wanted = placed(targets, context.device)
        outputs = run(model, placed(inputs, context.device))
        total = total + task.terms(outputs, wanted).double().sum(0).cpu()
        loss += float(task.loss(outputs, wanted)) * count(targets)
    score = float(task.finish(total))
    return (-math.inf if math.isnan(score) else score), (-math.inf if math.isnan(loss) else -loss / count(part[1]))


class GreedyOrder:
    """In which order blocks go, one after another, each time the one without which the model is worth most.

    The order is found as far as it has been asked for, and what goes first does not hang on how many go.

    blocks    in the order in which they run
    most      validation examples on which is judged
    """

    def __init__(self, model: nn.Module, blocks: Sequence[Block], most: int) -> None:
        self._model, self._blocks, self._most = structural_copy(model), list(blocks), most
        self._order: list[int] = []

    def first(self, goes: int, context: Context) -> list[int]:
        """The places of the blocks that go first; the later one goes first among equals."""
        part = validation_part(context, self._most)
        while len(self._order) < goes:
            left = [i for i in range(len(self._blocks)) if i not in self._order]
            values = [(self._without(i, context, part), i) for i in left]
            self._order.append(max(values)[1])
        return sorted(self._order[:goes])

    def _without(self, place: int, context: Context, part: Split) -> Worth:
        gone = sorted([*self._order, place])
        tried = take_out(structural_copy(self._model), [self._blocks[i] for i in gone])
        return worth(tried, context, part)

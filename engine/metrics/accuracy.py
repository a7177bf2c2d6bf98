"""A model over a split: what each example adds to the task's score."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.errors import InvalidInput
from engine.examples import Split, count, main_tensor, placed, run, take
from engine.method import Channel
from engine.metrics.answers import Answers
from engine.metrics.begun import Begun, ask_whole
from engine.metrics.record import in_eval_mode
from engine.metrics.side_by_side import answers_to
from engine.metrics.so_far import FIRST, SoFar
from engine.task import Task

BATCH = 256
ELEMENTS = 2**24  # of an answer held at once: a language model says one number for each word that it knows


def score_terms(
    model: nn.Module, task: Task, split: Split, device: torch.device, channel: Channel | None = None
) -> Tensor:
    """What each example adds to the score: (examples, k), on the CPU, in double precision."""
    return evaluate(model, task, split, device, channel).terms[0]


def all_terms(model: nn.Module, task: Task, split: Split, device: torch.device) -> list[Tensor]:
    """What each example adds to the score, and to each of the task's others."""
    return evaluate(model, task, split, device).terms


@dataclass(frozen=True)
class Evaluated:
    """What a model made of the examples of a split.

    terms      what each adds to the score, and to each of the task's others: (examples, k) each, in double precision
    answers    what is kept of it
    places     of the examples in the split: in its order where all of them were evaluated, else in the order drawn
    """

    terms: list[Tensor]
    answers: Answers
    places: Tensor


def drawn_order(n: int, seed: int = 0) -> Tensor:
    """The order in which the n examples of a split are evaluated, the same for every model: (n,)."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))


def evaluate(
    model: nn.Module,
    task: Task,
    split: Split,
    where: torch.device | Begun,
    channel: Channel | None = None,
    so_far: SoFar | None = None,
) -> Evaluated:
    """Run the model over a split, in eval mode, and put its mode back again.

    where     the device, or what is kept of the split for models that begin alike
    so_far    what is made of the first examples: it may end the evaluation; default: all are evaluated
    """
    made = so_far or SoFar(task)
    order = drawn_order(count(split[1]), made.seed)
    found = _Terms(task)
    if isinstance(where, Begun):
        split = where.split
    device = where.device if isinstance(where, Begun) else where
    with in_eval_mode(model), torch.inference_mode():
        batches = _drawn(split, order, _batch(model, split, device))
        ask = where.plan(model) if isinstance(where, Begun) else ask_whole
        with closing(answers_to(model, batches, device, ask)) as answers:
            for targets, outputs in answers:
                (channel or Channel()).check()
                found.add(outputs, targets)
                terms = torch.cat(found.parts[0])
                _tell(channel, made, terms, len(order))
                if made.enough(terms, len(order)):
                    break
    return found.all(order)


def _drawn(split: Split, order: Tensor, size: int) -> Iterator[Split]:
    """The pairs (inputs, targets) in that order, `size` examples at a time, at first half as many: two go at once."""
    half = min(size // 2 or 1, len(order))
    begun = min(half, len(order) - half)
    for places in (*order[: half + begun].split(half), *order[half + begun :].split(size)):
        if len(places):
            yield take(split[0], places), take(split[1], places)


def _tell(channel: Channel | None, so_far: SoFar, terms: Tensor, of: int) -> None:
    """Say what is known so far, as often as somebody can read it: the first and the last of it at once."""
    n = len(terms)
    if channel is None or n < min(FIRST, of):
        return
    at_once = n in (min(BATCH, of), of)
    if at_once or channel.due():
        known = so_far.estimate(terms, of)
        figures = {"accuracy": known.value, "low": known.low, "high": known.high}
        channel.report({"examples": n, "of": of, **figures}, at_once)


class _Terms:
    """What has been said to the examples so far."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._takers = [task.terms, *(other.terms for other in task.others)]
        self.parts: list[list[Tensor]] = [[] for _ in self._takers]
        self._said: list[Tensor] = []

    def add(self, outputs: Any, targets: Any) -> None:
        """Take a batch's answers in."""
        _check_range(self._task, main_tensor(outputs), targets)
        broken = main_tensor(outputs).reshape(count(targets), -1).isnan().any(1)
        for take_terms, found in zip(self._takers, self.parts, strict=True):
            added = take_terms(outputs, targets).double()
            added[broken] = torch.nan  # else argmax would call them class 0
            found.append(added)
        if self._task.says_one_class:
            self._said.append(torch.stack(main_tensor(outputs).softmax(1).max(1), 1))  # examples, (share, class)

    def all(self, order: Tensor) -> Evaluated:
        """All of it: in the split's order where every example was evaluated."""
        places = order[: sum(map(len, self.parts[0]))]
        as_they_lie = places.argsort() if len(places) == len(order) else torch.arange(len(places))
        terms = [torch.cat(found)[as_they_lie] for found in self.parts]
        if not self._said:
            return Evaluated(terms, Answers(terms[0]), places[as_they_lie])
        confidence, predicted = torch.cat(self._said)[as_they_lie].unbind(1)
        return Evaluated(terms, Answers(terms[0], predicted.int(), confidence), places[as_they_lie])


def _batch(model: nn.Module, split: Split, device: torch.device) -> int:
    """How many examples are scored at once."""
    size = main_tensor(run(model, placed(take(split[0], slice(1)), device))).numel()
    return max(1, min(BATCH, ELEMENTS // max(1, size)))


def _check_range(task: Task, outputs: Tensor, targets: Any) -> None:
    """Raise InvalidInput where a target is a class or token that the model has no output for."""
    if not task.counts_classes or not isinstance(targets, Tensor):
        return
    width, low, high = outputs.shape[-1], int(targets.min()), int(targets.max())
    if high >= width or (low < 0 and task.name == "classification"):
        key = "a target must be from 0 to {most}, as the model has {width} outputs, got {got}: number them from 0"
        raise InvalidInput(key, most=width - 1, width=width, got=high if high >= width else low)

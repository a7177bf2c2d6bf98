"""The task's score on a split, with its interval."""

from __future__ import annotations

import copy
import math
from collections.abc import MutableMapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from engine.errors import InvalidInput
from engine.examples import Split, batches_of, count, main_tensor, placed, run, take
from engine.method import Channel
from engine.metrics.answers import Answers
from engine.metrics.record import Estimate, in_eval_mode
from engine.task import Score, Task

BATCH = 256
ELEMENTS = 2**24  # of an answer held at once: a language model says one number for each word that it knows
RESAMPLES = 1000


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
    """What a model made of every example of a split, in its order.

    terms      what each adds to the score, and to each of the task's others: (examples, k) each, in double precision
    answers    what is kept of it
    """

    terms: list[Tensor]
    answers: Answers


def evaluate(
    model: nn.Module, task: Task, split: Split, device: torch.device, channel: Channel | None = None
) -> Evaluated:
    """Run the model over a split, in eval mode, and put its mode back again."""
    line = channel or Channel()
    takers = [task.terms, *(other.terms for other in task.others)]
    parts: list[list[Tensor]] = [[] for _ in takers]
    said: list[Tensor] = []
    with in_eval_mode(model), torch.inference_mode():
        for inputs, targets in batches_of(split, _batch(model, split, device)):
            line.check()
            outputs = _on_cpu(run(model, placed(inputs, device)))
            _check_range(task, main_tensor(outputs), targets)
            broken = main_tensor(outputs).reshape(count(targets), -1).isnan().any(1)
            for take_terms, found in zip(takers, parts, strict=True):
                added = take_terms(outputs, targets).double()
                added[broken] = torch.nan  # else argmax would call them class 0
                found.append(added)
            if task.says_one_class:
                said.append(torch.stack(main_tensor(outputs).softmax(1).max(1), 1))  # examples, (share, class)
            so_far = torch.cat(parts[0])
            known = float(task.finish(so_far.sum(0)))
            line.report({"examples": len(so_far), "of": count(split[1]), "accuracy": known})
    terms = [torch.cat(found) for found in parts]
    if not said:
        return Evaluated(terms, Answers(terms[0]))
    confidence, predicted = torch.cat(said).unbind(1)
    return Evaluated(terms, Answers(terms[0], predicted.int(), confidence))


def _batch(model: nn.Module, split: Split, device: torch.device) -> int:
    """How many examples are scored at once."""
    size = main_tensor(run(model, placed(take(split[0], slice(1)), device))).numel()
    return max(1, min(BATCH, ELEMENTS // max(1, size)))


def _on_cpu(outputs: Any) -> Any:
    """The same answer, its tensors on the CPU, in single precision at least."""
    if isinstance(outputs, Tensor):
        moved = outputs.cpu()
        return moved.float() if moved.is_floating_point() and moved.dtype != torch.float64 else moved
    if isinstance(outputs, MutableMapping):
        made = copy.copy(outputs)  # one of a kind of its own keeps its kind, and so its attributes
        for name, part in outputs.items():
            made[name] = _on_cpu(part)
        return made
    if isinstance(outputs, tuple | list):
        parts = [_on_cpu(part) for part in outputs]
        return type(outputs)(*parts) if hasattr(outputs, "_fields") else type(outputs)(parts)
    return outputs


def _check_range(task: Task, outputs: Tensor, targets: Any) -> None:
    """Raise InvalidInput where a target is a class or token that the model has no output for."""
    if not task.counts_classes or not isinstance(targets, Tensor):
        return
    width, low, high = outputs.shape[-1], int(targets.min()), int(targets.max())
    if high >= width or (low < 0 and task.name == "classification"):
        key = "a target must be from 0 to {most}, as the model has {width} outputs, got {got}: number them from 0"
        raise InvalidInput(key, most=width - 1, width=width, got=high if high >= width else low)


def score_figures(found: list[Tensor], task: Task, seed: int = 0) -> dict[str, Estimate]:
    """The score and the task's others, by name, from the terms of each."""
    figures = {task.figure: score_estimate(found[0], task, seed)}
    for other, terms in zip(task.others, found[1:], strict=True):
        value = float(other.finish(terms.sum(0)))
        figures[other.name] = _resampled(value, terms, other, seed)
    return figures


def score_estimate(terms: Tensor, task: Task, seed: int = 0) -> Estimate:
    """The score with its 95 % interval: Wilson's for k right of n, else a bootstrap over examples.

    terms    (examples, k)
    """
    value = float(task.finish(terms.sum(0)))
    if task.proportion and math.isfinite(value):
        return replace(Estimate.share(round(float(terms[:, 0].sum())), len(terms)), value=value, unit=task.unit)
    return _resampled(value, terms, task, seed)


def _resampled(value: float, terms: Tensor, score: Task | Score, seed: int) -> Estimate:
    """The score with a bootstrap interval over examples."""
    n = len(terms)
    if not math.isfinite(value):
        why = "the model's outputs are not finite" if bool(terms.isnan().any()) else "these targets allow no score"
        return Estimate.missing(why, score.unit)
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.stack([terms[torch.randint(n, (n,), generator=generator)].sum(0) for _ in range(RESAMPLES)])
    scores = score.finish(drawn)
    if scores.shape != (RESAMPLES,):
        key = "a score's finish must take sums (..., k) and give (...), got {got} for {given}: index as sums[..., 0]"
        raise InvalidInput(key, got=tuple(scores.shape), given=tuple(drawn.shape))
    return Estimate.drawn(value, scores, n, score.unit)

"""The task's score with its interval, from what each example adds."""

from __future__ import annotations

import math
from dataclasses import replace

from torch import Tensor

from engine.errors import InvalidInput
from engine.metrics.record import Estimate
from engine.metrics.resampling import RESAMPLES, resampled_sums
from engine.task import Score, Task


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
    if not math.isfinite(value):
        return Estimate.missing(why_missing(terms), score.unit)
    drawn = resampled_sums(terms, seed)
    scores = score.finish(drawn)
    if scores.shape != (RESAMPLES,):
        key = "a score's finish must take sums (..., k) and give (...), got {got} for {given}: index as sums[..., 0]"
        raise InvalidInput(key, got=tuple(scores.shape), given=tuple(drawn.shape))
    return Estimate.drawn(value, scores, len(terms), score.unit)


def why_missing(terms: Tensor) -> str:
    """Why a score of these terms is no number."""
    return "the model's outputs are not finite" if bool(terms.isnan().any()) else "these targets allow no score"

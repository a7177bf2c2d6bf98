"""What a model is for: its loss, and the score that "accuracy" means.

A score is a function of sums over examples, so that it can be taken in batches, stopped early, and
resampled for an interval without keeping the outputs:  score = finish(Σ terms(outputs, targets)).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

Terms = Callable[[Tensor, Tensor], Tensor]
Finish = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Task:
    """A loss, a score, and what guessing scores.

    name     a word
    loss     (outputs, targets) -> a scalar tensor to minimise
    terms    (outputs, targets) -> (examples, k): what each example adds
    finish   (..., k) sums -> (...) scores; higher is better
    chance   targets -> the score of the best constant guess
    unit     of the score: "fraction", "R²", ...
    scores   what the score is called on a page
    """

    name: str
    loss: Callable[[Tensor, Tensor], Tensor]
    terms: Terms
    finish: Finish
    chance: Callable[[Tensor], float]
    unit: str = "fraction"
    scores: str = "accuracy"

    @property
    def proportion(self) -> bool:
        """Whether the score is k right of n independent examples, so that Wilson's interval holds."""
        return self.finish is share_right

    def score(self, outputs: Tensor, targets: Tensor) -> float:
        """The score of these outputs."""
        return float(self.finish(self.terms(outputs, targets).double().sum(0)))


def share_right(sums: Tensor) -> Tensor:
    """Right examples over all examples: sums (..., 2)."""
    return sums[..., 0] / sums[..., 1]


def _share_of_tokens(sums: Tensor) -> Tensor:
    return sums[..., 0] / sums[..., 1]  # tokens of one string hang together: not a proportion of independent cases


def _right(outputs: Tensor, targets: Tensor) -> Tensor:
    hits = (outputs.argmax(-1) == targets).double()  # examples
    return torch.stack([hits, torch.ones_like(hits)], dim=1)


def _right_tokens(outputs: Tensor, targets: Tensor) -> Tensor:
    known = targets >= 0  # examples, length; a negative target is padding
    hits = ((outputs.argmax(-1) == targets) & known).double().sum(1)
    return torch.stack([hits, known.double().sum(1)], dim=1)


def _squares(outputs: Tensor, targets: Tensor) -> Tensor:
    y = targets.double().reshape(len(targets), -1)
    errors = (outputs.double().reshape(len(targets), -1) - y).square().sum(1, keepdim=True)
    return torch.cat([errors, y.square().sum(1, keepdim=True), torch.ones_like(errors), y], dim=1)


def _r_squared(sums: Tensor) -> Tensor:
    errors, squares, n, totals = sums[..., 0], sums[..., 1], sums[..., 2], sums[..., 3:]
    return 1 - errors / (squares - totals.square().sum(-1) / n).clamp_min(1e-300)


def _majority(targets: Tensor) -> float:
    known = targets[targets >= 0]
    return float(known.bincount().max()) / known.numel()


def _token_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    wanted = targets.flatten().clamp_min(-1)  # every negative target is padding, as it is to the score
    return F.cross_entropy(outputs.flatten(0, -2), wanted, ignore_index=-1)


def _squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    # mse_loss would broadcast targets (n,) against outputs (n, 1) to n × n
    return F.mse_loss(outputs, targets.reshape(outputs.shape))


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("classification", F.cross_entropy, _right, share_right, _majority),
        Task("regression", _squared_error, _squares, _r_squared, lambda targets: 0.0, "R²", "R²"),
        Task("language_modelling", _token_loss, _right_tokens, _share_of_tokens, _majority),
    )
}

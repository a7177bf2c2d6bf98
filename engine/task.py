"""What a model is for: its loss, and the score that "accuracy" means.

A score is a function of sums over examples, so that it can be taken in batches, stopped early, and
resampled for an interval without keeping the outputs:  score = finish(Σ terms(outputs, targets)).

The tasks here take a model's answer as `main_tensor` finds it. A task of your own is given whatever the model gives,
and the targets in the form that the data have them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.errors import InvalidInput
from engine.examples import Inputs, dtype_name, main_tensor

Terms = Callable[[Any, Any], Tensor]
Finish = Callable[[Tensor], Tensor]
TAKEN = frozenset({"parameters", "nonzero", "structural", "size_bytes", "multiply_adds", "signature", "examples"})
AXES = {"classification": 1, "language_modelling": 2}  # of the targets


@dataclass(frozen=True)
class Score:
    """A second score, beside a task's own.

    name            the figure's: "bits_per_character"
    terms, finish   as a task's
    unit            "bits", ...
    """

    name: str
    terms: Terms
    finish: Finish
    unit: str


def no_chance(targets: object) -> float:
    """Guessing scores nothing."""
    return 0.0


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
    figure   what it is called in records and tables
    others   further scores, taken in the same pass
    class_axis    the axis of the outputs along which class scores stand, None where there are none
    """

    name: str
    loss: Callable[[Any, Any], Tensor]
    terms: Terms
    finish: Finish
    chance: Callable[[Any], float] = no_chance
    unit: str = "fraction"
    scores: str = "accuracy"
    figure: str = "accuracy"
    others: tuple[Score, ...] = ()
    class_axis: int | None = None

    def __post_init__(self) -> None:
        for name in self.figures:
            if not isinstance(name, str) or name in TAKEN or name.startswith("latency"):
                key = "a score's name must be a text that no other figure has, got {got}: call it otherwise"
                raise InvalidInput(key, got=repr(name)[:60])

    def read(self, targets: Inputs, part: str) -> Inputs:
        """Targets as the loss takes them; those of a task of one's own stay as they are.

        Raises InvalidInput where a class or token is no whole number, or there are too many axes.
        """
        axes = AXES.get(self.name) if self.counts_classes else None
        if axes is None or not isinstance(targets, Tensor):
            return targets
        flat = targets.reshape(-1) if axes == 1 and targets.numel() == len(targets) else targets
        whole = not flat.is_complex() and (not flat.is_floating_point() or bool((flat == flat.round()).all()))
        if flat.dim() != axes or not whole:
            shape = "(n,)" if axes == 1 else "(n, length)"
            key = "the {part} targets must be whole numbers {shape}, got {dtype} {got}: number the classes from 0"
            raise InvalidInput(key, part=part, shape=shape, dtype=dtype_name(targets.dtype), got=tuple(targets.shape))
        return flat.long()

    @property
    def figures(self) -> tuple[str, ...]:
        """The names of all its scores in a record, its own first."""
        return (self.figure, *(other.name for other in self.others))

    @property
    def counts_classes(self) -> bool:
        """Whether targets are numbers of classes or tokens, as the tasks here have them."""
        return self.loss in (_class_loss, _token_loss)

    @property
    def says_one_class(self) -> bool:
        """Whether a model's answer is one of several classes for every example: outputs (n, classes)."""
        return self.counts_classes and AXES.get(self.name) == 1

    @property
    def proportion(self) -> bool:
        """Whether the score is k right of n independent examples, so that Wilson's interval holds."""
        return self.finish is share_right

    def score(self, outputs: object, targets: object) -> float:
        """The score of these outputs."""
        return float(self.finish(self.terms(outputs, targets).double().sum(0)))


def share_right(sums: Tensor) -> Tensor:
    """Right examples over all examples: sums (..., 2)."""
    return sums[..., 0] / sums[..., 1]


def per_token(sums: Tensor) -> Tensor:
    """A sum over tokens, by their number: sums (..., 2)."""
    return sums[..., 0] / sums[..., 1]  # tokens of one string hang together: not a proportion of independent cases


def _right(outputs: object, targets: Tensor) -> Tensor:
    hits = (main_tensor(outputs).argmax(-1) == targets).double()  # examples
    return torch.stack([hits, torch.ones_like(hits)], dim=1)


def _right_tokens(outputs: object, targets: Tensor) -> Tensor:
    known = targets >= 0  # examples, length; a negative target is padding
    hits = ((main_tensor(outputs).argmax(-1) == targets) & known).double().sum(1)
    return torch.stack([hits, known.double().sum(1)], dim=1)


def _bits(outputs: object, targets: Tensor) -> Tensor:
    known = targets >= 0  # examples, length
    chances = F.log_softmax(main_tensor(outputs).double(), dim=-1)  # examples, length, vocabulary
    told = chances.gather(-1, targets.clamp_min(0).unsqueeze(-1)).squeeze(-1)
    return torch.stack([-(told * known).sum(1) / math.log(2), known.double().sum(1)], dim=1)


def _squares(outputs: object, targets: Tensor) -> Tensor:
    y = targets.double().reshape(len(targets), -1)
    errors = (main_tensor(outputs).double().reshape(len(targets), -1) - y).square().sum(1, keepdim=True)
    return torch.cat([errors, y.square().sum(1, keepdim=True), torch.ones_like(errors), y], dim=1)


def _r_squared(sums: Tensor) -> Tensor:
    errors, squares, n, totals = sums[..., 0], sums[..., 1], sums[..., 2], sums[..., 3:]
    spread = squares - totals.square().sum(-1) / n
    return torch.where(spread > squares * 1e-12, 1 - errors / spread, torch.nan)  # all targets alike: there is none


def _majority(targets: Tensor) -> float:
    known = targets[targets >= 0]
    return float(known.bincount().max()) / known.numel()


def _class_loss(outputs: object, targets: Tensor) -> Tensor:
    return F.cross_entropy(main_tensor(outputs), targets)


def _token_loss(outputs: object, targets: Tensor) -> Tensor:
    wanted = targets.flatten().clamp_min(-1)  # every negative target is padding, as it is to the score
    return F.cross_entropy(main_tensor(outputs).flatten(0, -2), wanted, ignore_index=-1)


def _squared_error(outputs: object, targets: Tensor) -> Tensor:
    # mse_loss would broadcast targets (n,) against outputs (n, 1) to n × n
    given = main_tensor(outputs)
    return F.mse_loss(given, targets.reshape(given.shape))


def language_modelling(token: str = "token") -> Task:
    """Saying the next token: its share of right ones, and the bits that each costs.

    outputs (n, length, vocabulary), targets (n, length), a negative one for padding

    token    what a token is called: "character", "word"
    """
    bits = Score(f"bits_per_{token}", _bits, per_token, "bits")
    return Task(
        "language_modelling", _token_loss, _right_tokens, per_token, _majority, scores=f"next-{token} accuracy",
        others=(bits,), class_axis=-1,
    )  # fmt: skip


def agreement() -> Task:
    """Classification where no labels exist: the targets are the original's own answers, and so it scores 1.

    The figure is called agreement everywhere: it says how often a variant answers as the original does.
    """
    return Task(
        "classification", _class_loss, _right, share_right, _majority, scores="agreement", figure="agreement",
        class_axis=-1,
    )  # fmt: skip


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("classification", _class_loss, _right, share_right, _majority, class_axis=-1),
        Task("regression", _squared_error, _squares, _r_squared, lambda targets: 0.0, "R²", "R²"),
        language_modelling(),
    )
}

"""The seeded training loop that the scripts beside it share, and the log that each keeps."""

from __future__ import annotations

import copy
import json
import platform
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sample_models.files import HERE, sha256

Split = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Plan:
    """How one training goes: all that the result hangs on beside the data.

    optimizer    "sgd" with Nesterov's momentum, "plain_sgd" or "adamw"
    smoothing    of the labels
    averaging    how much of the averaged weights stays at each step; 0 takes the weights as they are
    clipping     the norm that a step's gradient is scaled down to; 0 takes it as it is
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    seed: int = 0
    optimizer: str = "sgd"
    smoothing: float = 0.0
    averaging: float = 0.0
    clipping: float = 0.0


def accuracy(net: nn.Module, split: Split, batch: int = 1000) -> float:
    """The share of examples whose largest output is the target's."""
    net.eval()
    with torch.inference_mode():
        hits = sum(
            int((net(x).argmax(1) == y).sum())
            for x, y in zip(split[0].split(batch), split[1].split(batch), strict=True)
        )
    return hits / len(split[1])


def at_random(targets: Tensor, size: int) -> Iterable[Tensor]:
    """The examples of each batch, drawn anew."""
    return torch.randperm(len(targets)).split(size)


@dataclass(frozen=True)
class Goal:
    """What is trained for: a loss, and the score on validation by which an epoch is chosen.

    score     (net, split) -> a number
    name      the score's, in the log
    lower     whether a lower score is the better one
    batches   (targets, size) -> the examples of each batch, asked once an epoch
    """

    loss: Callable[..., Tensor]
    score: Callable[[nn.Module, Split], float]
    name: str
    lower: bool = False
    batches: Callable[[Tensor, int], Iterable[Tensor]] = at_random


CLASSES = Goal(F.cross_entropy, accuracy, "accuracy")


def fit(
    net: nn.Module,
    parts: tuple[Split, Split],
    plan: Plan,
    augment: Callable[[Tensor], Tensor] | None = None,
    goal: Goal = CLASSES,
) -> tuple[nn.Module, list[dict[str, float]]]:
    """The net at its best epoch on validation, and the curve; one cycle of the learning rate.

    parts    train and validation
    """
    (x, y), validation = parts
    loss_of = partial(goal.loss, label_smoothing=plan.smoothing) if plan.smoothing else goal.loss
    cycle = _Cycle(net, plan, -(-len(y) // plan.batch_size))
    curve: list[dict[str, float]] = []
    best, best_state = -float("inf"), copy.deepcopy(net.state_dict())
    for epoch in range(1, plan.epochs + 1):
        net.train()
        total, began = 0.0, time.perf_counter()
        for chosen in goal.batches(y, plan.batch_size):
            batch = x[chosen] if augment is None else augment(x[chosen])
            loss = loss_of(net(batch), y[chosen])
            cycle.step(loss)
            total += loss.item() * len(chosen)
        score = goal.score(cycle.scored, validation)
        curve.append({"epoch": epoch, "loss": round(total / len(y), 5), f"validation_{goal.name}": round(score, 5)})
        print(curve[-1], f"{time.perf_counter() - began:.1f} s", flush=True)
        if (rank := -score if goal.lower else score) > best:
            best, best_state = rank, copy.deepcopy(cycle.scored.state_dict())
    net.load_state_dict(best_state)
    return net.eval(), curve


class _Cycle:
    """One cycle of the learning rate, step by step.

    scored    the net whose score counts: with averaged weights, where the plan asks for them
    """

    def __init__(self, net: nn.Module, plan: Plan, steps_per_epoch: int) -> None:
        self.net, self.plan = net, plan
        self.optimizer = _optimizer(net, plan)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, plan.learning_rate, epochs=plan.epochs, steps_per_epoch=steps_per_epoch, pct_start=0.25
        )
        averaged = get_ema_multi_avg_fn(plan.averaging)
        self.mean = AveragedModel(net, multi_avg_fn=averaged) if plan.averaging else None
        self.scored: nn.Module = net if self.mean is None else self.mean.module

    def step(self, loss: Tensor) -> None:
        """Down the gradient of a batch's loss."""
        self.optimizer.zero_grad()
        loss.backward()
        if self.plan.clipping:
            nn.utils.clip_grad_norm_(self.net.parameters(), self.plan.clipping)
        self.optimizer.step()
        self.schedule.step()
        if self.mean is not None:
            self.mean.update_parameters(self.net)


def _optimizer(net: nn.Module, plan: Plan) -> torch.optim.Optimizer:
    if plan.optimizer == "adamw":
        return torch.optim.AdamW(net.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay)
    if plan.optimizer == "plain_sgd":
        return torch.optim.SGD(net.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay)
    return torch.optim.SGD(
        net.parameters(), lr=plan.learning_rate, momentum=0.9, nesterov=True, weight_decay=plan.weight_decay
    )


@dataclass(frozen=True)
class Lesson:
    """What is trained, on what.

    name     the model's
    build    makes the untrained net
    parts    train and validation
    data     where they come from, in words
    facts    what else a reader of the log should know
    """

    name: str
    build: Callable[[], nn.Module]
    parts: tuple[Split, Split]
    data: str
    facts: Mapping[str, object] = field(default_factory=dict)


def produce(
    lesson: Lesson, plan: Plan, augment: Callable[[Tensor], Tensor] | None = None, goal: Goal = CLASSES
) -> None:
    """Train a net from the plan's seed, choose the epoch on validation, write its weights and its log."""
    torch.manual_seed(plan.seed)
    net, curve = fit(lesson.build(), lesson.parts, plan, augment, goal)
    train, validation = lesson.parts
    facts = {
        "data": lesson.data,
        "examples": {"train": len(train[1]), "validation": len(validation[1])},
        **lesson.facts,
        "chosen_by": f"validation {goal.name.replace('_', ' ')}",
        f"validation_{goal.name}": goal.score(net, validation),
        "curve": curve,
    }
    ship(net, lesson.name, plan, facts)


def ship(net: nn.Module, name: str, plan: Plan, facts: dict[str, object]) -> None:
    """Write weights/NAME.safetensors and, beside it, the log with the weights' checksum.

    facts    what else a reader of the log should know: data, what chose the epoch, the curve
    """
    weights = HERE / "weights" / f"{name}.safetensors"
    save_file({key: value.contiguous() for key, value in net.state_dict().items()}, weights)
    log = {
        "model": name,
        "plan": vars(plan),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "weights_sha256": sha256(weights),
        **facts,
    }
    weights.with_suffix(".log.json").write_text(json.dumps(log, indent=1) + "\n", "utf-8")

"""The only gradient loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn

from engine.coefficient import Coefficient, count
from engine.edit.judging import Worth, validation_part, worth
from engine.edit.surgery import own_tensors, zero_masks
from engine.examples import Inputs, placed, run, take
from engine.examples import count as number_of
from engine.method import Context
from engine.metrics.size import ORIGIN

Loss = Callable[[Any, Inputs, Any], Tensor]  # outputs, inputs, targets -> scalar
WEIGHT_DECAY = 0.01
REPORTS = 50  # partial figures of one training
ENDED = f"_ended{ORIGIN}"  # a plain attribute: it goes where the model goes, and is no part of its state
LOOKS = 20  # at validation
JUDGED = 1000  # validation examples at most that are looked at

# The knobs of every method that trains: the same names, ranges and words.
STEPS = count("steps", 100, "How many gradient steps are taken.", 0, 10_000)
BATCH_SIZE = count("batch_size", 128, "Training examples of one step; all of them where there are fewer.", 1, 65_536)
LEARNING_RATE = Coefficient("learning_rate", "real", 0.001, "The largest step of AdamW.", 1e-6, 1.0, scale="log")
KEEP_ZEROS = Coefficient(
    "keep_zeros", "choice", "yes", "Whether a weight that is zero stays zero.", choices=("yes", "no")
)
PATIENCE = count("patience", 0, "Looks at validation without a better one that end a training; 0: none does.", 0, 100)


Masks: TypeAlias = "dict[nn.Parameter, Tensor]"  # of weights: 1 where one may move, 0 where it stays zero


@dataclass(frozen=True)
class Schedule:
    """How long, with which data, what must not move, and when it is enough.

    batch_mode  train the model in train mode (statistics of a batch, dropout) or as it is measured
    patience    after how many looks at validation, of LOOKS in all, without a better one it ends; the best model that
                was seen, the start among them, is what stays. 0: all steps are taken, and the last model stays
    masks       (model, step) -> which weights stay zero from then on, None where that is as before; asked before the
                first step, which is 0, and after each
    """

    steps: int
    batch_size: int
    keep_zeros: bool
    batch_mode: bool = True
    patience: int = 0
    masks: Callable[[nn.Module, int], Masks | None] = lambda _, __: None


def task_loss(context: Context) -> Loss:
    """The task's own loss."""
    return lambda outputs, _, targets: context.task.loss(outputs, targets)


def batches(n: int, size: int, steps: int, seed: int) -> Iterator[Tensor]:
    """`steps` index tensors (size,), each pass over the data in a new order drawn by seed."""
    generator = torch.Generator().manual_seed(seed)
    size = min(size, n)
    order = torch.randperm(n, generator=generator)
    for _ in range(steps):
        if len(order) < size:
            order = torch.cat([order, torch.randperm(n, generator=generator)])
        yield order[:size]
        order = order[size:]


def train(
    model: nn.Module,
    context: Context,
    loss: Loss,
    optimizer: Callable[[nn.Module], torch.optim.Optimizer],
    schedule: Schedule,
) -> nn.Module:
    """The model after `steps` gradient steps on the train split.

    The model's tensors are copied first, so the original's stay as they are; global random state, and which
    parameters ask for gradients, are put back. Raises Cancelled where the channel says so; where it has enough, the
    model is the best or the last so far, and `ended_at` says so.
    """
    modes = {name: module.training for name, module in model.named_modules()}
    own_tensors(model)
    wanted = [(p, p.requires_grad) for p in model.parameters()]
    devices = [context.device] if context.device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.enable_grad():
        torch.manual_seed(context.seed)
        model.train(schedule.batch_mode).requires_grad_(True)
        _loop(model, context, loss, optimizer(model), schedule)
    for parameter, flag in wanted:
        parameter.grad = None
        parameter.requires_grad_(flag)
    for name, module in model.named_modules():
        module.training = modes[name]
    return model


def _loop(model: nn.Module, context: Context, loss: Loss, optimizer: torch.optim.Optimizer, schedule: Schedule) -> None:
    masks = schedule.masks(model, 0) or (zero_masks(model) if schedule.keep_zeros else {})
    _hold(masks, optimizer)
    best = Best(model, context, schedule) if schedule.patience else None
    losses: list[tuple[int, float]] = []
    every = max(1, schedule.steps // REPORTS)
    for step, chosen in enumerate(_chosen(context, schedule), start=1):
        context.channel.check()
        if context.channel.enough():
            note_end(model, step - 1, schedule.steps)
            break
        inputs, targets = (placed(take(side, chosen), context.device) for side in context.train)
        value = loss(run(model, inputs), inputs, targets)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        _hold(masks, optimizer)
        if (more := schedule.masks(model, step)) is not None:
            _hold(masks := more, optimizer)
        if step % every == 0 or step == schedule.steps:
            losses.append((step, value.item()))
            seen = {} if best is None else {"validation": best.score}
            context.channel.report(
                {"step": step, "steps": schedule.steps, "loss": losses[-1][1], "losses": losses, **seen}
            )
        if best is not None and not best.goes_on(step):
            break
    if best is not None:
        best.put_back()


def note_end(model: nn.Module, step: int, steps: int) -> None:
    """Note that a training was ended after some of its steps; of several the first one counts."""
    if ended_at(model) is None:
        setattr(model, ENDED, (step, steps))


def ended_at(model: nn.Module) -> tuple[int, int] | None:
    """After which step of how many a training of this model was ended by somebody, None where none was."""
    return cast("tuple[int, int] | None", getattr(model, ENDED, None))


def _chosen(context: Context, schedule: Schedule) -> Iterator[Tensor]:
    return batches(number_of(context.train[1]), schedule.batch_size, schedule.steps, context.seed)


@torch.no_grad()
def _hold(masks: Masks, optimizer: torch.optim.Optimizer) -> None:
    """Weights that stay zero are put back to it, with all that the optimizer remembers of them."""
    for parameter, mask in masks.items():
        parameter.mul_(mask)
        for kept in optimizer.state.get(parameter, {}).values():
            if isinstance(kept, Tensor) and kept.shape == parameter.shape:
                kept.mul_(mask)


class Best:
    """The best state of a model that is trained, by the validation score, and by the loss where that ties."""

    def __init__(self, model: nn.Module, context: Context, schedule: Schedule) -> None:
        self._model, self._context, self._schedule = model, context, schedule
        self._part = validation_part(context, JUDGED)
        self._every = max(1, schedule.steps // LOOKS)
        self._since = 0
        self._value = self._look()
        self._state = self._copied()

    @property
    def score(self) -> float:
        """The validation score of the last look."""
        return self._last[0]

    def goes_on(self, step: int) -> bool:
        """Look at the model where it is time to; whether there is still hope."""
        if step % self._every and step < self._schedule.steps:
            return True
        value = self._look()
        self._since = 0 if value > self._value else self._since + 1
        if value > self._value:
            self._value, self._state = value, self._copied()
        return self._since < self._schedule.patience

    @torch.no_grad()
    def put_back(self) -> None:
        """Give the model the best state that it had."""
        for tensor, kept in zip(self._tensors(), self._state, strict=True):
            tensor.copy_(kept)

    def _look(self) -> Worth:
        self._last = worth(self._model.eval(), self._context, self._part)
        self._model.train(self._schedule.batch_mode)
        return self._last

    def _tensors(self) -> list[Tensor]:
        return [*self._model.parameters(), *self._model.buffers()]

    def _copied(self) -> list[Tensor]:
        return [tensor.detach().clone() for tensor in self._tensors()]


def adamw(model: nn.Module, learning_rate: float, steps: int, hold: int = 0) -> torch.optim.Optimizer:
    """AdamW on all parameters, warmed up over a tenth of the steps, then lowered along a cosine.

    hold    the step until which the learning rate is not lowered
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=WEIGHT_DECAY)
    warm = max(1, steps // 10)
    top = max(warm, hold)

    def share(step: int) -> float:
        if step < top:
            return min((step + 1) / warm, 1.0)
        return 0.5 * (1 + float(torch.cos(torch.tensor(torch.pi * (step - top) / max(1, steps - top)))))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
    optimizer.register_step_post_hook(lambda *_: schedule.step())
    return optimizer

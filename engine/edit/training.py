"""The only gradient loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.coefficient import Coefficient, count
from engine.edit.surgery import own_tensors, zero_masks
from engine.examples import Inputs, placed, run, take
from engine.examples import count as number_of
from engine.method import Context

Loss = Callable[[Any, Inputs, Any], Tensor]  # outputs, inputs, targets -> scalar
WEIGHT_DECAY = 0.01
REPORTS = 50  # partial figures of one training

# The knobs of every method that trains: the same names, ranges and words.
STEPS = count("steps", 100, "How many gradient steps are taken.", 0, 10_000)
BATCH_SIZE = count("batch_size", 128, "Training examples of one step; all of them where there are fewer.", 1, 65_536)
LEARNING_RATE = Coefficient("learning_rate", "real", 0.001, "The largest step of AdamW.", 1e-6, 1.0, scale="log")
KEEP_ZEROS = Coefficient(
    "keep_zeros", "choice", "yes", "Whether a weight that is zero stays zero.", choices=("yes", "no")
)


@dataclass(frozen=True)
class Schedule:
    """How long, with which data, and what must not move.

    batch_mode  train the model in train mode (statistics of a batch, dropout) or as it is measured
    """

    steps: int
    batch_size: int
    keep_zeros: bool
    batch_mode: bool = True


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
    parameters ask for gradients, are put back. Raises Cancelled where the channel says so.
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
    masks = zero_masks(model) if schedule.keep_zeros else {}
    x, y = context.train
    every = max(1, schedule.steps // REPORTS)
    for step, chosen in enumerate(batches(number_of(y), schedule.batch_size, schedule.steps, context.seed), start=1):
        context.channel.check()
        inputs, targets = (placed(take(side, chosen), context.device) for side in (x, y))
        value = loss(run(model, inputs), inputs, targets)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        with torch.no_grad():
            for parameter, mask in masks.items():
                parameter.mul_(mask)
        if step % every == 0 or step == schedule.steps:
            context.channel.report({"step": step, "steps": schedule.steps, "loss": value.item()})


def adamw(model: nn.Module, learning_rate: float, steps: int) -> torch.optim.Optimizer:
    """AdamW on all parameters, warmed up over a tenth of the steps, then lowered along a cosine."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=WEIGHT_DECAY)
    warm = max(1, steps // 10)

    def share(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + float(torch.cos(torch.tensor(torch.pi * (step - warm) / max(1, steps - warm)))))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
    optimizer.register_step_post_hook(lambda *_: schedule.step())
    return optimizer

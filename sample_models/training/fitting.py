"""The seeded training loop that the scripts beside it share, and the log that each keeps."""

from __future__ import annotations

import copy
import json
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from sample_models.files import HERE, sha256

Split = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Plan:
    """How one training goes: all that the result hangs on beside the data."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    seed: int = 0
    optimizer: str = "sgd"
    smoothing: float = 0.0


def accuracy(net: nn.Module, split: Split, batch: int = 1000) -> float:
    """The share of examples whose largest output is the target's."""
    net.eval()
    with torch.inference_mode():
        hits = sum(
            int((net(x).argmax(1) == y).sum())
            for x, y in zip(split[0].split(batch), split[1].split(batch), strict=True)
        )
    return hits / len(split[1])


def fit(
    net: nn.Module, train: Split, validation: Split, plan: Plan, augment: Callable[[Tensor], Tensor] | None = None
) -> tuple[nn.Module, list[dict[str, float]]]:
    """The net at its best epoch on validation, and the curve; one cycle of the learning rate."""
    x, y = train
    steps = -(-len(y) // plan.batch_size)
    optimizer = _optimizer(net, plan)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, plan.learning_rate, epochs=plan.epochs, steps_per_epoch=steps, pct_start=0.25
    )
    curve: list[dict[str, float]] = []
    best, best_state = -1.0, copy.deepcopy(net.state_dict())
    for epoch in range(1, plan.epochs + 1):
        net.train()
        total, began = 0.0, time.perf_counter()
        for chosen in torch.randperm(len(y)).split(plan.batch_size):
            batch = x[chosen] if augment is None else augment(x[chosen])
            loss = F.cross_entropy(net(batch), y[chosen], label_smoothing=plan.smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(chosen)
        score = accuracy(net, validation)
        curve.append({"epoch": epoch, "loss": round(total / len(y), 5), "validation_accuracy": round(score, 5)})
        print(curve[-1], f"{time.perf_counter() - began:.1f} s", flush=True)
        if score > best:
            best, best_state = score, copy.deepcopy(net.state_dict())
    net.load_state_dict(best_state)
    return net.eval(), curve


def _optimizer(net: nn.Module, plan: Plan) -> torch.optim.Optimizer:
    if plan.optimizer == "adamw":
        return torch.optim.AdamW(net.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay)
    return torch.optim.SGD(
        net.parameters(), lr=plan.learning_rate, momentum=0.9, nesterov=True, weight_decay=plan.weight_decay
    )


def ship(net: nn.Module, name: str, plan: Plan, facts: dict[str, object]) -> None:
    """Write weights/NAME.safetensors and, beside it, the log with the weights' checksum."""
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

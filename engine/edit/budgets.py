"""What a smaller model saves: of its parameters, its multiply-adds, its time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from engine.examples import Inputs, call, device_of
from engine.metrics.compute import count_work
from engine.metrics.rounds import Plan, ratio_of, take_rounds

PLAN = Plan(warm_up=3, least_rounds=5, most_rounds=40, budget_s=0.2)
Saving = Callable[[nn.Module], float]


def _parameters(model: nn.Module, inputs: Inputs, smaller: nn.Module) -> float:
    whole, left = (sum(p.numel() for p in m.parameters()) for m in (model, smaller))
    return 1 - left / max(whole, 1)


def _multiply_adds(model: nn.Module, inputs: Inputs, smaller: nn.Module) -> float:
    whole, left = (count_work(m, inputs).multiply_adds.value for m in (model, smaller))
    return 1 - left / whole if whole and left is not None else 0.0


def _latency(model: nn.Module, inputs: Inputs, smaller: nn.Module) -> float:
    found = take_rounds(partial(call, model, inputs), partial(call, smaller, inputs), device_of(inputs), PLAN)
    return 1 - ratio_of(found.original, found.variant, 0.95)[0]


BUDGETS = {"parameters": _parameters, "multiply_adds": _multiply_adds, "latency": _latency}


def saving(of: str, model: nn.Module, inputs: Inputs) -> Saving:
    """For a model that is smaller, the share that it saves beside `model`.

    of        "parameters", "multiply_adds", or "latency", which is timed in turns
    inputs    one example as a batch, on the model's device
    """
    return partial(BUDGETS[of], model, inputs)

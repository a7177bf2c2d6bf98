"""Multiply-adds of one forward pass."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from engine.errors import first_line
from engine.examples import Inputs, placed, run
from engine.metrics.record import Estimate

UNIT = "multiply-adds"


def multiply_adds(model: nn.Module, example: Inputs) -> Estimate:
    """Multiply-adds for one example: those of matrix products, convolutions and attention; biases, norms and
    pointwise functions are left out.

    Counted on a copy without data (device "meta"), where fused kernels are taken apart; torch counts two operations
    for a multiply-add, so its figure is halved.

    example    one input (1, ...)
    """
    try:
        bare = copy.deepcopy(model).to("meta").eval()
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            run(bare, placed(example, "meta"))
    except (
        RuntimeError,
        NotImplementedError,
        TypeError,
        ValueError,
        AttributeError,
        LookupError,
        AssertionError,
    ) as error:
        return Estimate.missing(f"the model cannot run without data: {first_line(error, 160)}", UNIT)
    return Estimate.exact(counter.get_total_flops() // 2, UNIT)

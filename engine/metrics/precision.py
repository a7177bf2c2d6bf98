"""The same model in other numbers: bfloat16, or weights of eight bits."""

from __future__ import annotations

import copy
import warnings
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from engine.errors import CannotApply, first_line
from engine.metrics.record import Protocol

BASELINES = ("bfloat16", "int8")


def in_dtype(model: nn.Module, name: str) -> nn.Module:
    """A copy whose floating-point tensors have the dtype of that name; inputs are turned into it as they come in."""
    dtype = getattr(torch, name)
    copied = copy.deepcopy(model).to(dtype)
    copied.register_forward_pre_hook(partial(_turned, dtype), with_kwargs=True)
    return copied


def _turned(dtype: torch.dtype, model: nn.Module, given: Any, keywords: Any) -> Any:
    def turn(value: Any) -> Any:
        return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value

    return tuple(map(turn, given)), {name: turn(value) for name, value in keywords.items()}


def in_eight_bits(model: nn.Module) -> nn.Module:
    """A copy whose linear layers hold weights of eight bits, and turn what they get into eight bits as it comes in.

    torch's dynamic quantization. Raises CannotApply where the model has no linear layer, or torch cannot do it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own announcement that this is to move to another package
        try:
            from torch.ao.quantization import quantize_dynamic

            made: nn.Module = quantize_dynamic(copy.deepcopy(model).float(), {nn.Linear}, dtype=torch.qint8)
        except (ImportError, RuntimeError, AttributeError, NotImplementedError) as error:
            raise CannotApply("int8 must be known to torch here, got: {why}", why=first_line(error)) from error
    for module in made.modules():
        if isinstance(module, nn.TransformerEncoderLayer):
            module.activation_relu_or_gelu = 0  # its fast path reads linear1.weight itself
    if not any(map(packed, made.modules())):
        raise CannotApply("int8 must find linear layers, got none")
    return made.eval()


def packed(module: nn.Module) -> list[Tensor]:
    """Weight and bias of a linear layer of eight bits, which are no parameters of it."""
    read = getattr(module, "_weight_bias", None)
    if read is None or not hasattr(module, "in_features"):
        return []
    return [tensor for tensor in read() if tensor is not None]


def baseline(name: str, model: nn.Module, protocol: Protocol) -> nn.Module:
    """The original in other numbers. Raises CannotApply where it cannot be had on this device."""
    if name == "bfloat16":
        return in_dtype(model, name)
    if protocol.device_kind != "cpu":
        raise CannotApply("int8 must be measured on the CPU, got {device}", device=protocol.device)
    return in_eight_bits(model)

"""Comparing models and the process's own state, bit by bit."""

from __future__ import annotations

import gc
import random
import warnings
from dataclasses import dataclass

import numpy as np
import torch
import torch._dynamo  # an optimizer imports it when first used, and sympy with it, which adds a filter of warnings
from torch import Tensor, nn


def bits(tensor: Tensor) -> bytes:
    """What the tensor holds, so that NaN equals NaN and −0 differs from 0."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def contents(model: nn.Module) -> dict[str, bytes]:
    """Every tensor of the state by name, bit by bit."""
    return {name: bits(tensor) for name, tensor in model.state_dict().items()}


def places(model: nn.Module) -> dict[str, int]:
    """Where every tensor of the state lies in memory."""
    return {name: tensor.data_ptr() for name, tensor in model.state_dict().items()}


def shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """Every tensor's shape by name."""
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def modules(model: nn.Module) -> dict[str, type[nn.Module]]:
    """Every module's type by name."""
    return {name: type(module) for name, module in model.named_modules()}


def modes(model: nn.Module) -> dict[str, bool]:
    """Every module's mode by name."""
    return {name: module.training for name, module in model.named_modules()}


def zeros(model: nn.Module) -> int:
    """How many parameters are exactly zero."""
    return sum(int((p == 0).sum()) for p in model.parameters())


@dataclass(frozen=True)
class Held:
    """All of a model that an edit of its copy must leave alone."""

    contents: dict[str, bytes]
    places: dict[str, int]
    modes: dict[str, bool]
    types: dict[str, type[nn.Module]]
    wanted: dict[str, bool]
    graded: tuple[str, ...]
    hooks: int

    @classmethod
    def of(cls, model: nn.Module) -> Held:
        named = dict(model.named_parameters())
        wanted = {name: p.requires_grad for name, p in named.items()}
        graded = tuple(name for name, p in named.items() if p.grad is not None)
        hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())
        return cls(contents(model), places(model), modes(model), modules(model), wanted, graded, hooks)


def global_state() -> dict[str, object]:
    """Everything of the process that an edit could leave changed."""
    state = {
        "torch random": bits(torch.get_rng_state()),
        "numpy random": repr(np.random.get_state()),
        "python random": random.getstate(),
        "gradients": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "anomalies": torch.is_anomaly_enabled(),
        "warnings": list(warnings.filters),
        "collector": gc.isenabled(),
        "attention": torch.backends.mha.get_fastpath_enabled(),
    }
    if torch.cuda.is_available():
        state["cuda random"] = bits(torch.cuda.get_rng_state())
    return state

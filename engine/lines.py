"""A line that a language model writes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.errors import CannotApply
from engine.examples import Inputs, main_tensor, named, placed, run, take
from engine.metrics.record import in_eval_mode
from engine.workload import Workload

PROMPT = 4  # tokens that are given
TEMPERATURE = 0.7
IDS, MASK = ("", "input_ids"), "attention_mask"


def write_line(model: nn.Module, workload: Workload, number: int) -> str:
    """The text that a causal language model makes of the first tokens of a validation example.

    Each token is drawn with the same random number whatever the model, so that two models that agree write the same.

    number    which example and which random numbers, counted from 0

    Raises CannotApply where the workload has no `decode`, or inputs that are no tokens.
    """
    if workload.decode is None:
        raise CannotApply("{name} must say how its codes are read (decode) to write a line", name=workload.name)
    place = number % workload.splits["validation"]
    example = take(workload.validation[0], slice(place, place + 1))
    key = next((k for k in IDS if k in named(example)), None)
    if key is None or named(example)[key].dim() != 2:
        raise CannotApply("{name} must take tokens (batch, length) to write a line", name=workload.name)
    device = next(model.parameters()).device
    draws = torch.rand(named(example)[key].shape[1], generator=torch.Generator().manual_seed(number))
    with in_eval_mode(model), torch.inference_mode():
        ids = _written(model, placed(example, device), key, draws.to(device))
    return workload.decode(ids[0].cpu())


def _written(model: nn.Module, example: Inputs, key: str, draws: Tensor) -> Tensor:
    """The example's tokens (1, length) with all but the first few replaced by the model's own."""
    ids = named(example)[key].clone()
    for place in range(min(PROMPT, ids.shape[1] - 1), ids.shape[1]):
        ids[:, place:] = 0  # a causal model does not look there
        outputs = main_tensor(run(model, _with(example, key, ids, place)))  # 1, length, vocabulary
        shares = (outputs[0, place - 1].float() / TEMPERATURE).softmax(-1).cumsum(-1)
        ids[0, place] = int((shares < draws[place] * shares[-1]).sum().clamp_max(len(shares) - 1))
    return ids


def _with(example: Inputs, key: str, ids: Tensor, known: int) -> Inputs:
    if not isinstance(example, dict):
        return ids if isinstance(example, Tensor) else (ids, *example[1:])
    made = {**example, key: ids}
    if MASK in example:
        made[MASK] = (torch.arange(ids.shape[1], device=ids.device) < known).to(example[MASK])[None]
    return made

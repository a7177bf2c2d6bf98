"""The task's score on a split, with its interval."""

from __future__ import annotations

import torch
from scipy.stats import binomtest
from torch import Tensor, nn

from engine.method import Channel
from engine.metrics.record import Estimate, in_eval_mode
from engine.task import Task
from engine.workload import Split

BATCH = 256
RESAMPLES = 1000


def score_terms(
    model: nn.Module, task: Task, split: Split, device: torch.device, channel: Channel | None = None
) -> Tensor:
    """What each example adds to the score: (examples, k), on the CPU, in double precision.

    The model is put in eval mode for it and back again.
    """
    line = channel or Channel()
    parts: list[Tensor] = []
    with in_eval_mode(model), torch.inference_mode():
        for inputs, targets in zip(split[0].split(BATCH), split[1].split(BATCH), strict=True):
            line.check()
            outputs = model(inputs.to(device)).cpu()
            outputs = outputs if outputs.dtype == torch.float64 else outputs.float()
            terms = task.terms(outputs, targets).double()
            terms[outputs.reshape(len(outputs), -1).isnan().any(1)] = torch.nan  # else argmax would call them class 0
            parts.append(terms)
            line.report(
                {
                    "examples": sum(map(len, parts)),
                    "of": len(split[1]),
                    "accuracy": float(task.finish(torch.cat(parts).sum(0))),
                }
            )
    return torch.cat(parts)


def score_estimate(terms: Tensor, task: Task, seed: int = 0) -> Estimate:
    """The score with its 95 % interval: Wilson's for k right of n, else a bootstrap over examples.

    terms    (examples, k)
    """
    value = float(task.finish(terms.sum(0)))
    n = len(terms)
    if not torch.isfinite(torch.tensor(value)):
        return Estimate.missing("the model's outputs are not finite", task.unit)
    if task.proportion:
        interval = binomtest(round(float(terms[:, 0].sum())), n).proportion_ci(method="wilson")
        return Estimate(value, float(interval.low), float(interval.high), n, task.unit)
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.stack([terms[torch.randint(n, (n,), generator=generator)].sum(0) for _ in range(RESAMPLES)])
    low, high = task.finish(drawn).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return Estimate(value, min(low, value), max(high, value), n, task.unit)

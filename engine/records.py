"""What is kept of one model, as plain data: its size, its score, and how it stands to the original."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from engine.examples import Inputs
from engine.memo import Memo
from engine.method import Channel
from engine.metrics.accuracy import evaluate, score_figures
from engine.metrics.answers import Answers, calibration_error
from engine.metrics.compute import count_once
from engine.metrics.paired import by_class, compare
from engine.metrics.record import Protocol, pick_device
from engine.metrics.size import signature, size_figures
from engine.store import Payload
from engine.workload import Workload


def size_record(model: nn.Module, example: Inputs, memo: Memo, counted: nn.Module | None = None) -> Payload:
    """Size and compute of a model.

    memo       what was counted of other models
    counted    the model whose multiply-adds are counted: another one where this one holds the same in other numbers
    """
    work = count_once(counted or model, example, memo)
    figures = {**size_figures(model), "multiply_adds": work.multiply_adds}
    plain: Payload = {name: estimate.to_dict() for name, estimate in figures.items()}
    return {**plain, "uncounted": dict(work.uncounted), "signature": signature(model)}


def score_record(model: nn.Module, workload: Workload, protocol: Protocol, channel: Channel) -> Payload:
    """The score on test, the task's others, and what the model said to each example."""
    found = evaluate(model, workload.task, workload.test, pick_device(protocol.device), channel)
    figures = score_figures(found.terms, workload.task, protocol.seed)
    plain: Payload = {name: estimate.to_dict() for name, estimate in figures.items()}
    return {**plain, "examples": len(found.terms[0]), "answers": found.answers.to_dict()}


def pair_record(before: Payload, after: Payload, workload: Workload, seed: int) -> Payload:
    """Original against variant, example by example, from the score records of both."""
    original, variant = (Answers.from_dict(cast("Payload", side["answers"])) for side in (before, after))
    targets = workload.test[1]
    classes = by_class(original, variant, targets, workload.classes) if isinstance(targets, torch.Tensor) else ()
    errors = [calibration_error(side, seed).to_dict() for side in (original, variant)]
    return {
        "paired": compare(original, variant, workload.task, seed).to_dict(),
        "classes": [one.to_dict() for one in classes],
        "calibration_error": dict(zip(("original", "variant"), errors, strict=True)),
    }

"""What is kept of one model, as plain data: its size, its score, and how it stands to the original."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from engine.examples import Inputs, count
from engine.memo import Memo
from engine.method import Channel
from engine.metrics.accuracy import drawn_order, evaluate
from engine.metrics.answers import Answers, calibration_error
from engine.metrics.begun import Begun
from engine.metrics.compute import count_once
from engine.metrics.paired import OfClass, by_class, compare
from engine.metrics.record import Protocol, pick_device
from engine.metrics.score import score_figures
from engine.metrics.size import signature, size_figures
from engine.metrics.so_far import SoFar
from engine.store import Payload
from engine.workload import Workload


def size_record(
    model: nn.Module, example: Inputs, memo: Memo, counted: nn.Module | None = None, packed: bool = True
) -> Payload:
    """Size and compute of a model.

    memo       what was counted of other models
    counted    the model whose multiply-adds are counted: another one where this one holds the same in other numbers
    packed     whether it is compressed, too, which takes longer than all the rest
    """
    work = count_once(counted or model, example, memo)
    figures = {**size_figures(model, packed), "multiply_adds": work.multiply_adds}
    plain: Payload = {name: estimate.to_dict() for name, estimate in figures.items()}
    return {**plain, "uncounted": dict(work.uncounted), "signature": signature(model)}


def score_record(
    model: nn.Module,
    workload: Workload,
    protocol: Protocol,
    channel: Channel,
    original: Payload | None = None,
    begun: Begun | None = None,
) -> Payload:
    """The score on test, the task's others, and what the model said to each example.

    original    the original's own, of all examples, where the protocol lets the evaluation end as soon as the
                difference from it is known
    begun       what is kept of test for models that begin alike
    """
    order = drawn_order(count(workload.test[1]), protocol.seed)
    beside = None if original is None else _answers(original).terms.double()[order]
    so_far = SoFar(workload.task, protocol.seed, beside, protocol.precision)
    where = begun or pick_device(protocol.device)
    found = evaluate(model, workload.task, workload.test, where, channel, so_far)
    figures = score_figures(found.terms, workload.task, protocol.seed)
    if len(found.places) < len(order):
        figures[workload.task.figure] = so_far.estimate(found.terms[0], len(order))
    plain: Payload = {name: estimate.to_dict() for name, estimate in figures.items()}
    error = {"error": calibration_error(found.answers, protocol.seed).to_dict()}
    counts = {"examples": len(found.places), "of": len(order)}
    return {**plain, **counts, "answers": found.answers.to_dict(), "calibration": error}


def pair_record(before: Payload, after: Payload, workload: Workload, seed: int) -> Payload:
    """Original against variant, example by example, from the score records of both: on the examples that both saw."""
    n, of = cast("int", after["examples"]), cast("int", after["of"])
    places = torch.arange(of) if n == of else drawn_order(of, seed)[:n]
    original, variant = _answers(before).of(places), _answers(after)
    targets = workload.test[1]
    classes: tuple[OfClass, ...] = ()
    if isinstance(targets, torch.Tensor):
        classes = by_class(original, variant, targets[places], workload.classes)
    return {
        "paired": compare(original, variant, workload.task, seed, places).to_dict(),
        "classes": [one.to_dict() for one in classes],
        "calibration_error": {"original": _calibration(before), "variant": _calibration(after)},
    }


def _answers(record: Payload) -> Answers:
    return Answers.from_dict(cast("Payload", record["answers"]))


def _calibration(record: Payload) -> object:
    return cast("Payload", record["calibration"])["error"]

"""Multiply-adds of one forward pass."""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from engine.errors import Message, first_line
from engine.examples import Inputs, call, named, placed
from engine.memo import Memo
from engine.metrics.again import Again
from engine.metrics.record import Estimate
from engine.metrics.structure import structure_of
from engine.metrics.watching import Watching

UNIT = "multiply-adds"
DEFINITION = Message(
    "one multiplication with its addition, in matrix products, convolutions and attention, for one example; biases, "
    "norms, pointwise functions, sums and look-ups are not counted"
)
FAULTS = (RuntimeError, NotImplementedError, TypeError, ValueError, AttributeError, LookupError, AssertionError)
Shape = torch.Size


def _mv_flop(matrix: Shape, vector: Shape, *_: object, **__: object) -> int:
    return 2 * math.prod(matrix)


def _addmv_flop(bias: Shape, matrix: Shape, vector: Shape, *_: object, **__: object) -> int:
    return 2 * math.prod(matrix)


def _dot_flop(one: Shape, other: Shape, *_: object, **__: object) -> int:
    return 2 * math.prod(one)


def _addbmm_flop(bias: Shape, one: Shape, other: Shape, *_: object, **__: object) -> int:
    return 2 * math.prod(one) * other[-1]


ATEN = torch.ops.aten
PRODUCTS: dict[Any, Callable[..., int]] = {  # that torch's own counter does not know
    ATEN.mv: _mv_flop, ATEN.addmv: _addmv_flop, ATEN.dot: _dot_flop, ATEN.vdot: _dot_flop, ATEN.addbmm: _addbmm_flop,
}  # fmt: skip
MADE = (ATEN.empty, ATEN.empty_strided, ATEN._unsafe_view)  # nothing is calculated
MOST_OPERATORS = 4096  # whose answers are kept


@dataclass(frozen=True)
class Work:
    """What one forward pass calculates.

    multiply_adds    see DEFINITION
    uncounted        operator -> how often it ran without being counted; views of a tensor calculate nothing
    by_module        path -> multiply-adds of that module with all in it; "" is the model
    """

    multiply_adds: Estimate
    uncounted: Mapping[str, int] = field(default_factory=dict)
    by_module: Mapping[str, int] = field(default_factory=dict)


def multiply_adds(model: nn.Module, example: Inputs) -> Estimate:
    """The multiply-adds of one example (1, ...), missing with a reason where the model cannot be counted."""
    return count_work(model, example).multiply_adds


def count_work(model: nn.Module, inputs: Inputs, known: Memo | None = None) -> Work:
    """What a forward pass in eval mode calculates, by operator and by module.

    Counted on a copy without data (device "meta"), where fused kernels are taken apart, so that the figure is the same
    on every device; torch counts two operations for a multiply-add, so its figure is halved.

    inputs    a batch (batch, ...)
    known     what operators gave that ran before, in other models, too
    """
    counter, notes = FlopCounterMode(display=False, custom_mapping=PRODUCTS), _Uncounted()
    try:
        bare, empty = without_data(model).eval(), placed(inputs, "meta")
        with torch.no_grad(), notes, counter, Again(known or Memo(), counter, notes.seen):
            call(bare, empty)
    except FAULTS as error:
        return Work(Estimate.missing(f"the model cannot run without data: {first_line(error, 160)}", UNIT))
    root = type(bare).__name__
    found = {name: sum(operators.values()) // 2 for name, operators in counter.get_flop_counts().items()}
    found.pop("Global", None)  # the counter's own sum
    by_module = {"" if name == root else name.removeprefix(f"{root}."): n for name, n in found.items()}
    total = counter.get_total_flops() // 2
    return Work(Estimate.exact(total, UNIT), dict(sorted(notes.seen.items())), by_module)


def count_once(model: nn.Module, inputs: Inputs, memo: Memo) -> Work:
    """The same, counted anew only where no model of this structure was counted on inputs of these shapes."""
    seen = memo.once("operators", partial(Memo, MOST_OPERATORS))
    if (known := structure_of(model)) is None:
        return count_work(model, inputs, seen)
    shapes = tuple((name, tensor.shape, tensor.dtype) for name, tensor in named(inputs).items())
    return memo.once(("work", known.digest, shapes), lambda: (known, count_work(model, inputs, seen)))[1]


def without_data(model: nn.Module) -> nn.Module:
    """A copy whose tensors have shapes and no numbers; the numbers are never copied, ties stay ties."""
    memo: dict[int, object] = {}
    for parameter in model.parameters():
        memo[id(parameter)] = nn.Parameter(parameter.detach().to("meta"), requires_grad=False)
    for buffer in model.buffers():
        memo[id(buffer)] = buffer.detach().to("meta")
    return copy.deepcopy(model, memo).to("meta")


class _Uncounted(Watching):
    """Notes the operators that reach it and that nobody counts. The counter, entered later, sees each one first."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = func(*args, **(kwargs or {}))
        packet = func._overloadpacket
        counted = packet in flop_registry or packet in PRODUCTS or packet in MADE
        if not counted and not func.is_view and _calculates(answer):
            self.seen[str(packet)] += 1
        return answer


def _calculates(answer: object) -> bool:
    parts = answer if isinstance(answer, tuple | list) else (answer,)
    return any(isinstance(part, Tensor) for part in parts)

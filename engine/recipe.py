"""An ordered list of methods, as text and as deed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias, TypeVar

import torch
from torch import nn

from engine.catalogue import method_named
from engine.copying import structural_copy
from engine.edit.surgery import own_bytes
from engine.edit.training import ended_at
from engine.errors import BrokenVariant, CannotApply, InvalidInput, MalformedRecipe, SecateurError, first_line, shown
from engine.examples import main_tensor, placed, run, take
from engine.memo import Memo
from engine.method import Context, Method
from engine.metrics.record import pick_device
from engine.metrics.size import is_finite
from engine.workload import Workload

T = TypeVar("T")
MOST_STEPS = 32
KEPT_STAGES = 4  # that the next point of a sweep may start from
MOST = 2**28  # bytes of one of them, beside what it shares with the original
FAULTS = (RuntimeError, AttributeError, TypeError, ValueError)  # of a model that is edited
RecipeLike: TypeAlias = "Recipe | str | Iterable[object] | None"


@dataclass(frozen=True)
class Recipe:
    """Methods to be applied one after the other; the empty recipe is the original."""

    steps: tuple[Method, ...] = ()

    @staticmethod
    def parse(text: str) -> Recipe:
        """The recipe in a JSON text: a list of [name, {coefficient: value}].

        Raises MalformedRecipe, UnknownName or InvalidCoefficient with one sentence.
        """
        try:
            data = json.loads(text, parse_constant=float)
        except (ValueError, RecursionError, TypeError) as error:
            raise MalformedRecipe(
                "a recipe must be a JSON list of [method, {{coefficient: value}}]: {why}", why=error
            ) from error
        if not isinstance(data, list):
            raise MalformedRecipe("a recipe must be a list of steps, got {got}", got=shown(data))
        return Recipe.of(data)

    @staticmethod
    def of(what: RecipeLike) -> Recipe:
        """The recipe in a Recipe, its text, a list of steps, or nothing at all. Raises as `parse` does."""
        if isinstance(what, Recipe):
            return what
        if isinstance(what, str):
            return Recipe.parse(what)
        if what is None:
            return Recipe()
        if not isinstance(what, list | tuple):
            raise MalformedRecipe("a recipe must be a list of steps, got {kind}", kind=type(what).__name__)
        if len(what) > MOST_STEPS:
            raise MalformedRecipe("a recipe must have at most {most} steps, got {n}", most=MOST_STEPS, n=len(what))
        return Recipe(tuple(_step(i, item) for i, item in enumerate(what)))

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[Method]:
        return iter(self.steps)

    def to_list(self) -> list[list[object]]:
        """As plain data, every coefficient written out."""
        return [[step.name, _plain(step)] for step in self.steps]

    def __str__(self) -> str:
        """The canonical text: equal recipes have equal texts."""
        return json.dumps(self.to_list(), sort_keys=True, separators=(",", ":"))

    def step(self, index: int) -> Method:
        """The step of that number, counted from 0. Raises InvalidInput."""
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(self.steps):
            have = f"0 to {len(self.steps) - 1}" if self.steps else "none, for the recipe is empty"
            raise InvalidInput("a step must be one of the recipe's ({have}), got {got}", have=have, got=index)
        return self.steps[index]

    def vary(self, index: int, coefficient: str, value: object) -> Recipe:
        """The same recipe with one coefficient of one step changed."""
        changed = self.step(index).with_value(coefficient, value)
        return Recipe((*self.steps[:index], changed, *self.steps[index + 1 :]))

    @property
    def trains(self) -> bool:
        """Whether some step takes gradient steps."""
        return any("training" in step.how.needs and not step.neutral for step in self.steps)

    def apply(self, workload: Workload, device: str | torch.device | None = None) -> nn.Module:
        """The variant: a plain nn.Module in eval mode, on the CPU unless a device is asked for.

        Raises CannotApply with a method's reason, BrokenVariant where the result cannot run.
        """
        asked = None if device is None else pick_device(device)
        context = Context.of(workload, asked or pick_device(None))
        return self.apply_in(context).to(asked or "cpu")

    def apply_in(self, context: Context) -> nn.Module:
        """The variant on the context's device, built from the context's original.

        Where the channel had enough of a training, `ended_at` of the variant says so.
        """
        stages = context.memo.once("stages", partial(Memo, KEPT_STAGES))
        start, model = self._start(context, stages)
        for index in range(start, len(self.steps)):
            context.channel.check()
            step, here = self.steps[index], self.context_of(index, context)
            if not step.neutral:
                model = _edited(index, step, model, here)
            if ended_at(model) is not None:  # no recipe's result: nothing that hangs on it may be kept
                context, stages = replace(context, memo=Memo()), Memo()
            elif "training" in step.how.needs:  # dear: kept, so that a later step can be moved without training again
                context.memo.once(self._stage(index + 1, context), partial(structural_copy, model))
            elif index + 1 < min(len(self.steps), start + KEPT_STAGES) and own_bytes(model, context.original) <= MOST:
                stages.once(self._stage(index + 1, context), partial(structural_copy, model))
        check_runs(model, context)
        return model.eval()

    def _start(self, context: Context, stages: Memo) -> tuple[int, nn.Module]:
        """How many steps are done in what was kept, and a copy of that."""
        for index in range(len(self.steps), 0, -1):
            for kept in (context.memo, stages):
                if (key := self._stage(index, context)) in kept:
                    return index, structural_copy(kept.once(key, nn.Module))
        return 0, structural_copy(context.original)

    def context_of(self, index: int, context: Context) -> Context:
        """The context of a step: what it computes once is kept for it and the steps before it."""
        return replace(context, prefix=str(Recipe(self.steps[:index])))

    def _stage(self, index: int, context: Context) -> tuple[str, int, str]:
        return ("stage", context.seed, str(Recipe(self.steps[:index])))


def _plain(step: Method) -> dict[str, object]:
    values = {k: list(v) if isinstance(v, tuple) else v for k, v in step.values.items()}
    return {"form": step.form, **values}


def _step(index: int, item: object) -> Method:
    if isinstance(item, Method):
        return item
    if isinstance(item, str):
        item = [item, {}]
    if not isinstance(item, list | tuple) or not 1 <= len(item) <= 2:
        raise MalformedRecipe(
            "step {index} must be [method, {{coefficient: value}}], got {got}", index=index, got=shown(item)
        )
    name, values = item[0], item[1] if len(item) == 2 else {}
    if not isinstance(values, Mapping):
        raise MalformedRecipe(
            "step {index} must hold its coefficients as an object, got {got}", index=index, got=shown(values)
        )
    rest = {str(k): v for k, v in values.items() if k != "form"}
    form = values.get("form", "")
    kind = method_named(name)
    if not form and "form" in values:
        form = " "  # an empty name is a wrong name, not a wish for the default
    return kind(form, rest)


def _edited(index: int, step: Method, model: nn.Module, context: Context) -> nn.Module:
    """One step, its errors enriched once with where they happened."""
    try:
        model = step.edit(model, context).eval()
    except CannotApply as error:
        error.step = index
        raise
    except (SecateurError, torch.OutOfMemoryError):
        raise
    except FAULTS as error:
        raise BrokenVariant(
            "step {index} ({method}) must leave a model that runs, got: {why}",
            index=index,
            method=step.name,
            why=first_line(error),
        ) from error
    held = dict(context.original.named_buffers())
    for name, tensor in model.state_dict().items():
        if not is_finite(tensor) and is_finite(held.get(name)):  # a mask of the model's own may hold minus infinity
            raise BrokenVariant(
                "step {index} ({method}) must leave finite weights, got others in {layer}: take a smaller step",
                index=index, method=step.name, layer=name,
            )  # fmt: skip
    return model


def check_runs(model: nn.Module, context: Context, by_recipe: bool = True) -> None:
    """Raise BrokenVariant where the model does not run, or gives another shape than the original.

    by_recipe    whether a recipe made it, and not somebody elsewhere
    """
    example = placed(take(context.train[0], slice(2)), context.device)
    try:
        with torch.inference_mode():
            wanted = context.memo.once(
                "shape of the outputs", lambda: main_tensor(run(context.original, example)).shape
            )
            got = main_tensor(run(model, example)).shape
    except (torch.OutOfMemoryError, SecateurError):
        raise
    except Exception as error:  # the model's own code: whatever it raises is one sentence here
        runs = "the recipe must leave a model that runs" if by_recipe else "the variant must run"
        raise BrokenVariant(runs + ", got: {why}", why=first_line(error)) from error
    if wanted != got:
        who = "the recipe" if by_recipe else "the variant"
        raise BrokenVariant(
            "{who} must keep the outputs' shape {wanted}, got {got}", who=who, wanted=tuple(wanted), got=tuple(got)
        )


def check_classes(workload: Workload, context: Context) -> None:
    """Raise InvalidInput where the names of the classes are not one for each output."""
    if not (workload.classes and workload.task.counts_classes):
        return

    def width() -> int:
        with torch.inference_mode():
            answer = run(context.original, placed(take(context.train[0], slice(1)), context.device))
        return main_tensor(answer).shape[-1]

    if (outputs := run_or_name(width)) != len(workload.classes):
        key = "classes of {name} must name each of the model's {width} outputs, got {got} names"
        raise InvalidInput(key, name=workload.name, width=outputs, got=len(workload.classes))


def run_or_name(work: Callable[[], T]) -> T:
    """What `work` gives. Raises BrokenVariant where the model's own code fails, on a batch or by what it returns."""
    try:
        return work()
    except (torch.OutOfMemoryError, SecateurError):
        raise
    except Exception as error:
        key = "the model must run on any batch and give one tensor, got: {why}"
        raise BrokenVariant(key, why=first_line(error)) from error

"""A recipe applied and every metric taken, the original beside the variant."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Unpack

from torch import nn

from engine.edit.training import ended_at
from engine.errors import CannotApply, InvalidInput, SecateurError, unknown
from engine.fingerprint import content_of
from engine.gathering import Gathering, NotStored, Options
from engine.measured import Measured, Variant
from engine.metrics.precision import BASELINES, baseline
from engine.metrics.record import Protocol, torch_threads
from engine.recipe import Recipe, RecipeLike, check_runs
from engine.workload import Workload


class _Ended(SecateurError):
    """Somebody ended a training: the model is no recipe's."""


class Measurer(Gathering):
    """Measures recipes of one workload by one protocol; what the points share is done once."""

    def measure(self, recipe: RecipeLike, along: Protocol | None = None) -> Measured:
        """Every figure, from the store or measured and put there. Raises CannotApply, BrokenVariant, Cancelled.

        along    how it is measured as one of the points of a curve: `Protocol.along_curve`

        Where the channel has enough of a training, the model as it is then is measured; it is stored as a model of
        its own, and not as the recipe's.
        """
        recipe = Recipe.of(recipe)
        built: list[nn.Module] = []

        def variant() -> nn.Module:
            if not built:
                built.append(self.built.of(recipe, self.context))
                if ended_at(built[0]) is not None:
                    raise _Ended("the training was ended")
            return built[0]

        with torch_threads(self.protocol.threads):
            self.may_end = True
            try:
                return self.gather(recipe, variant, self.keep, along)
            except _Ended:
                point = self.gather(Variant(content_of(built[0])), lambda: built[0], self.keep)
                return replace(point, recipe=recipe, ended=ended_at(built[0]))
            finally:
                self.may_end = False

    def measure_baseline(self, name: str) -> Measured:
        """Every figure of the original in other numbers, "bfloat16" or "int8", beside the original.

        Raises UnknownName, CannotApply where it cannot be had here, BrokenVariant where it does not run.
        """
        if name not in BASELINES:
            raise unknown("a baseline", name, BASELINES)
        if self.protocol.dtype != self.workload.dtype:
            key = "{name} must be measured beside the original in its own {own}, got {got}"
            raise CannotApply(key, name=name, own=self.workload.dtype, got=self.protocol.dtype)
        made: list[nn.Module] = []

        def variant() -> nn.Module:
            if not made:
                made.append(baseline(name, self.context.original, self.protocol))
                check_runs(made[0], self.context, by_recipe=False)
            return made[0]

        with torch_threads(self.protocol.threads):
            return self.gather(Variant(name), variant, self.keep)

    def measure_model(self, model: nn.Module) -> Measured:
        """Every figure of a variant that was made elsewhere, beside the original. Raises as `measure` does."""
        if not isinstance(model, nn.Module):
            raise InvalidInput("a variant must be a torch.nn.Module, got {kind}", kind=type(model).__name__)
        own = copy.deepcopy(model).to(self.protocol.device).eval()
        with torch_threads(self.protocol.threads):
            check_runs(own, self.context, by_recipe=False)
            return self.gather(Variant(content_of(own)), lambda: own, self.keep)

    def lookup(self, recipe: RecipeLike | Variant, along: Protocol | None = None) -> Measured | None:
        """The point where the store holds all of it, else None; nothing is built or measured."""
        if self.fresh:
            return None
        made = recipe if isinstance(recipe, Variant) else Recipe.of(recipe)
        try:
            return self.gather(made, _refuse, self.find, along)
        except NotStored:
            return None


def measure(
    workload: Workload, recipe: RecipeLike = None, model: nn.Module | None = None, **options: Unpack[Options]
) -> Measured:
    """Apply a recipe to a workload and take every figure, the original beside the variant.

    recipe     a Recipe, its JSON text or list; None is the original itself
    model      a variant that was made elsewhere, in place of a recipe
    options    device, protocol, store, fresh, channel: see Options

    Raises InvalidInput for a bad recipe or device, CannotApply and BrokenVariant where the recipe cannot be done or
    the model does not answer as the original does.
    """
    measurer = Measurer(workload, **options)
    if model is None:
        return measurer.measure(recipe)
    if len(Recipe.of(recipe)):
        raise InvalidInput("measure must be given a recipe or a model, got both: apply the recipe to the model first")
    return measurer.measure_model(model)


def _refuse() -> nn.Module:
    raise NotStored

"""A recipe applied and every metric taken, the original beside the variant."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from typing import TypedDict, Unpack, cast

import torch
from torch import nn

from engine.built import Built
from engine.edit.training import ended_at
from engine.errors import CannotApply, InvalidInput, SecateurError, unknown
from engine.examples import placed, repeated
from engine.fingerprint import content_of
from engine.keys import Keys, elsewhere_key
from engine.measured import Measured, Variant
from engine.method import Channel, Context, Relay
from engine.metrics.precision import BASELINES, baseline
from engine.metrics.record import Estimate, Measurement, Protocol, pick_device, torch_threads
from engine.recipe import Recipe, RecipeLike, check_classes, check_runs, run_or_name
from engine.records import pair_record, score_record, size_record
from engine.speed import Get, machine_of, speed_of_record, time_record
from engine.store import MemoryStore, Payload, RecordKind, Store, open_store
from engine.workload import Workload

Build = Callable[[], nn.Module]
Made = Recipe | Variant


class Options(TypedDict, total=False):
    """What `measure` and `sweep` take beside the workload and the recipe.

    device     "cpu", "cuda", "cuda:1", "mps"; default cuda where there is one, else the CPU
    protocol   how to measure, in place of `Protocol.here(device)`
    store      where figures are kept and looked up, a store or its URL; default nowhere
    fresh      measure again what the store already holds
    channel    the line for partial figures and a wish to stop
    """

    device: str | torch.device | None
    protocol: Protocol | None
    store: Store | str | None
    fresh: bool
    channel: Channel | None


class _Ended(SecateurError):
    """Somebody ended a training: the model is no recipe's."""


class NotStored(Exception):
    """A record would have to be measured."""


class Measurer:
    """Measures recipes of one workload by one protocol; what the points share is done once."""

    def __init__(self, workload: Workload, **options: Unpack[Options]) -> None:
        for name in options:
            if name not in Options.__annotations__:
                raise unknown("an option of measure and sweep", name, Options.__annotations__)
        self.workload = workload
        asked = options.get("protocol") or Protocol.here(options.get("device"))
        self.protocol = replace(asked, dtype=asked.dtype or workload.dtype)
        self.keys = Keys(workload, self.protocol)
        store = options.get("store")
        self.store: Store = open_store(store) if isinstance(store, str) else store or MemoryStore()
        self.fresh = bool(options.get("fresh"))
        self.channel = options.get("channel") or Channel()
        self.built = Built()
        self._may_end = False  # a training, before its last step: what looks at weights or layers wants all of it
        self._own: set[str] = set()  # what this object measured itself is fresh enough for it

    @cached_property
    def context(self) -> Context:
        """What recipes are applied in."""
        base = Context.of(self.workload, pick_device(self.protocol.device), self.protocol.seed)
        check_classes(self.workload, base)
        return replace(base, channel=Relay(lambda: self.channel, lambda: self._may_end))

    def measure(self, recipe: RecipeLike) -> Measured:
        """Every figure, from the store or measured and put there. Raises CannotApply, BrokenVariant, Cancelled.

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
            self._may_end = True
            try:
                return self._gather(recipe, variant, self.keep)
            except _Ended:
                point = self._gather(Variant(content_of(built[0])), lambda: built[0], self.keep)
                return replace(point, recipe=recipe, ended=ended_at(built[0]))
            finally:
                self._may_end = False

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
            return self._gather(Variant(name), variant, self.keep)

    def measure_model(self, model: nn.Module) -> Measured:
        """Every figure of a variant that was made elsewhere, beside the original. Raises as `measure` does."""
        if not isinstance(model, nn.Module):
            raise InvalidInput("a variant must be a torch.nn.Module, got {kind}", kind=type(model).__name__)
        own = copy.deepcopy(model).to(self.protocol.device).eval()
        with torch_threads(self.protocol.threads):
            check_runs(own, self.context, by_recipe=False)
            return self._gather(Variant(content_of(own)), lambda: own, self.keep)

    def lookup(self, recipe: RecipeLike | Variant) -> Measured | None:
        """The point where the store holds all of it, else None; nothing is built or measured."""
        if self.fresh:
            return None
        made = recipe if isinstance(recipe, Variant) else Recipe.of(recipe)
        try:
            return self._gather(made, _refuse, self._find)
        except NotStored:
            return None

    def _gather(self, recipe: Made, variant: Build, get: Get) -> Measured:
        original, before = self._side(Recipe(), lambda: self.context.original, get)
        changed, after = self._side(recipe, variant, get)
        ratio, speeds = dict[int, Estimate](), dict[int, Payload]()
        machine = machine_of(self.protocol, get)
        for batch in self.protocol.batches:
            key = self.keys.latency(batch, before["signature"], after["signature"])
            record = get("latency", key, partial(self._times, variant, batch, recipe))
            end = "" if batch == 1 else f"_{batch}"
            for side, name in ((original, "original"), (changed, "variant")):
                times = _estimates(record[name])
                side[f"latency_ms{end}"], side[f"latency_p90_ms{end}"] = times["median"], times["p90"]
                side[f"peak_memory_bytes{end}"] = times["peak_memory"]
            ratio[batch] = _estimates(record["ratio"])["median"]
            speeds[batch] = speed_of_record(record, batch, machine, (before, after))
        compared = partial(pair_record, before, after, self.workload, self.protocol.seed)
        pair = get("pair", self.keys.pair(recipe), compared)
        protocol = self.protocol.evaluated(int(cast("int", after["examples"])))
        chance = self.workload.chance
        sides = Measurement(original), Measurement(changed)
        made = (recipe, "") if isinstance(recipe, Recipe) else (Recipe(), recipe.content)
        figure = self.workload.task.figure
        sizes = (("original", before), ("variant", after))
        work = {name: cast("dict[str, int]", size["uncounted"]) for name, size in sizes}
        found = self.store.get(
            "elsewhere", elsewhere_key(self.workload.fingerprint, [s["signature"] for _, s in sizes])
        )
        there = cast("list[Payload]", list((found or {}).values()))
        name = self.workload.name
        return Measured(made[0], name, protocol, *sides, ratio, chance, made[1], figure, pair, work, there, speeds)

    def _side(self, recipe: Made, model: Build, get: Get) -> tuple[dict[str, Estimate], Payload]:
        size = get("size", self.keys.size(recipe), partial(self._sizes, model, recipe))
        score = get("score", self.keys.score(recipe), partial(self._score, model))
        return _estimates(size) | _estimates(score), size | score

    def cast(self, model: nn.Module) -> nn.Module:
        """The model in the protocol's dtype: itself where it has it."""
        dtype = self.protocol.dtype
        return model if dtype == self.workload.dtype else self.built.turned(model, dtype)

    def keep(self, kind: RecordKind, key: Payload, compute: Callable[[], Payload]) -> Payload:
        """The record from the store, or computed and put there."""
        mark = f"{kind}{key}"
        found = None if self.fresh and mark not in self._own else self.store.get(kind, key)
        if found is None:
            self.channel.check()
            found = run_or_name(compute)
            self.store.put(kind, key, found)
            self._own.add(mark)
        return found

    def _find(self, kind: RecordKind, key: Payload, compute: Callable[[], Payload]) -> Payload:
        found = self.store.get(kind, key)
        if found is None:
            raise NotStored
        return found

    def _sizes(self, build: Build, made: Made) -> Payload:
        same = isinstance(made, Variant) and made.content in BASELINES  # as many products, of other numbers
        counted = self.context.original if same else None
        return size_record(self.cast(build()), self.workload.example, self.context.memo, counted)

    def _score(self, build: Build) -> Payload:
        return score_record(self.cast(build()), self.workload, self.protocol, self.channel)

    def _times(self, build: Build, batch: int, recipe: Made) -> Payload:
        variant = build()
        inputs = placed(repeated(self.workload.train[0], batch), self.protocol.device)
        pair, memo = (self.cast(self.context.original), self.cast(variant)), self.context.memo
        return {**time_record(*pair, inputs, self.protocol, self.channel, memo), "measured_on": str(recipe)}


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


def _estimates(record: object) -> dict[str, Estimate]:
    plain = cast("dict[str, object]", record)
    return {k: Estimate(**v) for k, v in plain.items() if isinstance(v, dict) and "unit" in v}

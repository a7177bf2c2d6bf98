"""A recipe applied and every metric taken, the original beside the variant."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from typing import TypedDict, Unpack, cast

import torch
from torch import nn

from engine.catalogue import source_of
from engine.errors import InvalidInput, unknown
from engine.examples import Inputs, count, placed, take
from engine.fingerprint import content_of
from engine.measured import Measured, Variant
from engine.method import Channel, Context
from engine.metrics.accuracy import evaluate, score_figures
from engine.metrics.answers import Answers, calibration_error
from engine.metrics.compute import multiply_adds
from engine.metrics.paired import by_class, compare
from engine.metrics.record import Estimate, Measurement, Protocol, pick_device, torch_threads
from engine.metrics.size import signature, size_figures
from engine.recipe import Recipe, RecipeLike, check_classes, check_runs, run_or_name
from engine.revision import revision
from engine.speed import Get, machine_of, speed_of_record, time_record
from engine.store import MemoryStore, Payload, RecordKind, Store, open_store
from engine.workload import Workload

Build = Callable[[], nn.Module]


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
        self.protocol = replace(asked, dtype=workload.dtype)
        store = options.get("store")
        self.store: Store = open_store(store) if isinstance(store, str) else store or MemoryStore()
        self.fresh = bool(options.get("fresh"))
        self.channel = options.get("channel") or Channel()
        self._own: set[str] = set()  # what this object measured itself is fresh enough for it

    @cached_property
    def context(self) -> Context:
        """What recipes are applied in."""
        base = Context.of(self.workload, pick_device(self.protocol.device), self.protocol.seed)
        check_classes(self.workload, base)
        return replace(base, channel=_Follow(self))

    def measure(self, recipe: RecipeLike) -> Measured:
        """Every figure, from the store or measured and put there. Raises CannotApply, BrokenVariant, Cancelled."""
        recipe = Recipe.of(recipe)
        built: list[nn.Module] = []

        def variant() -> nn.Module:
            if not built:
                built.append(recipe.apply_in(self.context))
            return built[0]

        with torch_threads(self.protocol.threads):
            return self._gather(recipe, variant, self._keep)

    def measure_model(self, model: nn.Module) -> Measured:
        """Every figure of a variant that was made elsewhere, beside the original. Raises as `measure` does."""
        if not isinstance(model, nn.Module):
            raise InvalidInput("a variant must be a torch.nn.Module, got {kind}", kind=type(model).__name__)
        own = copy.deepcopy(model).to(self.protocol.device).eval()
        with torch_threads(self.protocol.threads):
            check_runs(own, self.context, by_recipe=False)
            return self._gather(Variant(content_of(own)), lambda: own, self._keep)

    def lookup(self, recipe: RecipeLike) -> Measured | None:
        """The point where the store holds all of it, else None; nothing is built or measured."""
        if self.fresh:
            return None
        try:
            return self._gather(Recipe.of(recipe), _refuse, self._find)
        except NotStored:
            return None

    def _gather(self, recipe: Recipe | Variant, variant: Build, get: Get) -> Measured:
        original, before = self._side(Recipe(), self._original, get)
        changed, after = self._side(recipe, variant, get)
        ratio, speeds = dict[int, Estimate](), dict[int, Payload]()
        machine = machine_of(self.protocol, get)
        for batch in self.protocol.batches:
            key = self._latency_key(batch, before["signature"], after["signature"])
            record = get("latency", key, partial(self._times, variant, batch, recipe))
            end = "" if batch == 1 else f"_{batch}"
            for side, name in ((original, "original"), (changed, "variant")):
                times = _estimates(record[name])
                side[f"latency_ms{end}"], side[f"latency_p90_ms{end}"] = times["median"], times["p90"]
            ratio[batch] = _estimates(record["ratio"])["median"]
            speeds[batch] = speed_of_record(record, batch, machine, (before, after))
        key = {**self._score_key(recipe), "against": "original"}
        pair = get("pair", key, partial(self._pair, before, after))
        protocol = self.protocol.evaluated(int(cast("int", after["examples"])))
        chance = self.workload.chance
        sides = Measurement(original), Measurement(changed)
        made = (recipe, "") if isinstance(recipe, Recipe) else (Recipe(), recipe.content)
        figure = self.workload.task.figure
        return Measured(made[0], self.workload.name, protocol, *sides, ratio, chance, made[1], figure, pair, speeds)

    def _side(self, recipe: Recipe | Variant, model: Build, get: Get) -> tuple[dict[str, Estimate], Payload]:
        size = get("size", self._key(recipe), partial(self._sizes, model))
        score = get("score", self._score_key(recipe), partial(self._score, model))
        return _estimates(size) | _estimates(score), size | score

    def _original(self) -> nn.Module:
        return self.context.original

    def _keep(self, kind: RecordKind, key: Payload, compute: Callable[[], Payload]) -> Payload:
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

    def _key(self, recipe: Recipe | Variant) -> Payload:
        steps = recipe if isinstance(recipe, Recipe) else ()
        names = tuple(sorted({type(step) for step in steps}, key=lambda kind: kind.name))
        kind, seed = self.protocol.device_kind, self.protocol.seed
        made = {"workload": self.workload.fingerprint, "recipe": str(recipe), "seed": seed, "device": kind}
        return {**made, "revision": revision(*(source_of(kind) for kind in names))}

    def _score_key(self, recipe: Recipe | Variant) -> Payload:
        return {**self._key(recipe), "dtype": self.protocol.dtype, "examples": self.protocol.examples}

    def _latency_key(self, batch: int, *pair: object) -> Payload:
        what: Payload = {"pair": list(pair), "workload": self.workload.fingerprint}
        return {**what, "protocol": self.protocol.of_batch(batch), "revision": revision()}

    def _sizes(self, build: Build) -> Payload:
        model = build()
        figures = size_figures(model)
        figures["multiply_adds"] = multiply_adds(model, self.workload.example)
        return {**{k: v.to_dict() for k, v in figures.items()}, "signature": signature(model)}

    def _score(self, build: Build) -> Payload:
        model = build()
        task, device = self.workload.task, pick_device(self.protocol.device)
        found = evaluate(model, task, self.workload.test, device, self.channel)
        figures = score_figures(found.terms, task, self.protocol.seed)
        plain: Payload = {k: v.to_dict() for k, v in figures.items()}
        return {**plain, "examples": len(found.terms[0]), "answers": found.answers.to_dict()}

    def _pair(self, before: Payload, after: Payload) -> Payload:
        """Original against variant, example by example."""
        sides = [Answers.from_dict(cast("Payload", side["answers"])) for side in (before, after)]
        targets, names = self.workload.test[1], self.workload.classes
        classes = by_class(sides[0], sides[1], targets, names) if isinstance(targets, torch.Tensor) else ()
        paired = compare(sides[0], sides[1], self.workload.task, self.protocol.seed)
        errors = [calibration_error(side, self.protocol.seed).to_dict() for side in sides]
        return {
            "paired": paired.to_dict(),
            "classes": [one.to_dict() for one in classes],
            "calibration_error": dict(zip(("original", "variant"), errors, strict=True)),
        }

    def _times(self, build: Build, batch: int, recipe: Recipe | Variant) -> Payload:
        variant = build()
        inputs = placed(repeated(self.workload.train[0], batch), self.protocol.device)
        return {
            **time_record(self.context.original, variant, inputs, self.protocol, self.channel),
            "measured_on": str(recipe),
        }


class _Follow(Channel):
    """The channel that the measurer has now: it may change from point to point."""

    def __init__(self, measurer: Measurer) -> None:
        self._measurer = measurer

    def report(self, partial: object) -> None:
        self._measurer.channel.report(partial)  # type: ignore[arg-type]

    def cancelled(self) -> bool:
        return self._measurer.channel.cancelled()


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


def repeated(inputs: Inputs, batch: int) -> Inputs:
    """The first `batch` inputs, from the start again where there are fewer: (batch, ...)."""
    return take(inputs, torch.arange(batch) % count(inputs))


def _refuse() -> nn.Module:
    raise NotStored


def _estimates(record: object) -> dict[str, Estimate]:
    plain = cast("dict[str, object]", record)
    return {k: Estimate(**v) for k, v in plain.items() if isinstance(v, dict) and "unit" in v}

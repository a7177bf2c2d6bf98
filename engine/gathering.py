"""Every figure of one point: the original's records beside the variant's, from the store or measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from typing import TypeAlias, TypedDict, Unpack, cast

import torch
from torch import nn

from engine.built import Built
from engine.channels import Telling
from engine.errors import unknown
from engine.examples import placed, repeated
from engine.keys import Keys, elsewhere_key
from engine.measured import Measured, Variant
from engine.method import Channel, Context, Relay
from engine.metrics.begun import Begun
from engine.metrics.precision import BASELINES
from engine.metrics.record import Estimate, Measurement, Protocol, pick_device
from engine.metrics.size import counts
from engine.recipe import Recipe, check_classes, run_or_name
from engine.records import pair_record, score_record, size_record
from engine.speed import Get, machine_of, speed_of_record, time_record
from engine.store import MemoryStore, Payload, RecordKind, Store, open_store
from engine.workload import Workload

CURVE: Payload = {"along": "a curve"}  # in the key of a record that leaves out what is dear and not shown there
Build: TypeAlias = Callable[[], nn.Module]
Made: TypeAlias = Recipe | Variant


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


class Gathering:
    """What the points of one workload by one protocol are measured with; what they share is done once."""

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
        self.may_end = False  # a training, before its last step: what looks at weights or layers wants all of it
        self._begun: Begun | None = None
        self._own: set[str] = set()  # what this object measured itself is fresh enough for it

    @cached_property
    def context(self) -> Context:
        """What recipes are applied in."""
        base = Context.of(self.workload, pick_device(self.protocol.device), self.protocol.seed)
        check_classes(self.workload, base)
        return replace(base, channel=Relay(lambda: self.channel, lambda: self.may_end))

    def cast(self, model: nn.Module) -> nn.Module:
        """The model in the protocol's dtype: itself where it has it."""
        dtype = self.protocol.dtype
        return model if dtype == self.workload.dtype else self.built.turned(model, dtype)

    def keep(self, kind: RecordKind, key: Payload, compute: Callable[[], Payload]) -> Payload:
        """The record from the store, or computed and put there."""
        found = self._held(kind, key)
        if found is None:
            self.channel.check()
            found = run_or_name(compute)
            self._put(kind, key, found)
        return found

    def find(self, kind: RecordKind, key: Payload, compute: Callable[[], Payload]) -> Payload:
        """The record from the store. Raises NotStored."""
        found = self._held(kind, key)
        if found is None:
            raise NotStored
        return found

    def _held(self, kind: RecordKind, key: Payload) -> Payload | None:
        return None if self.fresh and f"{kind}{key}" not in self._own else self.store.get(kind, key)

    def _put(self, kind: RecordKind, key: Payload, record: Payload) -> None:
        self.store.put(kind, key, record)
        self._own.add(f"{kind}{key}")

    def gather(self, recipe: Made, variant: Build, get: Get, along: Protocol | None = None) -> Measured:
        """The point.

        along    how it is measured as one of a curve: what is dear and not shown there is left out, and a record of
                 the whole protocol is taken where there is one
        """
        how = self.protocol if along is None else replace(along, dtype=self.protocol.dtype)
        original, before = self._side(Recipe(), self._original, get)
        changed, after = self._side(recipe, variant, get, how, before)
        ratio, speeds = dict[int, Estimate](), dict[int, Payload]()
        machine = machine_of(self.protocol, get)
        for batch in how.batches:
            record = self._timed((before["signature"], after["signature"]), (variant, recipe), batch, how, get)
            end = "" if batch == 1 else f"_{batch}"
            for side, name in ((original, "original"), (changed, "variant")):
                times = _estimates(record[name])
                side[f"latency_ms{end}"], side[f"latency_p90_ms{end}"] = times["median"], times["p90"]
                side[f"peak_memory_bytes{end}"] = times["peak_memory"]
            ratio[batch] = _estimates(record["ratio"])["median"]
            speeds[batch] = speed_of_record(record, batch, machine, (before, after))
        sizes = (("original", before), ("variant", after))
        work = {name: cast("dict[str, int]", size["uncounted"]) for name, size in sizes}
        n, of = cast("int", after["examples"]), cast("int", after["of"])
        made = (recipe, "") if isinstance(recipe, Recipe) else (Recipe(), recipe.content)
        return Measured(
            made[0], self.workload.name, how.evaluated(n, of), Measurement(original), Measurement(changed), ratio,
            self.workload.chance, made[1], self.workload.task.figure, self._pair(recipe, before, after, get), work,
            self._elsewhere(before, after), speeds, of=of,
        )  # fmt: skip

    def _side(
        self, recipe: Made, model: Build, get: Get, how: Protocol | None = None, before: Payload | None = None
    ) -> tuple[dict[str, Estimate], Payload]:
        """Size and score of one side.

        how, before    of the variant: how it is evaluated, and the original's records
        """
        line, told = Telling(self.channel, told=before is not None), how or self.protocol
        held = self._held("size", self.keys.size(recipe))
        if before is not None and get == self.keep:  # before the score, for which somebody waits
            sizes = counts(self.cast(model())) if held is None else _estimates(held)
            line.report({"figures": {name: figure.to_dict() for name, figure in sizes.items()}})
        score = self._scored(recipe, told, partial(self._score, model, told, line, before), get)
        size = self._sized(recipe, told, model, get)
        return _estimates(size) | _estimates(score), size | score

    def _scored(self, recipe: Made, how: Protocol, compute: Callable[[], Payload], get: Get) -> Payload:
        """The score's record; one of all examples serves everybody, also where it was asked for fewer."""
        key = self.keys.score(recipe)
        if not how.precision:
            return get("score", key, compute)
        some = {**key, "precision": how.precision}
        found = self._held("score", key) or self._held("score", some)
        if found is None and get == self.find:
            raise NotStored
        if found is None:
            self.channel.check()
            found = run_or_name(compute)
            self._put("score", key if found["examples"] == found["of"] else some, found)
        return found

    def _sized(self, recipe: Made, how: Protocol, model: Build, get: Get) -> Payload:
        """The record of size and compute."""
        key, whole = self.keys.size(recipe), how is self.protocol
        held = None if whole else self._held("size", key)
        if held is not None:
            return held
        return get("size", key if whole else {**key, **CURVE}, partial(self._sizes, model, recipe, whole))

    def _timed(
        self, signatures: tuple[object, object], variant: tuple[Build, Made], batch: int, how: Protocol, get: Get
    ) -> Payload:
        whole = how is self.protocol
        key = Keys(self.workload, how).latency(batch, *signatures)
        held = None if whole else self._held("latency", self.keys.latency(batch, *signatures))
        if held is not None:
            return held
        # two of one shape are timed once for the whole curve: then it is known why, too
        looks = whole or signatures[0] == signatures[1]
        compute = partial(self._times, *variant, batch, how, looks)
        return get("latency", key if whole else {**key, **CURVE}, compute)

    def _pair(self, recipe: Made, before: Payload, after: Payload, get: Get) -> Payload:
        key = self.keys.pair(recipe)
        if after["examples"] != after["of"]:
            key["examples"] = after["examples"]
        return get("pair", key, partial(pair_record, before, after, self.workload, self.protocol.seed))

    def _elsewhere(self, before: Payload, after: Payload) -> list[Payload]:
        """What other machines measured of the same pair."""
        key = elsewhere_key(self.workload.fingerprint, [side["signature"] for side in (before, after)])
        return cast("list[Payload]", list((self.store.get("elsewhere", key) or {}).values()))

    def _original(self) -> nn.Module:
        return self.context.original

    def _sizes(self, build: Build, made: Made, whole: bool) -> Payload:
        same = isinstance(made, Variant) and made.content in BASELINES  # as many products, of other numbers
        counted = self._original() if same else None
        return size_record(self.cast(build()), self.workload.example, self.context.memo, counted, packed=whole)

    def _score(self, build: Build, how: Protocol, line: Channel, before: Payload | None) -> Payload:
        model = self.cast(build())
        if self._begun is None:
            self._begun = Begun(self.cast(self._original()), self.workload.test, self.context.device)
        return score_record(model, self.workload, how, line, before, self._begun)

    def _times(self, build: Build, recipe: Made, batch: int, how: Protocol, looks: bool) -> Payload:
        variant = build()
        inputs = placed(repeated(self.workload.train[0], batch), how.device)
        pair, memo = (self.cast(self._original()), self.cast(variant)), self.context.memo
        return {**time_record(pair, inputs, how, self.channel, memo, looks), "measured_on": str(recipe)}


def _estimates(record: object) -> dict[str, Estimate]:
    plain = cast("dict[str, object]", record)
    return {k: Estimate(**v) for k, v in plain.items() if isinstance(v, dict) and "unit" in v}

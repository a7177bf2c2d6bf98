"""One job as text, and how any process does it."""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import threading
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from hashlib import sha256

import torch

from engine.errors import Cancelled, InvalidInput, SecateurError, first_line
from engine.lines import write_line
from engine.measured import Variant
from engine.measurement import Measurer
from engine.method import Channel
from engine.metrics.record import Protocol, torch_threads
from engine.microscope import training_seconds, view_weights
from engine.per_layer import view_layers
from engine.recipe import Recipe
from engine.store import MemoryStore, Payload, RecordKind, Store, open_store
from engine.treatability import treatability_map
from engine.workload import KEPT_WORKLOADS, Workload, shared_workload

KEPT_MEASURERS = 3  # with all that methods have computed


@dataclass(frozen=True)
class Job:
    """One thing to be done for one recipe, as text.

    kind         "point" (measure it), "anytime" (measure it as well as a curve shows it), "baseline" (measure the
                 original in the numbers that `detail` names), "layers" (all of them, treated one by one by the step
                 `detail`), "weights" (of the layer `detail`), "price" (how long its trainings take), "line" (number
                 `detail`, written by original and variant), "map" (what can be done to each layer of the original)
    reference    the workload's, with the fingerprint that it must have
    protocol     JSON
    """

    kind: str
    reference: str
    fingerprint: str
    recipe: str
    protocol: str
    detail: str = ""

    @cached_property
    def key(self) -> str:
        """Equal jobs have equal keys."""
        parts = (self.kind, self.reference, self.fingerprint, self.recipe, self.protocol, self.detail)
        return sha256(json.dumps(parts).encode()).hexdigest()

    @classmethod
    def of(cls, kind: str, workload: Workload, recipe: Recipe, protocol: Protocol, detail: str = "") -> Job:
        """The job of that kind. Raises InvalidInput where the workload cannot be built in another process."""
        if workload.reference is None:
            raise InvalidInput("{name} must have a reference to be measured in another process", name=workload.name)
        return cls(kind, workload.reference, workload.fingerprint, str(recipe), _text_of(protocol), detail)


@lru_cache(maxsize=100)
def _text_of(protocol: Protocol) -> str:
    return json.dumps(protocol.to_dict(), sort_keys=True)


class _Journal(MemoryStore):
    """Memory in front of what the driver keeps; remembers what was put, for the driver to write."""

    def __init__(self, behind: Store | None) -> None:
        super().__init__()
        self.behind = behind
        self.written: list[tuple[RecordKind, Payload, Payload]] = []

    def get(self, kind: RecordKind, key: Payload) -> Payload | None:
        found = super().get(kind, key)
        return found if found is not None or self.behind is None else self.behind.get(kind, key)

    def put(self, kind: RecordKind, key: Payload, record: Payload) -> None:
        super().put(kind, key, record)
        self.written.append((kind, key, record))


def protocol_of(text: str) -> Protocol:
    """The protocol in a job."""
    plain = json.loads(text)
    plain["batches"] = tuple(plain["batches"])
    return Protocol(**plain)


@lru_cache(maxsize=KEPT_MEASURERS)
def _measurer(reference: str, fingerprint: str, protocol: str, store_url: str | None) -> Measurer:
    workload = shared_workload(reference)
    if workload.fingerprint != fingerprint:
        raise InvalidInput(
            "{reference} must build the workload {wanted} here as well, got {got}: its files changed",
            reference=reference, wanted=fingerprint, got=workload.fingerprint,
        )  # fmt: skip
    behind = None if store_url is None else open_store(store_url)
    return Measurer(workload, protocol=protocol_of(protocol), store=_Journal(behind))


@lru_cache(maxsize=KEPT_WORKLOADS)
def _looker(reference: str, fingerprint: str, protocol: str, store: Store) -> Measurer:
    return Measurer(shared_workload(reference), protocol=protocol_of(protocol), store=store)


def look_up(job: Job, store: Store) -> dict[str, object] | None:
    """The answer to a point's job where the store holds it; nothing is measured."""
    if job.kind not in ("point", "anytime", "baseline"):
        return None
    looker = _looker(job.reference, job.fingerprint, job.protocol, store)
    what = Variant(job.detail) if job.kind == "baseline" else job.recipe
    along = looker.protocol.along_curve() if job.kind == "anytime" else None
    found = looker.lookup(what, along) if looker.workload.fingerprint == job.fingerprint else None
    return None if found is None else found.to_dict()


def do_job(job: Job, channel: Channel, store_url: str | None) -> str:
    """Do a job and give, as JSON, its result or error, and the records for the driver to write."""
    answer: dict[str, object] = {}
    written: list[tuple[RecordKind, Payload, Payload]] = []
    try:
        measurer = _measurer(job.reference, job.fingerprint, job.protocol, store_url)
        measurer.channel = channel
        written = measurer.store.written  # type: ignore[attr-defined]
        answer["result"] = _result(job, measurer)
    except Cancelled:
        answer["cancelled"] = True
    except SecateurError as error:
        answer |= {"error": str(error), "refused_by": getattr(error, "step", None)}
    except RuntimeError as error:  # out of memory, or a model's own fault: this point fails, the queue goes on
        answer["error"] = f"the model must run, got: {first_line(error)}"
    if torch.cuda.is_initialized():  # what this job took and gave back stays with torch's allocator else
        torch.cuda.empty_cache()
    answer["records"] = list(written)
    written.clear()
    return json.dumps(answer)


def _result(job: Job, measurer: Measurer) -> dict[str, object]:
    recipe = Recipe.parse(job.recipe)
    if job.kind in ("point", "anytime"):
        along = measurer.protocol.along_curve() if job.kind == "anytime" else None
        return measurer.measure(recipe, along).to_dict()
    if job.kind == "baseline":
        return measurer.measure_baseline(job.detail).to_dict()
    if job.kind == "layers":
        return view_layers(measurer, recipe, int(job.detail) if job.detail else None)
    with torch_threads(measurer.protocol.threads):
        if job.kind == "map":
            return treatability_map(measurer.workload, channel=measurer.channel).to_dict()
        if job.kind == "price":
            return {"seconds": training_seconds(recipe, measurer.context)}
        variant = measurer.built.of(recipe, measurer.context)
        original = measurer.context.original
        if job.kind == "line":
            sides = {"original": original, "variant": variant}
            return {side: write_line(net, measurer.workload, int(job.detail)) for side, net in sides.items()}
        return asdict(view_weights(original, variant, job.detail))


def warm_up() -> None:
    """Make a worker ready before its first job: imports done, polite to the page, gone when the page is gone."""
    os.nice(5)
    importlib.import_module("scipy.stats")  # takes half a second, and the first point needs it
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(0)

"""What each record hangs on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.catalogue import source_of
from engine.measured import Variant
from engine.metrics.record import Protocol
from engine.recipe import Recipe
from engine.revision import revision
from engine.store import Payload
from engine.workload import Workload


@dataclass(frozen=True)
class Keys:
    """The keys of all that is measured of a workload by a protocol."""

    workload: Workload
    protocol: Protocol

    def size(self, made: Recipe | Variant) -> Payload:
        """Of the size and compute of a model."""
        steps = made if isinstance(made, Recipe) else ()
        methods = tuple(sorted({type(step) for step in steps}, key=lambda kind: kind.name))
        how = self.protocol
        what: Payload = {"workload": self.workload.fingerprint, "recipe": str(made), "seed": how.seed}
        what |= {"device": how.device_kind, "dtype": how.dtype}
        return {**what, "revision": revision(*(source_of(kind) for kind in methods))}

    def score(self, made: Recipe | Variant) -> Payload:
        """Of its score."""
        return {**self.size(made), "examples": self.protocol.examples}

    def pair(self, made: Recipe | Variant) -> Payload:
        """Of original against variant."""
        return {**self.score(made), "against": "original"}

    def latency(self, batch: int, *signatures: object) -> Payload:
        """Of one timing of two models of these shapes."""
        what: Payload = {"pair": list(signatures), "workload": self.workload.fingerprint}
        return {**what, "protocol": self.protocol.of_batch(batch), "revision": revision()}

    def layers(self, recipe: Recipe, step: int, examples: int) -> Payload:
        """Of all layers of a model, before a step and after the recipe."""
        batches = [self.protocol.of_batch(batch) for batch in self.protocol.batches]
        return {**self.size(recipe), "step": step, "examples": examples, "protocols": batches}


def elsewhere_key(fingerprint: object, signatures: Sequence[object]) -> Payload:
    """Of other machines' figures: the workload, and the shapes of original and variant."""
    return {"workload": fingerprint, "pair": list(signatures)}

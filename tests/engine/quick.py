"""Measuring in a hundredth of a second, and a store that tells what was done."""

from __future__ import annotations

from dataclasses import replace

from engine import Protocol
from engine.store import MemoryStore, Payload, RecordKind


def quick(device: str = "cpu", **changes: object) -> Protocol:
    """A protocol of few rounds."""
    here = Protocol.here(device, threads=1)
    return replace(here, warm_up=1, least_rounds=2, most_rounds=3, budget_s=0.01, **changes)  # type: ignore[arg-type]


class CountingStore(MemoryStore):
    """Memory that counts: each record that was written was measured."""

    def __init__(self) -> None:
        super().__init__()
        self.put_kinds: list[RecordKind] = []

    def put(self, kind: RecordKind, key: Payload, record: Payload) -> None:
        super().put(kind, key, record)
        self.put_kinds.append(kind)

    def count(self) -> dict[str, int]:
        """How many records of each kind were written since the last count."""
        found = {kind: self.put_kinds.count(kind) for kind in ("size", "score", "latency")}
        self.put_kinds.clear()
        return found

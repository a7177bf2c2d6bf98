"""The model, protocol and store that a command names."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dashboard import models
from engine import Measurer, Protocol, Workload, open_store, own_reference


def workload_of(options: argparse.Namespace) -> Workload:
    """The model that was named, with the weights and data that were. Raises InvalidInput."""
    workload = models.load(options.model)
    files = [None if name is None else Path(name) for name in (options.checkpoint, options.data)]
    return Workload.from_reference(own_reference(str(workload.reference), *files)) if any(files) else workload


@contextmanager
def measurer_of(options: argparse.Namespace) -> Iterator[Measurer]:
    """What measures it by the protocol that was asked for; its store is closed behind it. Raises InvalidInput."""
    workload = workload_of(options)
    protocol = Protocol.here(options.device, options.batch, options.threads, options.dtype)
    store = open_store(options.store)
    try:
        yield Measurer(workload, protocol=protocol, store=store, fresh=options.fresh)
    finally:
        store.close()

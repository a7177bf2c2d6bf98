"""A model over many batches, on every core: one thread and one copy of the modules for each batch at a time.

Torch's own threads share one operator, and wait for each other by spinning; where another program takes a core from
them they cost more than they bring. These wait for nobody.
"""

from __future__ import annotations

import copy
import os
from collections import deque
from collections.abc import Generator, Iterable, MutableMapping
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import torch
from torch import Tensor, nn

from engine.copying import structural_copy
from engine.examples import Inputs, Split, placed
from engine.metrics.begun import Ask, ask_whole


def answers_to(
    model: nn.Module, batches: Iterable[Split], device: torch.device, ask: Ask = ask_whole
) -> Generator[tuple[Inputs, Any]]:
    """The targets of each batch and what the model says to it, on the CPU, in order, as soon as they are there.

    What is no longer asked for is not begun: the iterator may be closed at any batch.
    """
    copies = _copies(model, device)
    if len(copies) == 1:
        for number, (inputs, targets) in enumerate(batches):
            yield targets, _answer(ask, model, placed(inputs, device), number)
        return
    free: SimpleQueue[nn.Module] = SimpleQueue()
    for one in copies:
        free.put(one)

    def work(inputs: Inputs, number: int) -> Any:
        mine = free.get()
        try:
            return _answer(ask, mine, placed(inputs, device), number)
        finally:
            free.put(mine)

    # a new thread would take the number of torch's threads from the machine, and not from here
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(len(copies), initializer=torch.set_num_threads, initargs=(threads,)) as pool:
        under_way: deque[tuple[Inputs, Future[Any]]] = deque()
        try:
            for number, (inputs, targets) in enumerate(batches):
                under_way.append((targets, pool.submit(work, inputs, number)))
                if len(under_way) > len(copies):
                    yield _first(under_way)
            while under_way:
                yield _first(under_way)
        finally:
            for _, future in under_way:
                future.cancel()


def _first(under_way: deque[tuple[Inputs, Future[Any]]]) -> tuple[Inputs, Any]:
    targets, future = under_way.popleft()
    return targets, future.result()


def _copies(model: nn.Module, device: torch.device) -> list[nn.Module]:
    """The model, and copies that share its tensors: a module may keep something of its own between two batches."""
    room = cores() // torch.get_num_threads() if device.type == "cpu" else 1
    return [model, *(structural_copy(model) for _ in range(room - 1))]


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _answer(ask: Ask, model: nn.Module, inputs: Inputs, number: int) -> Any:
    with torch.inference_mode():
        return _on_cpu(ask(model, inputs, number))


def _on_cpu(outputs: Any) -> Any:
    """The same answer, its tensors on the CPU, in single precision at least."""
    if isinstance(outputs, Tensor):
        moved = outputs.cpu()
        return moved.float() if moved.is_floating_point() and moved.dtype != torch.float64 else moved
    if isinstance(outputs, MutableMapping):
        made = copy.copy(outputs)  # one of a kind of its own keeps its kind, and so its attributes
        for name, part in outputs.items():
            made[name] = _on_cpu(part)
        return made
    if isinstance(outputs, tuple | list):
        parts = [_on_cpu(part) for part in outputs]
        return type(outputs)(*parts) if hasattr(outputs, "_fields") else type(outputs)(parts)
    return outputs

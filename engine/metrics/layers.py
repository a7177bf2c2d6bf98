"""What each layer of a model costs: its time, its multiply-adds, the bytes that it moves."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.examples import Inputs, call, device_of, dtype_name, tensors_of
from engine.metrics.compute import count_work
from engine.metrics.precision import packed
from engine.metrics.record import in_eval_mode
from engine.metrics.rounds import waiter

RUNS = 9


@dataclass(frozen=True)
class LayerCost:
    """One layer, a module without children that has weights, in one forward pass of a batch.

    path             where it stands in the model; a layer that is called twice counts once, with both calls
    kind             its class
    shape            of its weight, or of its first parameter
    parameters       how many numbers it holds
    multiply_adds    of the batch; 0 where torch's counter knows none
    moved_bytes      inputs, outputs and weights, each once a call
    time_ms          the median over the runs; 0 where it did not run
    dtype            of its weight
    """

    path: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    moved_bytes: int
    time_ms: float
    dtype: str = "float32"

    def to_dict(self) -> dict[str, object]:
        """As plain data."""
        return {**asdict(self), "shape": list(self.shape)}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> LayerCost:
        """What `to_dict` gave."""
        return cls(**{**plain, "shape": tuple(plain["shape"])})


def layer_costs(
    model: nn.Module, inputs: Inputs, budget_s: float = 0.2, counts: Mapping[str, int] | None = None
) -> list[LayerCost]:
    """The cost of every layer, in the order of the first call; the model's mode is put back.

    inputs      a batch (batch, ...), on the model's device
    budget_s    for up to RUNS passes after a first one; two are made in any case
    counts      the multiply-adds by module, where they are known
    """
    notes = _Notes(_layers(model), inputs)
    with notes.listening(), in_eval_mode(model), torch.inference_mode():
        began = time.perf_counter()
        while len(notes.rounds) < 2 or (len(notes.rounds) <= RUNS and time.perf_counter() - began < budget_s):
            notes.rounds.append({})  # the first is a warm-up
            call(model, inputs)
    counts = count_work(model, inputs).by_module if counts is None else counts
    order = {**notes.called, **notes.paths}  # those that never ran come last
    return [notes.cost(path, module, counts.get(path, 0)) for module, path in order.items()]


def within(path: str, layer: str) -> bool:
    """Whether a path is that of a layer or of something in it; everything is within the model, which is ""."""
    return not layer or path == layer or path.startswith(f"{layer}.")


def layer_paths(model: nn.Module) -> list[str]:
    """The paths of all layers, in the order in which they stand in the model."""
    return list(_layers(model).values())


class _Notes:
    """What hooks write down of every layer, in every run."""

    def __init__(self, paths: dict[nn.Module, str], inputs: Inputs) -> None:
        self.paths = paths
        self.called: dict[nn.Module, str] = {}
        self.rounds: list[dict[str, tuple[float, int]]] = []  # milliseconds and bytes of each path
        self.wait = waiter(device_of(inputs))
        self.begun = 0.0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """With hooks on every layer."""
        hooks = [module.register_forward_pre_hook(self.before) for module in self.paths]
        hooks += [module.register_forward_hook(self.after, with_kwargs=True) for module in self.paths]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def before(self, module: nn.Module, given: object) -> None:
        self.begun = self.now()

    def after(self, module: nn.Module, given: object, keywords: dict[str, object], answer: object) -> None:
        spent = self.now() - self.begun
        path = self.called.setdefault(module, self.paths[module])
        moved = sum(_bytes(tensor) for tensor in tensors_of((given, keywords, answer)))
        own = sum(map(_bytes, _own(module)))
        if isinstance(module, nn.Embedding):  # of its table only the rows that were asked for are read
            own = min(own, sum(map(_bytes, tensors_of(answer))))
        ms, before = self.rounds[-1].get(path, (0.0, 0))
        self.rounds[-1][path] = ms + spent, before + moved + own

    def now(self) -> float:
        """Milliseconds, once the device has done what it was told."""
        self.wait()
        return time.perf_counter_ns() / 1e6

    def cost(self, path: str, module: nn.Module, multiply_adds: int) -> LayerCost:
        """What was written down of one layer."""
        own, weight = _own(module), getattr(module, "weight", None)
        first = weight if isinstance(weight, Tensor) else own[0]
        times = torch.tensor([one.get(path, (0.0, 0))[0] for one in self.rounds[1:]], dtype=torch.float64)
        held, moved = sum(p.numel() for p in own), self.rounds[-1].get(path, (0.0, 0))[1]
        kind, ms = type(module).__name__, float(times.quantile(0.5))
        return LayerCost(path, kind, tuple(first.shape), held, multiply_adds, moved, ms, dtype_name(first.dtype))


def _layers(model: nn.Module) -> dict[nn.Module, str]:
    found: dict[nn.Module, str] = {}
    inside: set[nn.Module] = set()  # attention reads the weights of the layer in it without calling it
    for path, module in model.named_modules():
        if isinstance(module, nn.MultiheadAttention):
            inside.update(module.children())
        elif module in inside or not _own(module) or any(_own(part) for part in module.modules() if part is not module):
            continue
        found[module] = path
    return found


def _own(module: nn.Module) -> list[Tensor]:
    return packed(module) or list(module.parameters(recurse=isinstance(module, nn.MultiheadAttention)))


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()

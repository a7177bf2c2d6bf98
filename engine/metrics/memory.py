"""How much memory a forward pass needs."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor, nn

from engine.examples import Inputs, call, device_of, named, tensors_of
from engine.metrics.precision import packed
from engine.metrics.record import Estimate, in_eval_mode
from engine.metrics.rounds import waiter
from engine.metrics.watching import Watching

UNIT = "bytes"


def peak_memory(model: nn.Module, inputs: Inputs) -> Estimate:
    """The most bytes that are held at once in one forward pass: weights, inputs, and what lies between.

    On CUDA by its allocator's own count; elsewhere every tensor that an operator gives is counted from its making to
    its end, without what a kernel takes for itself.

    inputs    a batch (batch, ...), on the model's device
    """
    device = device_of(inputs)
    held = {_mark(tensor): _bytes(tensor) for tensor in (*_state(model), *named(inputs).values())}
    with in_eval_mode(model), torch.inference_mode():
        between = _on_cuda(model, inputs, device) if device.type == "cuda" else _by_operator(model, inputs, set(held))
    return Estimate.exact(sum(held.values()) + between, UNIT)


def _on_cuda(model: nn.Module, inputs: Inputs, device: torch.device) -> int:
    wait = waiter(device)
    wait()
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    call(model, inputs)
    wait()
    return int(torch.cuda.max_memory_allocated(device)) - int(before)


def _by_operator(model: nn.Module, inputs: Inputs, known: set[int]) -> int:
    with _Holding(known) as holding:
        call(model, inputs)
    most: int = holding.most
    return most


class _Holding(Watching):
    """Counts the bytes of all storages that operators have made and nobody has dropped."""

    def __init__(self, known: set[int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.known, self.now, self.most = known, 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = func(*args, **(kwargs or {}))
        for tensor in tensors_of(answer):
            storage = tensor.untyped_storage()
            mark = storage._cdata
            if mark not in self.known:
                self.known.add(mark)
                self.now += storage.nbytes()
                weakref.finalize(storage, self._dropped, mark, storage.nbytes())
        self.most = max(self.most, self.now)
        return answer

    def _dropped(self, mark: int, size: int) -> None:
        self.known.discard(mark)
        self.now -= size


def _state(model: nn.Module) -> list[Tensor]:
    eight_bits = [tensor for module in model.modules() for tensor in packed(module)]
    return [*model.parameters(), *model.buffers(), *eight_bits]


def _mark(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _bytes(tensor: Tensor) -> int:
    return tensor.untyped_storage().nbytes()

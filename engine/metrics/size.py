"""How much there is of a model: three parameter counts that are never merged, and bytes."""

from __future__ import annotations

import hashlib
import json
import zlib

import torch
from safetensors.torch import save
from torch import Tensor, nn

from engine.metrics.precision import packed
from engine.metrics.record import Estimate


def size_figures(model: nn.Module, compressed: bool = True) -> dict[str, Estimate]:
    """parameters, nonzero, structural, size_bytes and compressed_bytes of a model, exact; a tied tensor counts once.

    compressed    whether the last of them is taken: of the same file under zlib, level 1, the fastest: what zeros are
                  worth on a disk
    """
    saved = saved_state(model)
    small = Estimate.missing("it is taken by a full measurement only", "bytes")
    return {
        **counts(model),
        "structural": Estimate.exact(structural(model), "parameters"),
        "size_bytes": Estimate.exact(len(saved), "bytes"),
        "compressed_bytes": Estimate.exact(len(zlib.compress(saved, 1)), "bytes") if compressed else small,
    }


def counts(model: nn.Module) -> dict[str, Estimate]:
    """parameters and nonzero alone: what can be said at once."""
    held = [*model.parameters(), *(tensor for group in _eight_bits(model).values() for tensor in group)]
    return {
        "parameters": Estimate.exact(sum(p.numel() for p in held), "parameters"),
        "nonzero": Estimate.exact(sum(int(torch.count_nonzero(p)) for p in held), "parameters"),
    }


def structural(model: nn.Module) -> int:
    """Parameters that are left when rows, columns and channels that are all zero are dropped.

    Row i of a layer is dropped where it is zero in every tensor of the layer that has as many rows (so a bias keeps
    its row); a column is dropped where it is zero in the weight.
    """
    total, seen = 0, set[int]()
    for module in model.modules():
        fresh = [p for p in module._parameters.values() if p is not None and p.numel() and id(p) not in seen]
        seen.update(id(p) for p in fresh)
        by_rows: dict[int, list[Tensor]] = {}
        for parameter in fresh:
            by_rows.setdefault(parameter.shape[0] if parameter.dim() else 1, []).append(parameter.detach())
        total += sum(_without_empty(group) for group in by_rows.values())
    return total + sum(_without_empty(group) for group in _eight_bits(model).values())


def _eight_bits(model: nn.Module) -> dict[str, list[Tensor]]:
    """Weights and biases of the layers of eight bits, as plain numbers."""
    found = {path: packed(module) for path, module in model.named_modules()}
    return {path: [t.dequantize() if t.is_quantized else t.detach() for t in own] for path, own in found.items() if own}


def _without_empty(group: list[Tensor]) -> int:
    """group: tensors (rows, ...) of one layer."""
    flat = [t.reshape(t.shape[0], -1) if t.dim() > 1 else t.reshape(-1, 1) for t in group]
    alive = torch.stack([t.ne(0).any(dim=1) for t in flat]).any(dim=0)  # rows
    total = 0
    for tensor in group:
        rows = int(alive.sum())
        if tensor.dim() < 2:
            total += rows
            continue
        columns = tensor.ne(0).transpose(0, 1).flatten(1).any(dim=1)  # columns
        total += rows * int(columns.sum()) * tensor[0, 0].numel()
    return total


def saved_bytes(model: nn.Module) -> int:
    """Bytes of the model's state as a safetensors file, a tied tensor written once."""
    return len(saved_state(model))


def saved_state(model: nn.Module) -> bytes:
    """The model's state as a safetensors file, a tied tensor written once."""
    seen: set[tuple[int, torch.Size]] = set()
    kept: dict[str, Tensor] = {
        f"{path}.{place}": tensor.int_repr() if tensor.is_quantized else tensor.detach()
        for path, module in model.named_modules()
        for place, tensor in enumerate(packed(module))
    }
    for name, tensor in model.state_dict().items():
        if not isinstance(tensor, Tensor):  # a module's extra state
            continue
        mark = (tensor.data_ptr(), tensor.shape)
        if tensor.numel() == 0 or mark not in seen:
            seen.add(mark)
            kept[name] = tensor.detach().contiguous()
    return save({name: tensor.clone() for name, tensor in kept.items()})


def is_finite(tensor: object) -> bool:
    """Whether no number in a tensor is infinite or none; of anything else, and of whole numbers, that is so."""
    if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
        return True
    # a sum takes one pass and no room, and is finite only where all in it is; it may be too large where all is
    return bool(tensor.sum().isfinite()) or bool(tensor.isfinite().all())


ORIGIN = "_of_original"  # how attributes end that only say where a layer comes from


def signature(model: nn.Module) -> str:
    """A hash of everything that the time of a forward pass hangs on, the numbers in the tensors aside.

    Two models with the same one run the same kernels on the same shapes: types and settings of all modules, names,
    shapes, dtypes and strides of all tensors.
    """
    parts: list[object] = []
    for name, module in model.named_modules(remove_duplicate=False):
        told = {k: v for k, v in vars(module).items() if not k.endswith(ORIGIN)}
        plain = {k: v for k, v in told.items() if isinstance(v, int | float | str | bool | tuple | None)}
        parts.append((name, type(module).__module__, type(module).__qualname__, repr(sorted(plain.items(), key=str))))
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        parts.append((name, list(tensor.shape), str(tensor.dtype), list(tensor.stride())))
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

"""A model put together again from architecture.json and model.safetensors, by torch alone.

The text of this file is the body of every rebuild.py, so it imports nothing of the engine.
"""

from __future__ import annotations

import base64
import json
import math
import weakref
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

FORMAT = 1
DTYPES = {
    "BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "I16": torch.int16, "I32": torch.int32,
    "I64": torch.int64, "U16": torch.uint16, "U32": torch.uint32, "U64": torch.uint64,
    "F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2, "C64": torch.complex64,
}  # fmt: skip


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a .safetensors file. Raises ValueError where it is no such file."""
    with path.open("rb") as file:
        size = path.stat().st_size
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(size - 8, 10**8):
            raise ValueError(f"{path.name} must be a .safetensors file, got a header of {length} bytes")
        header = json.loads(file.read(length).decode("utf-8"))
        header.pop("__metadata__", None)
        found = {}
        for name, entry in header.items():
            (begin, end), shape, dtype = entry["data_offsets"], entry["shape"], DTYPES[entry["dtype"]]
            if not 0 <= begin <= end <= size - 8 - length or end - begin != math.prod(shape) * dtype.itemsize:
                raise ValueError(f"{path.name} must hold all of {name}, got another number of bytes")
            file.seek(8 + length + begin)
            found[name] = as_tensor(file.read(end - begin), dtype, shape)
    return found


def as_tensor(raw: bytes, dtype: torch.dtype, shape: list[int]) -> Tensor:
    """Bytes as a tensor of this dtype and shape."""
    if not raw:
        return torch.empty(shape, dtype=dtype)
    if dtype == torch.bool:
        return (torch.frombuffer(bytearray(raw), dtype=torch.uint8) != 0).view(shape)
    return torch.frombuffer(bytearray(raw), dtype=dtype).view(shape)


def read_architecture(path: Path) -> dict[str, Any]:
    """architecture.json. Raises ValueError where it is of another version."""
    plan: dict[str, Any] = json.loads(path.read_text("utf-8"))
    if plan.get("format") != FORMAT:
        raise ValueError(f"{path.name} must be of format {FORMAT}, got {plan.get('format')!r}: export the model again")
    return plan


def build(plan: Mapping[str, Any], stored: Mapping[str, Tensor], known: Mapping[str, Any]) -> nn.Module:
    """The model in eval mode.

    plan      what architecture.json holds
    stored    the tensors of its state by name
    known     the classes and functions that the plan may name: nothing else is looked up

    Raises ValueError where the tensors are not those of the plan, KeyError where it names something else.
    """
    tensors = _tensors(plan["tensors"], stored)
    modules: list[nn.Module] = []
    for entry in plan["modules"]:
        kind = known[entry["class"]]
        module = kind.__new__(kind)
        nn.Module.__init__(module)
        modules.append(module)
    value = _reader(tensors, modules, known)
    for module, entry in zip(modules, plan["modules"], strict=True):
        module.__dict__.update((name, value(told)) for name, told in entry["settings"].items())
        module._parameters.update((name, tensors.get(told)) for name, told in entry["parameters"].items())
        module._buffers.update((name, tensors.get(told)) for name, told in entry["buffers"].items())
        module._non_persistent_buffers_set.update(entry["not_saved"])
        module._modules.update((k, None if i is None else modules[i]) for k, i in entry["children"].items())
    return modules[0].eval()


def _tensors(told: Mapping[str, Any], stored: Mapping[str, Tensor]) -> dict[Any, Any]:
    """Every tensor of the plan, checked; of those that are no part of the state the plan itself holds the numbers."""
    made: dict[Any, Any] = {}
    for name, entry in told.items():
        dtype = getattr(torch, entry["dtype"])
        if "data" in entry:
            tensor = as_tensor(zlib.decompress(base64.b64decode(entry["data"])), dtype, entry["shape"])
        elif name not in stored:
            raise ValueError(f"model.safetensors must hold {name}, got none: export the model again")
        else:
            tensor = stored[name]
        if list(tensor.shape) != entry["shape"] or tensor.dtype != dtype:
            must, got = f"{entry['dtype']} {entry['shape']}", f"{tensor.dtype} {list(tensor.shape)}"
            raise ValueError(f"{name} must be {must}, got {got}: export the model again")
        made[name] = nn.Parameter(tensor, entry["requires_grad"]) if entry["kind"] == "parameter" else tensor
    extra = sorted(stored.keys() - told.keys())
    if extra:
        raise ValueError(f"model.safetensors must hold the tensors of the architecture alone, got {extra[0]}, too")
    return made


def _reader(tensors: Mapping[str, Any], modules: list[nn.Module], known: Mapping[str, Any]) -> Callable[[Any], Any]:
    """A function that turns a setting as architecture.json writes it into what it was."""

    def value(told: Any) -> Any:
        if not isinstance(told, dict):
            return told
        ((kind, held),) = told.items()
        return readers[kind](held)

    def several(held: list[Any]) -> list[Any]:
        return [value(one) for one in held]

    def pairs(held: list[Any]) -> list[Any]:
        return [(value(one), value(other)) for one, other in held]

    def thing(held: Any) -> Any:
        kind = known[held[0]]
        made = kind.__new__(kind)
        made.__dict__.update((name, value(told)) for name, told in held[1].items())
        return made

    readers: dict[str, Callable[[Any], Any]] = {
        "float": float,
        "complex": lambda held: complex(*several(held)),
        "bytes": base64.b64decode,
        "list": several,
        "tuple": lambda held: tuple(several(held)),
        "set": lambda held: set(several(held)),
        "frozenset": lambda held: frozenset(several(held)),
        "size": torch.Size,
        "range": lambda held: range(*held),
        "slice": lambda held: slice(*several(held)),
        "dict": lambda held: dict(pairs(held)),
        "ordered": lambda held: OrderedDict(pairs(held)),
        "dtype": lambda held: getattr(torch, held),
        "device": torch.device,
        "tensor": lambda held: tensors[held],
        "weakref": lambda held: weakref.ref(tensors[held]),
        "module": lambda held: modules[held],
        "known": lambda held: known[held],
        "member": lambda held: known[held[0]][held[1]],
        "partial": lambda held: partial(value(held[0]), *several(held[1]), **dict(pairs(held[2]))),
        "object": thing,
    }
    return value

"""What a model is made of, its numbers aside: two of the same structure run the same operators on the same shapes."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from hashlib import sha256
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import torch
from torch import Tensor, nn

from engine.metrics.size import ORIGIN

STATE = ("__reduce_ex__", "__getstate__")  # where these are its own, its attributes may not be all of it
PLAIN = (bool, int, float, complex, str, bytes, torch.dtype, torch.device, Enum, range, slice)


class _NotUnderstood(Exception):
    """Something in a module that no words are known for."""


@dataclass(frozen=True)
class Structure:
    """A hash of all that a pass without data hangs on, with the functions and classes that it names by identity."""

    digest: str
    held: tuple[object, ...] = field(compare=False)


def structure_of(model: nn.Module) -> Structure | None:
    """Types, settings, shapes, dtypes, strides, ties and hooks of all modules; None where something in one of them is
    not understood. Stricter than a signature, and good in this process alone.
    """
    told = _Told()
    try:
        for module in model.modules():
            told.settings(module)
    except (_NotUnderstood, RecursionError):
        return None
    return Structure(sha256("\n".join(told.lines).encode()).hexdigest(), tuple(told.held.values()))


class _Told:
    """What has been told of a model, line by line; what is met again is told by its number."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.held: dict[int, object] = {}  # named by identity, so they must not go
        self.numbers: dict[int, tuple[int, object]] = {}

    def settings(self, module: nn.Module) -> None:
        told = {name: value for name, value in vars(module).items() if not name.endswith(ORIGIN) and name != "training"}
        own = (f"{name}={self.word(told[name])}" for name in sorted(told))
        self.lines.append(f"{self.number(module)} {self.identity(type(module))} {' '.join(own)}")

    def word(self, value: Any) -> str:
        """One thing in words."""
        if value is None or isinstance(value, PLAIN):
            return f"{type(value).__name__}:{value!r}"
        if isinstance(value, Tensor):
            return self.tensor(value)
        if isinstance(value, nn.Module):
            return f"module{self.number(value)}"
        if isinstance(value, dict):
            return f"{type(value).__name__}{{{self.words(part for pair in value.items() for part in pair)}}}"
        if isinstance(value, list | tuple):
            return f"{type(value).__name__}({self.words(value)})"
        if isinstance(value, set | frozenset):
            return f"set({' '.join(sorted(map(self.word, value)))})"
        if isinstance(value, type | FunctionType | BuiltinFunctionType):
            return self.identity(value)
        return self.compound(value)

    def compound(self, value: Any) -> str:
        """Something that is made of other things."""
        if isinstance(value, partial):
            return f"partial({self.words((value.func, value.args, value.keywords))})"
        if isinstance(value, MethodType):
            return f"method({self.words((value.__self__, value.__func__))})"
        if isinstance(value, weakref.ref):
            return f"ref({self.word(value())})"
        if id(value) in self.numbers:
            return f"again{self.number(value)}"
        own = any(getattr(type(value), name, None) is not getattr(object, name, None) for name in STATE)
        if own or not hasattr(value, "__dict__"):
            raise _NotUnderstood
        return f"{self.identity(type(value))}{self.number(value)}({self.words((vars(value),))})"

    def tensor(self, value: Tensor) -> str:
        if value.layout != torch.strided or value.is_quantized:
            raise _NotUnderstood
        shape = f"{tuple(value.shape)} {value.stride()} {value.dtype} {value.device}"
        return f"{self.identity(type(value))}{self.number(value)}[{shape}]"

    def words(self, values: Iterable[object]) -> str:
        return " ".join(map(self.word, values))

    def number(self, value: object) -> int:
        return self.numbers.setdefault(id(value), (len(self.numbers), value))[0]

    def identity(self, value: object) -> str:
        self.held[id(value)] = value
        return f"@{id(value)}"

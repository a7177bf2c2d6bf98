"""What a module holds beside tensors and other modules, written as JSON."""

from __future__ import annotations

import base64
import functools
import importlib
import math
import types
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn

from engine.errors import CannotApply, shown
from engine.examples import dtype_name

Writer: TypeAlias = "Callable[[Any], dict[str, object]]"
PLAIN = (type(None), bool, int, str)
KEY = "rebuild.py must be able to write {what} of {where}, got {got}: {do}"
PUBLIC = (torch, torch.nn.functional, torch.nn.init, math)  # where the functions of C have a name


class Names:
    """The classes and functions that a plan names, each by "module:name".

    found    by that text, the very class or function
    """

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}

    def of(self, thing: Any, where: str) -> str:
        """The text for a class or function. Raises CannotApply where it cannot be imported by one."""
        module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", "")
        text = f"{module}:{name}"
        if named(text) is not thing:
            text = next((f"{p.__name__}:{n}" for p in PUBLIC for n, v in vars(p).items() if v is thing), "")
        if not text or module == "__main__":
            do = "define it at the top of a module that can be imported"
            raise CannotApply(KEY, what="a class or function", where=where, got=shown(name or thing), do=do)
        self.found[text] = thing
        return text


def named(text: str) -> Any:
    """What "module:name" leads to; None where there is no such thing."""
    module, _, name = text.partition(":")
    try:
        return functools.reduce(getattr, name.split("."), importlib.import_module(module))
    except (ImportError, AttributeError, ValueError, TypeError):
        return None


class Settings:
    """Writes values; what they refer to is a tensor or a module of the same model, or a known name.

    tensor, module    the name of a tensor and the number of a module, which may be new
    """

    def __init__(self, names: Names, tensor: Callable[[Tensor, str], str], module: Callable[[nn.Module], int]) -> None:
        self.names, self._tensor, self._module = names, tensor, module
        self._open: set[int] = set()

    def write(self, value: Any, where: str) -> object:
        """The value as JSON. Raises CannotApply where it cannot be written."""
        kind = type(value)
        if kind in PLAIN or (kind is float and math.isfinite(value)):
            return value
        if id(value) in self._open:
            raise CannotApply(KEY, what="what", where=where, got="an object that holds itself", do="take it out")
        self._open.add(id(value))
        try:
            return self._written(value, where)
        finally:
            self._open.discard(id(value))

    def _written(self, value: Any, where: str) -> object:
        if isinstance(value, Tensor):
            return {"tensor": self._tensor(value, where)}
        if isinstance(value, nn.Module):
            return {"module": self._module(value)}
        if isinstance(value, weakref.ref) and isinstance(value(), Tensor):
            return {"weakref": self._tensor(cast("Tensor", value()), where)}
        if isinstance(value, Enum):
            return {"member": [self.names.of(type(value), where), value.name]}
        if isinstance(value, type | types.FunctionType | types.BuiltinFunctionType):
            return {"known": self.names.of(value, where)}
        if isinstance(value, functools.partial) and type(value) is functools.partial:
            parts = [
                self.write(value.func, where),
                self._several(value.args, where),
                self._pairs(value.keywords, where),
            ]
            return {"partial": parts}
        simple = self._simple(value, where)
        return self._thing(value, where) if simple is None else simple

    def _simple(self, value: Any, where: str) -> dict[str, object] | None:
        kinds: dict[type, Writer] = {
            float: lambda v: {"float": repr(v)},
            complex: lambda v: {"complex": self._several((v.real, v.imag), where)},
            bytes: lambda v: {"bytes": base64.b64encode(v).decode()},
            list: lambda v: {"list": self._several(v, where)},
            tuple: lambda v: {"tuple": self._several(v, where)},
            set: lambda v: {"set": self._several(v, where)},
            frozenset: lambda v: {"frozenset": self._several(v, where)},
            torch.Size: lambda v: {"size": list(v)},
            range: lambda v: {"range": [v.start, v.stop, v.step]},
            slice: lambda v: {"slice": self._several((v.start, v.stop, v.step), where)},
            dict: lambda v: {"dict": self._pairs(v, where)},
            OrderedDict: lambda v: {"ordered": self._pairs(v, where)},
            torch.dtype: lambda v: {"dtype": dtype_name(v)},
            torch.device: lambda v: {"device": str(v)},
        }
        writer = kinds.get(type(value))
        return None if writer is None else writer(value)

    def _several(self, values: Iterable[Any], where: str) -> list[object]:
        return [self.write(value, where) for value in values]

    def _pairs(self, values: Mapping[Any, Any], where: str) -> list[object]:
        return [[self.write(key, where), self.write(value, where)] for key, value in values.items()]

    def _thing(self, value: Any, where: str) -> dict[str, object]:
        """An object whose attributes are all there is to it, as those of a configuration or a dataclass are."""
        kind = type(value)
        held = getattr(value, "__dict__", None)
        if held is None or not _is_plain(kind):
            do = "keep numbers, texts, lists, dictionaries or tensors there"
            raise CannotApply(KEY, what="an attribute", where=where, got=f"a {kind.__name__}", do=do)
        return {"object": [self.names.of(kind, where), {k: self.write(v, where) for k, v in held.items()}]}


def _is_plain(kind: Any) -> bool:
    """Whether nothing but its attributes makes an object of this class what it is."""
    if kind is types.SimpleNamespace:
        return True
    usual = all(getattr(kind, name) is getattr(object, name) for name in ("__reduce_ex__", "__reduce__", "__new__"))
    return usual and not any(vars(base).get("__slots__") for base in kind.__mro__)

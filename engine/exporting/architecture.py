"""A model written down: its modules, their settings, the tensors and where each of them stands."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn

from engine.errors import CannotApply
from engine.examples import dtype_name
from engine.exporting.folder import KIND
from engine.exporting.rebuilding import FORMAT
from engine.exporting.settings import Names, Settings
from engine.metrics.size import ORIGIN

BASE = frozenset(vars(nn.Module()))  # what every module holds
HOOKS = tuple(name for name in sorted(BASE) if name.endswith("hooks") and not name.startswith("_load_state_dict"))
MOST_CONSTANT = 2**26  # bytes of a tensor that is written into architecture.json
NO_HOOKS = "rebuild.py must be given modules without hooks, got some in {where}: remove them, or write them as layers"


@dataclass
class Plan:
    """What architecture.json holds, and what is found beside it.

    modules    one entry a module, the model itself first
    tensors    shape, dtype and kind by name; the numbers too where the tensor is no part of the state
    ties       names that stand for one tensor
    state      the tensors that model.safetensors holds
    names      the classes and functions that the plan names
    """

    modules: list[dict[str, Any]] = field(default_factory=list)
    tensors: dict[str, dict[str, Any]] = field(default_factory=dict)
    ties: list[list[str]] = field(default_factory=list)
    state: dict[str, Tensor] = field(default_factory=dict)
    names: Names = field(default_factory=Names)

    def to_dict(self, **about: object) -> dict[str, object]:
        """As plain data."""
        plain = {"modules": self.modules, "tensors": self.tensors, "ties": self.ties}
        return {"format": FORMAT, "kind": KIND, **about, **plain}


def plan_of(model: nn.Module) -> Plan:
    """The model written down. Raises CannotApply where something in it cannot be written."""
    return _Writing(model).plan


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """What the model saves, by its first name: a tied tensor once, and no two over the same memory."""
    seen, places = set[int](), set[int]()
    found: dict[str, Tensor] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if isinstance(tensor, Tensor) and id(tensor) not in seen:
            seen.add(id(tensor))
            plain, place = tensor.detach().contiguous(), tensor.untyped_storage().data_ptr()
            found[name] = plain.clone() if place in places else plain
            places.add(place)
    return found


class _Writing:
    def __init__(self, model: nn.Module) -> None:
        self.plan = Plan(state=state_of(model))
        self._numbers: dict[int, int] = {}
        self._kept: list[object] = []  # whose ids stand in a table must not be freed
        self._paths = {id(module): path for path, module in model.named_modules()}
        self._tensors: dict[int, str] = {}
        self._settings = Settings(self.plan.names, self._tensor, self._module)
        saved = [(n, t) for n, t in model.state_dict(keep_vars=True).items() if isinstance(t, Tensor)]
        places: dict[int, list[str]] = {}
        for name, tensor in saved:
            places.setdefault(id(tensor), []).append(name)
        for name, tensor in saved:
            if id(tensor) not in self._tensors:
                self._note(name, tensor)
        self.plan.ties = [names for names in places.values() if len(names) > 1]
        self._module(model)

    def _note(self, name: str, tensor: Tensor, saved: bool = True) -> None:
        if tensor.is_quantized or tensor.layout != torch.strided:
            key = (
                "model.safetensors must hold plain numbers, got others in {name}: export the model before it is packed"
            )
            raise CannotApply(key, name=name)
        kind = "parameter" if isinstance(tensor, nn.Parameter) else "tensor"
        entry: dict[str, Any] = {"shape": list(tensor.shape), "dtype": dtype_name(tensor.dtype), "kind": kind}
        if kind == "parameter":
            entry["requires_grad"] = tensor.requires_grad
        if not saved:
            entry["data"] = _packed(name, tensor.detach())
        self._kept.append(tensor)
        self._tensors[id(tensor)], self.plan.tensors[name] = name, entry

    def _tensor(self, tensor: Tensor, where: str) -> str:
        """The name of a tensor; one that is no part of the state gets its own."""
        if id(tensor) not in self._tensors:
            name, n = f"~{where}", 1
            while name in self.plan.tensors:
                name, n = f"~{where}~{n}", n + 1
            self._note(name, tensor, saved=False)
        return self._tensors[id(tensor)]

    def _module(self, module: nn.Module) -> int:
        """The number of a module, with all that hangs on it."""
        if id(module) in self._numbers:
            return self._numbers[id(module)]
        where = self._paths.get(id(module)) or type(module).__name__
        if isinstance(module, torch.jit.ScriptModule):
            raise CannotApply("rebuild.py must be given modules of Python, got a compiled one in {where}", where=where)
        if "parametrizations" in module._modules:
            key = "rebuild.py must be given plain weights, got parametrized ones in {where}: {do}"
            raise CannotApply(key, where=where, do="call torch.nn.utils.parametrize.remove_parametrizations first")
        if any(getattr(module, name, None) for name in HOOKS):
            raise CannotApply(NO_HOOKS, where=where)
        entry: dict[str, Any] = {"class": self.plan.names.of(type(module), where), "path": self._paths.get(id(module))}
        self._numbers[id(module)] = len(self.plan.modules)
        self._kept.append(module)
        self.plan.modules.append(entry)
        entry["settings"] = {
            name: self._settings.write(value, f"{where}.{name}")
            for name, value in vars(module).items()
            if name not in BASE and not name.endswith(ORIGIN)
        }
        for kind, held in (("parameters", module._parameters), ("buffers", module._buffers)):
            own = cast("Mapping[str, Tensor | None]", held)
            entry[kind] = {k: None if t is None else self._tensor(t, f"{where}.{k}") for k, t in own.items()}
        entry["not_saved"] = sorted(module._non_persistent_buffers_set)
        entry["children"] = {k: None if m is None else self._module(m) for k, m in module._modules.items()}
        return self._numbers[id(module)]


def _packed(name: str, tensor: Tensor) -> str:
    """The numbers of a tensor as text."""
    if tensor.nbytes > MOST_CONSTANT:
        key = "a tensor that is no part of the state must have at most {most} bytes, got {n} in {name}: register it"
        raise CannotApply(key, most=MOST_CONSTANT, n=tensor.nbytes, name=name.lstrip("~"))
    raw = bytes(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy()) if tensor.numel() else b""
    return base64.b64encode(zlib.compress(raw, 6)).decode()


def edits_between(before: Plan, after: Plan) -> list[str]:
    """What differs from the original, one text a module: what a reader must do to the original by hand."""
    old, new = _by_path(before), _by_path(after)
    told = []
    for path, module in new.items():
        kind, name = module["class"].partition(":")[2], path or "the model"
        if path not in old:
            told.append(
                f"{name}: a new {kind}" + _listed(" of ", [f"{k} {v}" for k, v in _shapes(module, after).items()])
            )
        elif old[path]["class"] != module["class"]:
            told.append(f"{name}: a {kind} in the place of the {old[path]['class'].partition(':')[2]}")
        else:
            changes = _changes(_shapes(old[path], before), _shapes(module, after))
            changes += _changes(*(_plain(one["settings"]) for one in (old[path], module)))
            told += [f"{name}: {', '.join(changes)}"] if changes else []
    return told + [f"{path}: gone" for path in old if path not in new and path.rpartition(".")[0] in new]


def _by_path(plan: Plan) -> dict[str, dict[str, Any]]:
    return {module["path"]: module for module in plan.modules if module["path"] is not None}


def _changes(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    names = [name for name in dict.fromkeys((*before, *after)) if before.get(name) != after.get(name)]
    return [f"{name} {before.get(name, 'none')} → {after.get(name, 'none')}" for name in names]


def _listed(head: str, parts: list[str]) -> str:
    return head + ", ".join(parts) if parts else ""


def _plain(settings: Mapping[str, object]) -> dict[str, object]:
    return {k: v for k, v in settings.items() if not isinstance(v, dict) or {"tuple", "size", "known"} & v.keys()}


def _shapes(module: Mapping[str, Any], plan: Plan) -> dict[str, str]:
    own = {**module["parameters"], **module["buffers"]}
    shapes = {k: plan.tensors[name]["shape"] for k, name in own.items() if name is not None}
    return {k: "x".join(map(str, shape)) or "scalar" for k, shape in shapes.items()}

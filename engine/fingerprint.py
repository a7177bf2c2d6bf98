"""What tells one workload from another: weights, structure, data, task, and the source of the code in between."""

from __future__ import annotations

import functools
import hashlib
import inspect
import sys
from collections.abc import Callable
from types import CodeType, FunctionType

import torch
from torch import Tensor, nn

from engine.examples import Inputs, named
from engine.task import TASKS, Task

PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.Size)
OF_TORCH = frozenset(nn.Module().__dict__)  # what every module has


def content_of(model: nn.Module) -> str:
    """A hash of a model's weights, settings and the source of its classes."""
    digest = hashlib.sha256()
    _feed_model(digest, model)
    return digest.hexdigest()[:16]


def fingerprint_of(model: nn.Module, splits: tuple[tuple[Inputs, Inputs], ...], task: Task) -> str:
    """A hash of everything that a measured figure hangs on."""
    digest = hashlib.sha256(task.name.encode())
    _feed_model(digest, model)
    for split in splits:
        for side in split:
            for key, tensor in named(side).items():
                digest.update(key.encode())
                _feed(digest, tensor)
    if TASKS.get(task.name) != task:
        for text in _task_texts(task):
            digest.update(text.encode())
    return digest.hexdigest()[:16]


def _feed_model(digest: hashlib._Hash, model: nn.Module) -> None:
    for name, module in model.named_modules():
        digest.update(f"{name} {type(module).__qualname__} {module.extra_repr()} {_settings(module)}".encode())
        for key, buffer in module.named_buffers(recurse=False):  # those that are not saved, too
            digest.update(key.encode())
            _feed(digest, buffer)
    for key, parameter in model.named_parameters():
        digest.update(key.encode())
        _feed(digest, parameter)
    for source in sorted({text for kind in {type(m) for m in model.modules()} for text in _class_texts(kind)}):
        digest.update(source.encode())


def _settings(module: nn.Module) -> str:
    """The plain attributes of a module: two that differ in one of them may calculate differently."""
    own = {name: value for name, value in vars(module).items() if name not in OF_TORCH}
    return repr(sorted((name, _plain(value)) for name, value in own.items()))


def _plain(value: object, depth: int = 4) -> str:
    """A text of a value that is the same in every process; objects are what their attributes are, some levels deep."""
    if isinstance(value, PLAIN):
        return repr(value)
    if isinstance(value, Tensor):
        digest = hashlib.sha256()
        _feed(digest, value)
        return digest.hexdigest()
    if depth == 0 or isinstance(value, nn.Module | type):
        return type(value).__qualname__
    if isinstance(value, list | tuple | set | frozenset):
        parts = [_plain(part, depth - 1) for part in value]
        return f"{type(value).__name__}{sorted(parts) if isinstance(value, set | frozenset) else parts}"
    if isinstance(value, dict):
        return repr(sorted((_plain(key, depth - 1), _plain(part, depth - 1)) for key, part in value.items()))
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return f"{type(value).__qualname__}{_plain(dict(getattr(value, '__dict__', {})), depth - 1)}"


def _feed(digest: hashlib._Hash, tensor: Tensor) -> None:
    plain = tensor.detach().cpu().contiguous()
    digest.update(f"{plain.dtype}{tuple(plain.shape)}".encode())
    digest.update(plain.reshape(-1).view(torch.uint8).numpy().tobytes() if plain.numel() else b"")


def _class_texts(kind: type) -> list[str]:
    """The source of the file that a class stands in, for its forward pass may call what stands beside it."""
    if kind.__module__.partition(".")[0] == "torch":
        return []
    codes = [_code_text(part.__code__) for part in vars(kind).values() if isinstance(part, FunctionType)]
    return [kind.__qualname__ + "".join(codes) + _source(sys.modules.get(kind.__module__), "")]


def _source(thing: object, otherwise: str) -> str:
    try:
        return inspect.getsource(thing)  # type: ignore[arg-type]
    except (OSError, TypeError):  # typed at a prompt: no source to read
        return otherwise


def _task_texts(task: Task) -> list[str]:
    """What a task of one's own is made of, so that another loss, score or name is another workload."""
    told = [task.figure, task.scores, task.unit, str(task.class_axis)]
    functions: list[Callable[..., object]] = [task.loss, task.terms, task.finish, task.chance]
    for other in task.others:
        told += [other.name, other.unit]
        functions += [other.terms, other.finish]
    return told + [_function_text(function) for function in functions]


def _function_text(function: object, depth: int = 3) -> str:
    """The code of a function with what it holds: defaults, the variables around it, the file it stands in."""
    if isinstance(function, functools.partial):
        bound = [_plain(value) for value in (*function.args, *sorted(function.keywords.items()))]
        return f"{bound}{_function_text(function.func, depth)}"
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType):
        kind = type(function)
        return f"{_plain(function)}{_source(sys.modules.get(kind.__module__), '')}"
    held = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    held += getattr(function, "__defaults__", None) or ()
    held += sorted((getattr(function, "__kwdefaults__", None) or {}).items())
    texts = [_held_text(one, depth - 1) for one in held]
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    return f"{texts}{_code_text(code)}{_source(module, '')}"


def _held_text(value: object, depth: int) -> str:
    if isinstance(value, tuple):  # a name and what it holds
        return "".join(_held_text(part, depth) for part in value)
    return _function_text(value, depth) if hasattr(value, "__code__") and depth > 0 else _plain(value)


def _code_text(code: CodeType) -> str:
    inner = [_code_text(c) if isinstance(c, CodeType) else _plain(c) for c in code.co_consts]
    return f"{code.co_code.hex()}{code.co_names}{inner}"

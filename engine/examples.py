"""Examples as a model takes them: one tensor, or several by place or by name; and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, default_collate

from engine.errors import InvalidInput, first_line

Inputs: TypeAlias = "Tensor | tuple[Tensor, ...] | dict[str, Tensor]"
Split: TypeAlias = "tuple[Inputs, Inputs]"
Data: TypeAlias = "Split | Dataset[Any] | DataLoader[Any]"
MOST_BYTES = 8 * 2**30  # of a DataLoader's batches
PAIR = "the {part} split must be a pair (inputs, targets), a Dataset or a DataLoader of such pairs, got {got}"


def named(inputs: Inputs) -> dict[str, Tensor]:
    """Every tensor by its name or place; a single one is called ""."""
    if isinstance(inputs, Tensor):
        return {"": inputs}
    if isinstance(inputs, dict):
        return inputs
    return {str(place): tensor for place, tensor in enumerate(inputs)}


def each(inputs: Inputs, change: Callable[[Tensor], Tensor]) -> Inputs:
    """The same with every tensor changed."""
    if isinstance(inputs, Tensor):
        return change(inputs)
    if isinstance(inputs, dict):
        return {name: change(tensor) for name, tensor in inputs.items()}
    return tuple(change(tensor) for tensor in inputs)


def count(inputs: Inputs) -> int:
    """How many examples there are: the length of the first axis."""
    return len(next(iter(named(inputs).values())))


def take(inputs: Inputs, chosen: Tensor | slice) -> Inputs:
    """Some of the examples, copied: an index along the first axis."""
    return each(inputs, lambda tensor: tensor[chosen].clone() if isinstance(chosen, slice) else tensor[chosen])


def repeated(inputs: Inputs, batch: int) -> Inputs:
    """The first `batch` inputs, from the start again where there are fewer: (batch, ...)."""
    return take(inputs, torch.arange(batch) % count(inputs))


def device_of(inputs: Inputs) -> torch.device:
    """Where they lie."""
    return next(iter(named(inputs).values())).device


def placed(inputs: Inputs, device: torch.device | str) -> Inputs:
    """The same on a device."""
    return each(inputs, lambda tensor: tensor.to(device))


def dtype_name(dtype: torch.dtype) -> str:
    """What a dtype is called: "float32", "bfloat16", ..."""
    return str(dtype).removeprefix("torch.")


def batches_of(split: Split, size: int) -> Iterator[Split]:
    """The pairs (inputs, targets) of a split in order, `size` examples at a time."""
    for start in range(0, count(split[1]), size):
        part = slice(start, start + size)
        yield take(split[0], part), take(split[1], part)


def run(model: nn.Module, inputs: Inputs) -> Any:
    """What the model gives for a batch, which stays as it is even where the model writes into what it is given."""
    return call(model, each(inputs, Tensor.clone))


def call(model: nn.Module, inputs: Inputs) -> Any:
    """The forward pass alone: inputs by place are the model's arguments, inputs by name its keywords."""
    if isinstance(inputs, Tensor):
        return model(inputs)
    return model(**inputs) if isinstance(inputs, dict) else model(*inputs)


def main_tensor(outputs: object) -> Tensor:
    """The tensor that a model's answer is about: itself, what is called `logits`, or the first in it.

    Raises TypeError where there is none.
    """
    if isinstance(outputs, Tensor):
        return outputs
    found = outputs.get("logits") if isinstance(outputs, Mapping) else getattr(outputs, "logits", None)
    if isinstance(found, Tensor):
        return found
    parts = outputs.values() if isinstance(outputs, Mapping) else outputs if isinstance(outputs, tuple | list) else ()
    for part in parts:
        if isinstance(part, Tensor):
            return part
    raise TypeError(f"the model must give a tensor, or a tuple or mapping that holds one, got {type(outputs).__name__}")


def answer_of(outputs: object) -> list[Tensor]:
    """The tensors that must keep their shape: what is called `logits`, or else all of a model's answer."""
    found = outputs.get("logits") if isinstance(outputs, Mapping) else getattr(outputs, "logits", None)
    return [found] if isinstance(found, Tensor) else tensors_of(outputs)


def tensors_of(value: object) -> list[Tensor]:
    """All tensors in something, however deep they lie in tuples and mappings."""
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else ()
    return [tensor for part in parts for tensor in tensors_of(part)]


def read_split(data: Data, part: str, wide: torch.dtype = torch.float32) -> Split:
    """A split as a pair of (groups of) tensors; a Dataset is read once in its order, a DataLoader in that of seed 0.

    wide    what Python's and NumPy's double precision becomes, which nobody asked for; a tensor's dtype was somebody's
            choice

    Raises InvalidInput where it is not such a pair, is empty, or its inputs and targets differ in number.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # every process that builds the workload must draw the same order
        pair = _collected(data, part)
    if isinstance(pair, Mapping) and "labels" in pair:  # one mapping an example, as transformers' collators give it
        pair = {name: value for name, value in pair.items() if name != "labels"}, pair["labels"]
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise InvalidInput(PAIR, part=part, got=type(pair).__name__)
    source = data.dataset if isinstance(data, DataLoader) else data
    collected = isinstance(source, Dataset) and not _gives_tensors(source)
    sides = (_tensors(side, part, wide) for side in pair)
    inputs, targets = (each(side, lambda t: _narrowed(t, wide)) if collected else side for side in sides)
    sizes = {len(tensor) for side in (inputs, targets) for tensor in named(side).values() if tensor.dim()}
    if len(sizes) != 1 or 0 in sizes:
        key = "the {part} split must hold as many targets as inputs and at least one, got {inputs} and {targets}"
        raise InvalidInput(key, part=part, inputs=_size(inputs), targets=_size(targets))
    return inputs, targets


def _size(side: Inputs) -> str:
    return " and ".join(str(tuple(tensor.shape)[:1]).strip("(),") or "a scalar" for tensor in named(side).values())


def _gives_tensors(data: Dataset[Any]) -> bool:
    """Whether the examples of a Dataset are tensors already, and not numbers or arrays."""
    try:
        row = data[0]
    except Exception:  # it has no order: what it gives is taken as it comes
        return True
    inputs = row[0] if isinstance(row, tuple | list) else next(iter(row.values()), None) if row else None
    parts = inputs.values() if isinstance(inputs, Mapping) else inputs if isinstance(inputs, tuple) else [inputs]
    return any(isinstance(part, Tensor) for part in parts)


def _narrowed(tensor: Tensor, wide: torch.dtype) -> Tensor:
    return tensor.to(wide) if tensor.dtype == torch.float64 else tensor


def _collected(data: Data, part: str) -> object:
    try:
        if isinstance(data, DataLoader):
            return _joined(list(_bounded(data, part)) or [(torch.empty(0), torch.empty(0))])
        if isinstance(data, Dataset):
            rows = [data[i] for i in range(len(data))]  # type: ignore[arg-type]
            return default_collate(rows) if rows else (torch.empty(0), torch.empty(0))
    except InvalidInput:
        raise
    except Exception as error:  # somebody else's code: whatever it raises is one sentence here
        kind, why = type(data).__name__, first_line(error)
        raise InvalidInput(PAIR + " that cannot be read: {why}", part=part, got=kind, why=why) from error
    return data


def _bounded(loader: DataLoader[Any], part: str) -> Iterator[Any]:
    """The batches of a loader, which may have no end."""
    held = 0
    for batch in loader:
        held += _bytes(batch)
        if held > MOST_BYTES:
            key = "the {part} split must end and fit in {most} GiB, got more from its DataLoader: take a part of it"
            raise InvalidInput(key, part=part, most=MOST_BYTES // 2**30)
        yield batch


def _bytes(batch: Any) -> int:
    if isinstance(batch, Tensor | np.ndarray):
        return int(batch.nbytes)
    parts = batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, tuple | list) else ()
    return 64 + sum(map(_bytes, parts))


def _joined(batches: list[Any]) -> Any:
    first = batches[0]
    if isinstance(first, Mapping):
        return {name: _joined([batch[name] for batch in batches]) for name in first}
    if isinstance(first, tuple | list):
        return tuple(_joined(list(column)) for column in zip(*batches, strict=True))
    return torch.cat([torch.as_tensor(batch) for batch in batches])


def _tensors(side: object, part: str, wide: torch.dtype) -> Inputs:
    if isinstance(side, Mapping):
        return {str(name): _tensor(value, part, wide) for name, value in side.items()}
    if isinstance(side, tuple) or (isinstance(side, list) and side and isinstance(side[0], Tensor | np.ndarray)):
        return tuple(_tensor(value, part, wide) for value in cast("tuple[object, ...]", side))
    return _tensor(side, part, wide)


def _tensor(value: Any, part: str, wide: torch.dtype) -> Tensor:
    if hasattr(value, "to_numpy"):  # a table of pandas'
        value = value.to_numpy()
    if isinstance(value, np.ndarray) and not value.flags.writeable:
        value = value.copy()
    try:
        made = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidInput(PAIR + ": {why}", part=part, got=type(value).__name__, why=first_line(error)) from error
    return made if isinstance(value, Tensor) else _narrowed(made, wide)

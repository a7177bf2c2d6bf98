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
    """Some of the examples: an index along the first axis."""
    return each(inputs, lambda tensor: tensor[chosen])


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
    """What the model gives for a batch: inputs by place are its arguments, inputs by name its keywords."""
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


def tensors_in(outputs: object) -> list[Tensor]:
    """All tensors of a model's answer that hang on its weights, however deep they lie in tuples and mappings."""
    if isinstance(outputs, Tensor):
        return [outputs] if outputs.requires_grad else []
    parts = outputs.values() if isinstance(outputs, Mapping) else outputs if isinstance(outputs, tuple | list) else ()
    return [tensor for part in parts for tensor in tensors_in(part)]


def read_split(data: Data, part: str) -> Split:
    """A split as a pair of (groups of) tensors; a Dataset is read once in its order, a DataLoader in that of seed 0.

    Raises InvalidInput where it is not such a pair, is empty, or its inputs and targets differ in number.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # every process that builds the workload must draw the same order
        pair = _collected(data, part)
    if isinstance(pair, Mapping) and "labels" in pair:  # one mapping an example, as transformers' collators give it
        pair = {name: value for name, value in pair.items() if name != "labels"}, pair["labels"]
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise InvalidInput(PAIR, part=part, got=type(pair).__name__)
    inputs, targets = _tensors(pair[0], part), _tensors(pair[1], part)
    sizes = {len(tensor) for side in (inputs, targets) for tensor in named(side).values() if tensor.dim()}
    if len(sizes) != 1 or 0 in sizes:
        key = "the {part} split must hold as many targets as inputs and at least one, got {inputs} and {targets}"
        raise InvalidInput(key, part=part, inputs=_size(inputs), targets=_size(targets))
    return inputs, targets


def _size(side: Inputs) -> str:
    return " and ".join(str(tuple(tensor.shape)[:1]).strip("(),") or "a scalar" for tensor in named(side).values())


def _collected(data: Data, part: str) -> object:
    try:
        if isinstance(data, DataLoader):
            return _joined(list(data) or [(torch.empty(0), torch.empty(0))])
        if isinstance(data, Dataset):
            rows = [data[i] for i in range(len(data))]  # type: ignore[arg-type]
            return default_collate(rows) if rows else (torch.empty(0), torch.empty(0))
    except (TypeError, RuntimeError, ValueError, IndexError, KeyError, AttributeError) as error:
        kind, why = type(data).__name__, first_line(error)
        raise InvalidInput(PAIR + " that cannot be read: {why}", part=part, got=kind, why=why) from error
    return data


def _joined(batches: list[Any]) -> Any:
    first = batches[0]
    if isinstance(first, Mapping):
        return {name: _joined([batch[name] for batch in batches]) for name in first}
    if isinstance(first, tuple | list):
        return tuple(_joined(list(column)) for column in zip(*batches, strict=True))
    return torch.cat([torch.as_tensor(batch) for batch in batches])


def _tensors(side: object, part: str) -> Inputs:
    if isinstance(side, Mapping):
        return {str(name): _tensor(value, part) for name, value in side.items()}
    if isinstance(side, tuple) or (isinstance(side, list) and side and isinstance(side[0], Tensor | np.ndarray)):
        return tuple(_tensor(value, part) for value in cast("tuple[object, ...]", side))
    return _tensor(side, part)


def _tensor(value: object, part: str) -> Tensor:
    try:
        made = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidInput(PAIR + ": {why}", part=part, got=type(value).__name__, why=first_line(error)) from error
    # NumPy calculates in double precision where nobody asked for it; a tensor's dtype was somebody's choice
    return made.float() if made.dtype == torch.float64 and not isinstance(value, Tensor) else made

"""Labelled data out of a file that nobody vouches for."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.errors import InvalidInput, shown
from engine.examples import dtype_name
from engine.sources.archive import read_pair
from engine.sources.table import is_number, read_table
from engine.sources.upload import Wanted, opened

MOST_BYTES = 1024**3
MOST_EXAMPLES = 1_000_000


@dataclass(frozen=True)
class Bounds:
    """What whole numbers may be: inputs from 0, targets from `least`; None stands for anything."""

    inputs: int | None
    targets: int | None
    least: int | None = 0


def read_labelled(
    path: Path, like: tuple[Tensor, Tensor], classes: Sequence[str], bounds: Bounds | None = None
) -> tuple[Tensor, Tensor]:
    """Inputs (n, ...) and targets (n, ...) of the shapes and dtypes of `like`, with n from 1 to MOST_EXAMPLES.

    path       an .npz file with arrays x and y, or inputs and targets; or a .csv file with a line of names, where the
               label is the column called y, label, target or class, else the last; at most MOST_BYTES bytes
    like       the architecture's own inputs (m, ...) and targets (m, ...)
    classes    labels are numbers from 0 or these names: names where every label is one, even if they look like numbers
    bounds     of whole numbers; where they are not told, those of `like`

    Raises InvalidInput where the file is anything else, or a number in it is not finite or out of range.
    """
    inputs, targets = like
    indices = targets.dim() == 1 and _whole(targets.dtype) and len(classes) > 0
    wanted = Wanted(tuple(inputs.shape[1:]), tuple(targets.shape[1:]), indices, MOST_EXAMPLES)
    suffix = path.suffix.lower()
    if suffix not in (".npz", ".csv"):
        key = "labelled data must be an .npz or a .csv file, got {got}: save them with numpy.savez(FILE, x=X, y=Y)"
        raise InvalidInput(key, got=shown(path.name))
    with opened(path, MOST_BYTES) as (file, size):
        x, y = read_pair(file, size, wanted) if suffix == ".npz" else read_table(file, wanted)
    if isinstance(y, list):
        y = _indices(y, classes)
    found, labels = _tensor(x, inputs.dtype, "an input"), _tensor(y, targets.dtype, "a target")
    if bounds is None:
        bounds = Bounds(_largest(inputs), len(classes) - 1 if indices else _largest(targets))
    if _whole(targets.dtype):
        _check_range(labels, bounds.least, bounds.targets, "a target")
    if _whole(inputs.dtype):
        _check_range(found, 0, bounds.inputs, "an input")
    return found, labels


def _whole(dtype: torch.dtype) -> bool:
    return not (dtype.is_floating_point or dtype.is_complex or dtype == torch.bool)


def _indices(labels: list[str], classes: Sequence[str]) -> NDArray[Any]:
    """Names as their places in `classes` if all are names, else all as numbers: never some this way and some that."""
    place = {str(name): i for i, name in enumerate(classes)}
    if place.keys() >= set(labels):
        return np.array([place[label] for label in labels], np.int64)
    if all(map(is_number, labels)):
        return np.array([float(label) for label in labels])
    strange = [i for i, label in enumerate(labels) if label not in place]
    at = next((i for i in strange if not is_number(labels[i])), strange[0])
    near = difflib.get_close_matches(labels[at][:200], list(place), n=1)
    key = "a label must be one of {known}, or all must be numbers, got {got} in example {at}{near}: correct it"
    like = f", the nearest is {shown(near[0])}" if near else ""
    raise InvalidInput(key, known=shown(", ".join(place)), got=shown(labels[at]), at=at + 1, near=like)


def _tensor(array: NDArray[Any], dtype: torch.dtype, name: str) -> Tensor:
    """The numbers in the wanted dtype, none of them changed by more than rounding."""
    if dtype.is_floating_point or dtype.is_complex:
        wide = np.float64 if dtype in (torch.float64, torch.complex128) else np.float32
        with np.errstate(over="ignore"):
            plain = np.ascontiguousarray(array, wide)
        tensor = torch.from_numpy(plain).to(dtype)
        if not bool(torch.isfinite(tensor).all()):
            what = f"finite and fit {dtype_name(dtype)}"
            raise _bad(name, what, array, ~torch.isfinite(tensor).numpy(), "leave the example out")
        return tensor
    if array.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            broken = ~(np.isfinite(array) & (np.trunc(array) == array))
        if broken.any():
            raise _bad(name, "a whole number", array, broken, "correct it")
    low, high = (0, 1) if dtype == torch.bool else (torch.iinfo(dtype).min, torch.iinfo(dtype).max)
    high = min(high, 2**63 - 1)
    # As Python's own numbers: numpy rounds 2 to the 63rd less one up before it compares it with a float.
    if not low <= int(array.min()) <= int(array.max()) <= high:
        key = "{name} must fit {dtype}, from {low} to {high}, got {least} to {most}: correct it"
        raise InvalidInput(
            key,
            name=name,
            dtype=dtype_name(dtype),
            low=low,
            high=high,
            least=shown(array.min().item()),
            most=shown(array.max().item()),
        )
    return torch.from_numpy(np.ascontiguousarray(array, np.int64)).to(dtype)


def _check_range(tensor: Tensor, least: int | None, most: int | None, name: str) -> None:
    array = tensor.numpy()
    broken = np.zeros(array.shape, bool)
    if least is not None:
        broken |= array < least
    if most is not None:
        broken |= array > most
    if broken.any():
        what = f"at most {most}" if least is None else f"from {least} to {most}"
        raise _bad(name, what, array, broken, "number the classes or the tokens from 0")


def _largest(tensor: Tensor) -> int | None:
    return int(tensor.cpu().numpy().max()) if _whole(tensor.dtype) else None  # torch cannot compare uint16


def _bad(name: str, what: str, array: NDArray[Any], broken: NDArray[Any], do: str) -> InvalidInput:
    at = int(np.argmax(broken.ravel()))  # the first of them
    example = at // (array.size // len(array)) + 1
    key = "{name} must be {what}, got {got} in example {example}: {do}"
    return InvalidInput(key, name=name, what=what, got=shown(array.ravel()[at].item()), example=example, do=do)

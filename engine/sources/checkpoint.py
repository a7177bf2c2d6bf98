"""Weights out of a .safetensors file that nobody vouches for."""

from __future__ import annotations

import difflib
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from engine.copying import structural_copy
from engine.edit.surgery import replace_parameters
from engine.errors import InvalidInput, shown
from engine.examples import dtype_name
from engine.sources.header import Entry, read_header
from engine.sources.upload import opened
from engine.sources.widths import follow_widths

MOST_BYTES = 2 * 1024**3
PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle")
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
INSTEAD = "choose the architecture that the file was saved from"
OTHER_LAYERS = f"{INSTEAD}; a variant with other layers is measured in Python by measure(workload, model=...)"


def read_checkpoint(path: Path, model: nn.Module) -> dict[str, Tensor]:
    """The weights for this architecture: every name of its state, each of the model's shape and dtype.

    path     a .safetensors file of at most MOST_BYTES bytes; nothing of its data is read before its header is checked
    model    the architecture; of tied tensors the file may hold one or all; it is not changed

    Raises InvalidInput where the file is anything else, or a number in it is not finite.
    """
    _check_suffix(path)
    with opened(path, MOST_BYTES) as (file, size):
        own = _state(model)
        entries = _matched(read_header(file, size), own)
        for name, entry in entries.items():
            if entry.shape != tuple(own[name].shape):
                key = "{name} must be of shape {must}, got {got}: {do}"
                must, got = shown(tuple(own[name].shape)), shown(entry.shape)
                raise InvalidInput(key, name=shown(name), must=must, got=got, do=INSTEAD)
        return _values(file, entries, own)


def read_variant(path: Path, model: nn.Module) -> nn.Module:
    """The architecture with the file's tensors, which may be of other widths, in eval mode.

    path     a .safetensors file of at most MOST_BYTES bytes; nothing of its data is read before its header is checked
    model    the architecture: names and ranks are its own, ties stay; it is not changed

    Raises InvalidInput where the file is anything else, the tensors of a layer do not fit together, or a number is
    not finite. Whether the layers fit each other shows when the model runs.
    """
    _check_suffix(path)
    with opened(path, MOST_BYTES) as (file, size):
        own = _state(model)
        entries = _matched(read_header(file, size), own, OTHER_LAYERS)
        for name, entry in entries.items():
            if len(entry.shape) != own[name].dim() or (0 in entry.shape and own[name].numel() > 0):
                key = "{name} must have {rank} axes of at least one, got shape {got}: {do}"
                raise InvalidInput(key, name=shown(name), rank=own[name].dim(), got=shown(entry.shape), do=INSTEAD)
        changed = structural_copy(model).eval()
        follow_widths(changed, {name: entry.shape for name, entry in entries.items()})
        values = _values(file, entries, own)
    replace_parameters(changed, {old: values[name] for name, old in own.items() if isinstance(old, nn.Parameter)})
    buffers = {id(old): values[name] for name, old in own.items() if not isinstance(old, nn.Parameter)}
    for module in changed.modules():
        for name, buffer in list(module._buffers.items()):
            if id(buffer) in buffers:
                setattr(module, name, buffers[id(buffer)])
    return changed


def _check_suffix(path: Path) -> None:
    suffix = path.suffix.lower()
    if suffix in PICKLES:
        key = (
            "the file must be a .safetensors file, got {got}, which can run code when it is opened: convert it with "
            'safetensors.torch.save_file(torch.load(FILE, weights_only=True), "model.safetensors")'
        )
        raise InvalidInput(key, got=shown(path.name))
    if suffix != ".safetensors":
        key = (
            "the file must be a .safetensors file, got {got}: save the weights with "
            'safetensors.torch.save_file(model.state_dict(), "model.safetensors")'
        )
        raise InvalidInput(key, got=shown(path.name))


def _state(model: nn.Module) -> dict[str, Tensor]:
    return {name: t for name, t in model.state_dict(keep_vars=True).items() if isinstance(t, Tensor)}


def _matched(entries: Mapping[str, Entry], own: Mapping[str, Tensor], do: str = INSTEAD) -> dict[str, Entry]:
    """For each name of the architecture its entry, or the entry of the name that it is tied to."""
    extra = [name for name in entries if name not in own]
    came = {id(own[name]): entry for name, entry in entries.items() if name in own}
    missing = [name for name, tensor in own.items() if id(tensor) not in came]
    if missing:
        key = "the file must hold every tensor of the architecture, got none called {first}{more}{near}: {do}"
        more = f" and {len(missing) - 1} more missing" if len(missing) > 1 else ""
        near = _near(missing[0], extra, ", but one called {}")
        raise InvalidInput(key, first=shown(missing[0]), more=more, near=near, do=do)
    if extra:
        key = "the file must hold the tensors of the architecture and no more, got {first}{more}{near}: {do}"
        more = f" and {len(extra) - 1} more" if len(extra) > 1 else ""
        near = _near(extra[0], own, ", the nearest is {}")
        raise InvalidInput(key, first=shown(extra[0]), more=more, near=near, do=do)
    for name, entry in entries.items():
        must = own[name].dtype
        if entry.dtype != must and not (entry.dtype in FLOATS and must in FLOATS):
            key = "{name} must be of {must}, got {got}: convert it before it is saved"
            raise InvalidInput(key, name=shown(name), must=dtype_name(must), got=dtype_name(entry.dtype))
    return {name: entries.get(name, came[id(tensor)]) for name, tensor in own.items()}


def _near(name: str, names: Iterable[str], text: str) -> str:
    """The nearest of the first thousand names, in a text, or nothing: a hostile file has many long ones."""
    few = [other for _, other in zip(range(1000), names, strict=False) if len(other) <= 200]
    found = difflib.get_close_matches(name[:200], few, n=1)
    return text.format(shown(found[0])) if found else ""


def _values(file: io.BufferedReader, entries: Mapping[str, Entry], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    values: dict[str, Tensor] = {}
    leads: dict[int, str] = {}
    for name, entry in entries.items():
        lead = leads.setdefault(id(own[name]), name)
        values[name] = values[lead] if lead != name else _value(file, name, entry, own[name])
        if entry is entries[lead]:
            continue
        if not torch.equal(_wide(values[lead]), _wide(_value(file, name, entry, own[name]))):  # both of a tie came
            key = "{name} and {lead} must be equal, since the architecture ties them, got two different ones: {do}"
            raise InvalidInput(key, name=shown(name), lead=shown(lead), do="leave one of them out of the file")
    return values


def _value(file: io.BufferedReader, name: str, entry: Entry, own: Tensor) -> Tensor:
    file.seek(entry.begin)
    raw = bytearray(entry.size)
    if (got := file.readinto(raw)) < entry.size:  # somebody cut it since its header was read
        key = "the data of {name} must be {need} bytes, got {got}: upload the file again"
        raise InvalidInput(key, name=shown(name), need=entry.size, got=got)
    if entry.dtype == torch.bool:
        stored = torch.frombuffer(raw, dtype=torch.uint8) != 0  # a byte of 2 is no bool of torch's
    elif raw:
        stored = torch.frombuffer(raw, dtype=entry.dtype)
    else:
        stored = torch.empty(0, dtype=entry.dtype)
    value = stored.view(entry.shape).to(own.dtype)
    if not (_finite(value) or torch.equal(_wide(value), _wide(own))):  # the architecture may hold a mask of -inf
        key = "{name} must hold finite numbers, got {got}: train it again or choose another file"
        why = f"numbers too large for {dtype_name(own.dtype)}" if _finite(stored) else "nan or infinity"
        raise InvalidInput(key, name=shown(name), got=why)
    return value


def _finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(_wide(tensor)).all())


def _wide(tensor: Tensor) -> Tensor:
    """The tensor in a dtype that torch can compare: not in floats of one byte."""
    return tensor.float() if tensor.is_floating_point() and tensor.itemsize == 1 else tensor

"""The header of a .safetensors file: every claim in it is checked before a byte of the data is read."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from engine.errors import InvalidInput, first_line, shown
from engine.sources.upload import amount

MOST_HEADER = 16 * 2**20
MOST_TENSORS = 100_000
MOST_RANK = 16
LENGTH = 8
DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
    "U64": torch.uint64, "U32": torch.uint32, "U16": torch.uint16, "U8": torch.uint8,
    "BOOL": torch.bool, "C64": torch.complex64, "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One tensor as the header describes it: its data are `size` bytes from byte `begin` of the file."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    begin: int
    size: int


def read_header(file: io.BufferedReader, size: int) -> dict[str, Entry]:
    """The tensors of a file of `size` bytes, by name; their data fill the rest of the file without gap or overlap.

    Raises InvalidInput for a header that says anything else.
    """
    raw = _raw(file, size)
    table = _parsed(raw)
    _check_metadata(table.pop("__metadata__", {}))
    start = LENGTH + len(raw)
    entries = {name: _entry(name, value, start) for name, value in table.items()}
    _check_layout(entries, start, size)
    return entries


def _raw(file: io.BufferedReader, size: int) -> bytes:
    if size < LENGTH:
        key = "the file must begin with the length of its header in 8 bytes, got {got}: upload it again"
        raise InvalidInput(key, got="an empty file" if size == 0 else amount(size))
    length = int.from_bytes(file.read(LENGTH), "little")
    if length > size - LENGTH:
        key = "the header must end within the file of {size}, got a header of {got}: is it really a .safetensors file?"
        raise InvalidInput(key, size=amount(size), got=amount(length))
    if length > MOST_HEADER:
        key = "the header must be at most {most}, got {got}: save the file with fewer tensors and less metadata"
        raise InvalidInput(key, most=amount(MOST_HEADER), got=amount(length))
    raw = file.read(length)
    # Each of these marks may cost Python a hundred bytes; a tensor needs seven.
    if sum(raw.count(mark) for mark in (b"[", b"{", b":")) > 12 * MOST_TENSORS:
        raise _too_many("more")
    return raw


def _too_many(got: object) -> InvalidInput:
    key = "the file must hold at most {most} tensors, got {got}: merge them before it is saved"
    return InvalidInput(key, most=MOST_TENSORS, got=got)


def _parsed(raw: bytes) -> dict[str, object]:
    try:
        table = json.loads(raw.decode("utf-8"), object_pairs_hook=_once)
    except UnicodeDecodeError as error:
        key = "the header must be text in UTF-8, got byte {got} at {at}: save the file again"
        raise InvalidInput(key, got=hex(raw[error.start]), at=error.start) from error
    except InvalidInput:
        raise
    except (ValueError, RecursionError) as error:
        key = "the header must be JSON, got text that is not: {why}; save the file again"
        raise InvalidInput(key, why=first_line(error, 90)) from error
    if not isinstance(table, dict):
        raise InvalidInput("the header must be a JSON object, got {got}: save the file again", got=shown(table))
    if len(table) > MOST_TENSORS + 1:
        raise _too_many(len(table))
    return table


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Python keeps the last of two equal names, other readers the first: such a file is two files."""
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            key = "a name must stand once in the header, got {got} twice: save the file again"
            raise InvalidInput(key, got=shown(name))
        found[name] = value
    return found


def _check_metadata(value: object) -> None:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        key = "__metadata__ must be a map of strings to strings, got {got}: save the file with metadata of strings"
        raise InvalidInput(key, got=shown(value))


def _entry(name: str, value: object, start: int) -> Entry:
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
        key = "{name} must have a dtype, a shape, data_offsets and no more, got {got}: save the file again"
        raise InvalidInput(key, name=shown(name), got=shown(value))
    code, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(code, str) or code not in DTYPES:
        key = "the dtype of {name} must be one of {known}, got {got}: save it as F32"
        raise InvalidInput(key, name=shown(name), known=", ".join(DTYPES), got=shown(code))
    if not _numbers(shape) or len(shape) > MOST_RANK:
        key = (
            "the shape of {name} must be a list of at most {most} sizes, whole and below 2 to the 63rd, got {got}: {do}"
        )
        raise InvalidInput(key, name=shown(name), most=MOST_RANK, got=shown(shape), do="save the file again")
    if not _numbers(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        key = "the data_offsets of {name} must be two rising whole numbers below 2 to the 63rd, got {got}: {do}"
        raise InvalidInput(key, name=shown(name), got=shown(offsets), do="save the file again")
    size, need = offsets[1] - offsets[0], math.prod(shape) * DTYPES[code].itemsize
    if size != need:
        key = "the data of {name} must be {need} bytes for {code} of shape {shape}, got {got}: save the file again"
        raise InvalidInput(
            key, name=shown(name), need=shown(need), code=code, shape=shown(tuple(shape)), got=shown(size)
        )
    return Entry(DTYPES[code], tuple(shape), start + offsets[0], size)


def _numbers(value: object) -> bool:
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 2**63 for n in value)  # True is an int too


def _check_layout(entries: Mapping[str, Entry], start: int, size: int) -> None:
    at = start
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].size)):
        if entry.begin != at:
            key = "the data of {name} must begin where the data before end, at byte {at}, got {got} with {what}: {do}"
            what = "an overlap" if entry.begin < at else "a gap"
            raise InvalidInput(key, name=shown(name), at=at, got=entry.begin, what=what, do="save the file again")
        at += entry.size
        if at > size:
            key = "the data of {name} must end within the file, at byte {size}, got byte {got}: upload the whole file"
            raise InvalidInput(key, name=shown(name), size=size, got=at)
    if at != size:
        key = "the file must end with its last tensor, at byte {at}, got {size} bytes: save the file again"
        raise InvalidInput(key, at=at, size=size)

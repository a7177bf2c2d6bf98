"""The two arrays of an .npz archive: sizes are checked before anything is unpacked, and nothing is unpickled."""

from __future__ import annotations

import io
import math
import struct
import sys
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, TypeAlias, cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from engine.errors import InvalidInput, first_line, shown
from engine.sources.upload import Wanted, amount

MOST_RATIO = 200
MOST_UNPACKED = 4 * 1024**3
MOST_DIRECTORY = 2**20  # the list of members, and one piece of one of them
MOST_HEADER = 4096
PAIRS = (("x", "y"), ("inputs", "targets"))
Array: TypeAlias = "NDArray[Any]"


@dataclass(frozen=True)
class Member:
    """One array as its header describes it; `begin` is where its data begin in the member."""

    name: str
    info: zipfile.ZipInfo
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    begin: int


class _Careful:
    """A file that hands out no more than MOST_DIRECTORY bytes at once: zipfile trusts a size that the file states."""

    def __init__(self, file: IO[bytes]) -> None:
        self._read = file.read
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > MOST_DIRECTORY:
            raise zipfile.BadZipFile(f"a list of files of {amount(size)}")
        return self._read(size)


def read_pair(file: io.BufferedReader, size: int, wanted: Wanted) -> tuple[Array, Array | list[str]]:
    """Inputs (n, ...) and targets (n, ...) of an archive of `size` bytes; names of classes come as text.

    Raises InvalidInput where there are no such arrays, they are of other shapes or dtypes, or the archive is broken.
    """
    with _faults("the file"):
        archive = zipfile.ZipFile(cast("IO[bytes]", _Careful(file)))
    infos = _chosen(archive.infolist(), size)
    inputs, targets = (_member(archive, info) for info in infos)
    _check_shape(inputs, wanted.example)
    _check_shape(targets, wanted.target)
    n, labels = inputs.shape[0], targets.shape[0]
    if n != labels:
        key = "{y} must hold as many examples as {x}, got {labels} for {n}: save both for the same examples"
        raise InvalidInput(key, y=targets.name, x=inputs.name, labels=shown(labels), n=shown(n))
    if not 1 <= n <= wanted.most:
        key = "{x} must hold from 1 to {most} examples, got {n}: save a part of them"
        raise InvalidInput(key, x=inputs.name, most=wanted.most, n=shown(n))
    _check_dtype(inputs, "biuf")
    _check_dtype(targets, "biufUS" if wanted.names else "biuf")
    x, y = _data(archive, inputs), _data(archive, targets)
    return x, _texts(y, targets.name) if y.dtype.kind in "US" else y


@contextmanager
def _faults(name: str) -> Iterator[None]:
    """What zipfile, zlib and numpy raise over bytes that somebody made up, as one sentence."""
    try:
        yield
    except (
        zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError, OSError, EOFError, SyntaxError, MemoryError,
        ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, Warning,
    ) as error:  # fmt: skip
        key = "{name} must be as numpy.savez writes it, got one that is broken: {why}; save it again"
        raise InvalidInput(key, name=name, why=first_line(error, 90)) from error


def _chosen(infos: list[zipfile.ZipInfo], size: int) -> list[zipfile.ZipInfo]:
    names = [info.filename.removesuffix(".npy") for info in infos]
    pair = next((pair for pair in PAIRS if set(pair) <= set(names)), None)
    if pair is None:
        got = shown(", ".join(names[:10])) if names else "none"
        raise InvalidInput(
            "the archive must hold arrays x and y, or inputs and targets, got {got}: name them so", got=got
        )
    unpacked = sum(info.file_size for info in infos)
    if unpacked > MOST_UNPACKED:
        key = "the archive must unpack to at most {most}, got {got}: save a part of the examples"
        raise InvalidInput(key, most=amount(MOST_UNPACKED), got=amount(unpacked))
    if unpacked > MOST_RATIO * size:
        key = "the archive must unpack to at most {most} times its {size}, got {got}: save it with numpy.savez"
        raise InvalidInput(key, most=MOST_RATIO, size=amount(size), got=amount(unpacked))
    for name in pair:
        if names.count(name) > 1:
            raise InvalidInput(
                "the archive must hold one array {name}, got {n}: save it again", name=name, n=names.count(name)
            )
    found = [infos[names.index(name)] for name in pair]
    for name, info in zip(pair, found, strict=True):
        if info.flag_bits & 0x1:
            raise InvalidInput("{name} must be readable, got an encrypted one: save it without a password", name=name)
        if info.file_size > MOST_RATIO * max(1, info.compress_size):  # whatever else lies in the archive
            key = "{name} must unpack to at most {most} times its {size}, got {got}: save it with numpy.savez"
            got = amount(info.file_size)
            raise InvalidInput(key, name=name, most=MOST_RATIO, size=amount(info.compress_size), got=got)
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # the others unpack without a bound
            key = "{name} must be stored or deflated, got compression {got}: save it with numpy.savez_compressed"
            raise InvalidInput(key, name=name, got=info.compress_type)
    return found


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    """The array's header; no more than that is unpacked."""
    name = info.filename.removesuffix(".npy")
    with _faults(name):
        with archive.open(info) as stream:
            head = io.BytesIO(stream.read(2 * MOST_HEADER))
        version = npy.read_magic(head)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"version {version}")
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read(head, max_header_size=MOST_HEADER)
    return Member(name, info, shape, fortran, dtype, head.tell())


def _check_shape(member: Member, wanted: tuple[int, ...]) -> None:
    if len(member.shape) != len(wanted) + 1 or member.shape[1:] != wanted:
        must = "(n, " + ", ".join(map(str, wanted)) + ")" if wanted else "(n,)"
        key = "{name} must be of shape {must}, n examples, got {got}: reshape it before it is saved"
        raise InvalidInput(key, name=member.name, must=must[:60], got=shown(member.shape))


def _check_dtype(member: Member, kinds: str) -> None:
    if member.dtype.hasobject:
        key = "{name} must hold plain numbers, got Python objects, which can run code when they are opened: {do}"
        raise InvalidInput(key, name=member.name, do="convert it with astype before it is saved")
    if member.dtype.kind not in kinds or member.dtype.itemsize == 0:
        key = "{name} must hold {what}, got dtype {got}: convert it with astype before it is saved"
        what = "real numbers or names of classes" if "U" in kinds else "real numbers"
        raise InvalidInput(key, name=member.name, what=what, got=shown(str(member.dtype)))
    need, got = math.prod(member.shape) * member.dtype.itemsize, member.info.file_size - member.begin
    if need != got:
        key = "{name} must hold {need} bytes for shape {shape}, got {got}: save it again"
        raise InvalidInput(key, name=member.name, need=shown(need), shape=shown(member.shape), got=shown(got))


def _data(archive: zipfile.ZipFile, member: Member) -> Array:
    """The numbers, read in pieces into exactly the room that they were checked to need."""
    raw = np.empty(math.prod(member.shape) * member.dtype.itemsize, np.uint8)
    with _faults(member.name), archive.open(member.info) as stream:
        stream.read(member.begin)
        at = 0
        while piece := stream.read(MOST_DIRECTORY // 2):  # at its end the stream checks its sum
            raw[at : at + len(piece)] = np.frombuffer(piece, np.uint8)
            at += len(piece)
        if at < len(raw):
            raise EOFError(f"{at} bytes of {len(raw)}")
    flat = raw.view(member.dtype)
    return flat.reshape(member.shape[::-1]).T if member.fortran else flat.reshape(member.shape)


def _texts(array: Array, name: str) -> list[str]:
    if array.dtype.kind == "U":
        codes = np.ascontiguousarray(array).view(np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
        if codes.max() > sys.maxunicode:  # numpy raises SystemError over it
            key = "{name} must hold text, got a character of number {got}: save it again"
            raise InvalidInput(key, name=name, got=int(codes.max()))
    return [t.decode("utf-8", "replace") if isinstance(t, bytes) else t for t in array.tolist()]

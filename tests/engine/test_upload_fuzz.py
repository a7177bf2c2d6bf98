"""Mutated files: a reader answers with one sentence, or with finite tensors of the right shapes; it never does more."""

from __future__ import annotations

import io
import tempfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save
from torch import Tensor, nn

from engine import InvalidInput
from engine.sources.checkpoint import read_checkpoint, read_variant
from engine.sources.labelled import read_labelled
from tests.engine.crafted import archive, joined, net, npy, parts, state

CLASSES = ("cat", "dog", "bird")
LIKE = (torch.zeros(4, 2, 3), torch.tensor([0, 1, 2, 1]))
MOST = 32 * 2**20
MODEL, HEADER, DATA = net(), *parts(save(state()))
FILE = joined(HEADER, DATA)
PAIR = {"x": np.arange(12, dtype=np.float32).reshape(2, 2, 3), "y": np.array(["cat", "bird"])}
ARCHIVES = [archive(PAIR), archive(PAIR, packed=True), archive(PAIR | {"y": np.array([2, 0])})]
TABLE = b'a,b,c,d,e,f,"label"\n1,2,3,4,5,6,cat\n1,2.5,3e1,-4,5,6,dog\n0,0,0,0,0,0,"bird"\n'


@contextmanager
def bounded() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < MOST
    finally:
        tracemalloc.stop()


def answer(read: Callable[[Path], Any], content: bytes, suffix: str) -> Any:
    """What the reader says of a file, or None where it refused it in one sentence."""
    with tempfile.TemporaryDirectory() as folder, bounded():
        path = Path(folder) / f"upload{suffix}"
        path.write_bytes(content)
        try:
            return read(path)
        except InvalidInput as error:
            text = str(error)
            assert " must " in text
            assert 0 < len(text) <= 400, text
            assert text.isprintable(), text
            return None


def check_checkpoint(content: bytes) -> bool:
    found = answer(lambda path: read_checkpoint(path, MODEL), content, ".safetensors")
    if found is not None:
        own = MODEL.state_dict()
        assert {n: (t.shape, t.dtype) for n, t in found.items()} == {n: (t.shape, t.dtype) for n, t in own.items()}
        assert all(bool(torch.isfinite(t).all()) for t in found.values())
    return found is not None


def check_variant(content: bytes) -> bool:
    found = answer(lambda path: read_variant(path, MODEL), content, ".safetensors")
    if found is not None:
        assert list(found.state_dict()) == list(MODEL.state_dict())
        assert all(bool(torch.isfinite(t).all()) for t in found.state_dict().values())
        assert sum(t.nbytes for t in found.state_dict().values()) < 16 * len(content)
        for layer in found.modules():
            if isinstance(layer, nn.Conv2d):
                found.conv(torch.zeros(1, layer.in_channels, 4, 4))
    return found is not None


def check_labelled(content: bytes, suffix: str) -> bool:
    found: tuple[Tensor, Tensor] | None = answer(lambda path: read_labelled(path, LIKE, CLASSES), content, suffix)
    if found is not None:
        x, y = found
        assert x.shape[1:] == (2, 3)
        assert y.shape == x.shape[:1]
        assert (x.dtype, y.dtype) == (torch.float32, torch.int64)
        assert bool(torch.isfinite(x).all())
        assert 0 <= int(y.min()) <= int(y.max()) < 3
    return found is not None


NUMBERS = st.sampled_from([0, 1, -1, 2, 3, 4, 5, 16, 20, 255, 2**31, 2**32, 2**62, 2**63, 2**64, 10**30]) | st.integers(
    0, 99
)
NAMES = st.sampled_from(
    [*HEADER, "dtype", "shape", "data_offsets", "__metadata__", "", "conv", "\n\u202e", "{0}", "x" * 999]
)
WORDS = st.sampled_from(["F64", "F32", "F16", "BF16", "I64", "I32", "U8", "BOOL", "F8_E4M3", "F4", "f32"]) | st.text(
    max_size=3
)
LEAVES = NUMBERS | NAMES | WORDS | st.floats() | st.booleans() | st.none()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=3))


@st.composite
def headers(draw: st.DrawFn) -> object:
    """The header with a few places changed: a word, a number, a name, an entry or all of it."""
    table: dict[str, Any] = {name: dict(entry) for name, entry in HEADER.items()}
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(sorted(table)))
        kind = draw(st.sampled_from(["dtype", "shape", "offsets", "entry", "name", "drop", "more", "swap", "any"]))
        entry = table[name]
        if kind in ("name", "drop"):
            moved = table.pop(name)
            table.update({draw(NAMES): moved} if kind == "name" else {})
        elif kind == "swap":
            other = draw(st.sampled_from(sorted(table)))
            table[name], table[other] = table[other], entry
        elif kind == "any" or not isinstance(entry, dict):
            table[name] = draw(VALUES)
        elif kind == "more":
            table[draw(NAMES)] = entry
        elif kind == "dtype":
            entry["dtype"] = draw(WORDS)
        elif kind == "shape":
            entry["shape"] = draw(st.lists(NUMBERS, max_size=5))
        elif kind == "offsets":
            entry["data_offsets"] = draw(st.lists(NUMBERS, min_size=1, max_size=3))
        else:
            entry[draw(NAMES)] = draw(VALUES)
        if not table:
            return draw(VALUES)
    return table


def resized(names: list[str], widths: dict[str, list[int]], dtype: torch.dtype) -> bytes:
    """The net's file with some tensors of other widths, all in place: what only the layers can refuse."""
    found = state()
    for name in names:
        rank = found[name].dim()
        found[name] = torch.ones([*widths[name], 1, 1, 1, 1][:rank]).to(dtype)
    return save(found)


@st.composite
def mutated(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes flipped, cut, repeated, put in or taken out in up to four places; the ends more often than the middle."""
    found = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        size = len(found)
        at = draw(st.integers(0, size) | st.integers(0, min(size, 80)) | st.integers(max(0, size - 200), size))
        kind = draw(st.sampled_from(["flip", "number", "cut", "insert", "remove", "repeat"]))
        span = draw(st.integers(1, 12))
        if kind == "flip" and at < size:
            found[at] ^= draw(st.integers(1, 255))
        elif kind == "number":
            found[at : at + 4] = draw(st.sampled_from([0, 1, 2**16, 2**31, 2**32 - 1])).to_bytes(4, "little")
        elif kind == "cut":
            del found[at:]
        elif kind == "insert":
            found[at:at] = draw(st.binary(min_size=1, max_size=12))
        elif kind == "remove":
            del found[at : at + span]
        else:
            found[at:at] = found[at : at + span] * draw(st.sampled_from([1, 2, 300]))
    return bytes(found)


def test_the_files_are_good_before_they_are_changed() -> None:
    assert check_checkpoint(FILE)
    assert check_variant(FILE)
    assert all(check_labelled(content, ".npz") for content in ARCHIVES)
    assert check_labelled(TABLE, ".csv")


FUZZ = settings(deadline=None, derandomize=True, database=None, max_examples=250)


@FUZZ
@given(headers(), st.sampled_from([DATA, DATA[:-3], b"", bytes(len(DATA))]))
def test_any_header_is_survived(header: object, data: bytes) -> None:
    content = joined(header, data)
    check_checkpoint(content)
    check_variant(content)


@FUZZ
@given(st.data())
def test_any_width_is_survived(data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(sorted(state())), min_size=1, max_size=5, unique=True))
    widths = {name: data.draw(st.lists(st.integers(0, 6), min_size=4, max_size=4)) for name in names}
    content = resized(names, widths, data.draw(st.sampled_from([torch.float32, torch.float16, torch.int64])))
    check_checkpoint(content)
    check_variant(content)


@FUZZ
@given(mutated(FILE))
def test_any_bytes_of_a_checkpoint_are_survived(content: bytes) -> None:
    check_checkpoint(content)
    check_variant(content)


@settings(FUZZ, max_examples=700)
@given(st.sampled_from(ARCHIVES).flatmap(mutated))
def test_any_bytes_of_an_archive_are_survived(content: bytes) -> None:
    check_labelled(content, ".npz")


DESCRIPTIONS = st.sampled_from(
    ["'<f4'", "'>i8'", "'|O'", "'<U3'", "'|S2'", "'<U0'", "'?'", "'<M8[s]'", "'<c8'", "[('a', '<f4')]", "('<f4', (2,))"]
) | st.text("'<>|fiuOUSV0123456789[](),-", max_size=12)
SHAPES = st.tuples(NUMBERS, NUMBERS, NUMBERS).map(str) | st.sampled_from(
    ["(2, 2, 3)", "(2,)", "()", "(0, 2, 3)", "(-1, 2, 3)", "(True,)", "2", "'a'", "(2.0,)"]
)


@settings(FUZZ, max_examples=700)
@given(DESCRIPTIONS, SHAPES, st.sampled_from(["True", "False", "1"]), st.binary(max_size=60))
def test_any_header_of_an_array_is_survived(descr: str, shape: str, order: str, data: bytes) -> None:
    for name in PAIR:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as file:
            file.writestr(f"{name}.npy", npy(descr, shape, data, order))
            other = next(key for key in PAIR if key != name)
            with file.open(f"{other}.npy", "w") as member:
                np.lib.format.write_array(member, PAIR[other])
        check_labelled(stream.getvalue(), ".npz")


CELLS = st.sampled_from(
    ["", "1", "-0", "1e999", "nan", "0x1", "1_0", "cat", '"', '""', '"1"', "\n", "\r", ",", ";", "\ufeff", "\0"]
)


@FUZZ
@given(mutated(TABLE) | st.lists(CELLS | st.text(max_size=3), max_size=40).map(lambda c: TABLE + ",".join(c).encode()))
def test_any_bytes_of_a_table_are_survived(content: bytes) -> None:
    check_labelled(content, ".csv")

"""Small good files and ways to spoil them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from safetensors.torch import save

from tests.engine.crafted import archive, joined, parts, state

HEADER, DATA = parts(save(state()))
FILE = joined(HEADER, DATA)
CONV = slice(*HEADER["conv.weight"]["data_offsets"])
BODIES = st.sampled_from(
    [DATA, DATA, DATA[:-3], bytes(len(DATA)), DATA[: CONV.start] + b"\xff" * 48 + DATA[CONV.stop :]]  # the last is nan
)
PAIR = {"x": np.arange(12, dtype=np.float32).reshape(2, 2, 3), "y": np.array(["cat", "bird"])}
ARCHIVES = [archive(PAIR), archive(PAIR, packed=True), archive(PAIR | {"y": np.array([2, 0])})]
TABLE = b'a,b,c,d,e,f,"label"\n1,2,3,4,5,6,cat\n1,2.5,3e1,-4,5,6,dog\n0,0,0,0,0,0,"bird"\n'


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


Table = dict[str, Any]


def renamed(draw: st.DrawFn, table: Table, name: str) -> None:
    table[draw(NAMES)] = table.pop(name)


def dropped(draw: st.DrawFn, table: Table, name: str) -> None:
    del table[name]


def doubled(draw: st.DrawFn, table: Table, name: str) -> None:
    table[draw(NAMES)] = table[name]


def swapped(draw: st.DrawFn, table: Table, name: str) -> None:
    other = draw(st.sampled_from(sorted(table)))
    table[name], table[other] = table[other], table[name]


def replaced(draw: st.DrawFn, table: Table, name: str) -> None:
    table[name] = draw(VALUES)


def negated(draw: st.DrawFn, table: Table, name: str) -> None:
    """A shape whose product stays where its rank is even."""
    entry = table[name]
    if isinstance(entry, dict) and name in HEADER and "shape" in entry:
        table[name] = entry | {"shape": [-n for n in HEADER[name]["shape"]]}


def retyped(draw: st.DrawFn, table: Table, name: str) -> None:
    if isinstance(table[name], dict):
        table[name] = table[name] | {"dtype": draw(st.sampled_from(["F64", "F32", "F16", "BF16", "I64", "U8"]))}


def stretched(draw: st.DrawFn, table: Table, name: str) -> None:
    """A whole header whose parts agree with each other and not with the data: its last tensor has many rows."""
    rows, at = draw(st.sampled_from([7, 2**20, 2**27, 2**40])), 0
    for key in sorted(HEADER, key="conv.weight".__eq__):
        entry, size = HEADER[key], HEADER[key]["data_offsets"][1] - HEADER[key]["data_offsets"][0]
        if key == "conv.weight":
            entry, size = entry | {"shape": [rows, 1, 2, 2]}, rows * 16
        table[key] = entry | {"data_offsets": [at, at + size]}
        at += size


def reworded(draw: st.DrawFn, table: Table, name: str) -> None:
    """Another word in an entry, where it is still one."""
    entry = table[name] if isinstance(table[name], dict) else {}
    new = {
        "dtype": draw(WORDS),
        "shape": draw(st.lists(NUMBERS, max_size=5)),
        "data_offsets": draw(st.lists(NUMBERS, min_size=1, max_size=3)),
        draw(NAMES): draw(VALUES),
    }
    word = draw(st.sampled_from(sorted(new)))
    table[name] = entry | {word: new[word]}


CHANGES = [renamed, dropped, doubled, swapped, replaced, negated, retyped, retyped, stretched, reworded, reworded]


@st.composite
def headers(draw: st.DrawFn) -> object:
    """The header with up to three places changed."""
    table: Table = {name: dict(entry) for name, entry in HEADER.items()}
    for _ in range(draw(st.sampled_from([0, 1, 1, 1, 2, 3]))):
        if table:
            change = draw(st.sampled_from(CHANGES))
            change(draw, table, draw(st.sampled_from(sorted(table))))
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
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 4]))):
        size = len(found)
        at = draw(st.integers(0, size) | st.integers(0, min(size, 80)) | st.integers(max(0, size - 200), size))
        kind = draw(st.sampled_from(["flip", "number", "cut", "insert", "remove", "repeat", "field"]))
        span = draw(st.integers(1, 12))
        if kind == "flip" and at < size:
            found[at] ^= draw(st.integers(1, 255))
        elif kind == "number":
            found[at : at + 4] = draw(st.sampled_from([0, 1, 2**16, 2**31, 2**32 - 1])).to_bytes(4, "little")
        elif kind == "field" and (entry := found.find(draw(st.sampled_from([b"PK\1\2", b"PK\5\6"])), at)) >= 0:
            place = entry + draw(st.sampled_from([4, 6, 8, 10, 12, 16, 20, 24, 28, 30, 32, 42]))
            found[place : place + 2] = draw(st.sampled_from([0, 1, 8, 12, 14, 99, 2**16 - 1])).to_bytes(2, "little")
        elif kind == "cut":
            del found[at:]
        elif kind == "insert":
            found[at:at] = draw(st.binary(min_size=1, max_size=12))
        elif kind == "remove":
            del found[at : at + span]
        else:
            found[at:at] = found[at : at + span] * draw(st.sampled_from([1, 2, 300]))
    return bytes(found)


DESCRIPTIONS = st.sampled_from(
    ["'<f4'", "'>i8'", "'|O'", "'<U3'", "'|S2'", "'<U0'", "'?'", "'<M8[s]'", "'<c8'", "[('a', '<f4')]", "('<f4', (2,))"]
) | st.text("'<>|fiuOUSV0123456789[](),-", max_size=12)
SHAPES = st.tuples(NUMBERS, NUMBERS, NUMBERS).map(str) | st.sampled_from(
    ["(2, 2, 3)", "(2,)", "()", "(0, 2, 3)", "(-1, 2, 3)", "(True,)", "2", "'a'", "(2.0,)"]
)


CELLS = st.sampled_from(
    ["", "1", "-0", "1e999", "nan", "0x1", "1_0", "cat", '"', '""', '"1"', "\n", "\r", ",", ";", "\ufeff", "\0"]
)


ROWS = st.lists(st.sampled_from(["1", "2.5", "0", "-3e1"]) | CELLS, min_size=6, max_size=7).map(",".join)
LABELS = st.sampled_from(["cat", "dog", "bird", " bird ", "2", "0.0", "3", "-1", "nan", "cats", ""])
TABLES = st.lists(st.tuples(st.sampled_from(["0,0,0,0,0,0"]) | ROWS, LABELS).map(",".join), max_size=4)

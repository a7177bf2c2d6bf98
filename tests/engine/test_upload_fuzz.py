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
from torch import Tensor, nn

from engine import InvalidInput
from engine.sources.checkpoint import read_checkpoint, read_variant
from engine.sources.labelled import read_labelled
from tests.engine.crafted import joined, net, npy, state
from tests.engine.mutations import (
    ARCHIVES,
    BODIES,
    DESCRIPTIONS,
    FILE,
    PAIR,
    SHAPES,
    TABLE,
    TABLES,
    headers,
    mutated,
    resized,
)

CLASSES = ("cat", "dog", "bird")
LIKE = (torch.zeros(4, 2, 3), torch.tensor([0, 1, 2, 1]))
MOST = 32 * 2**20
MODEL = net()


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
                layer(torch.zeros(1, layer.in_channels, 4, 4))
            elif isinstance(layer, nn.BatchNorm2d):
                layer(torch.zeros(1, layer.num_features, 1, 1))
            elif isinstance(layer, nn.Linear):
                layer(torch.zeros(1, layer.in_features))
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


def test_the_files_are_good_before_they_are_changed() -> None:
    assert check_checkpoint(FILE)
    assert check_variant(FILE)
    assert all(check_labelled(content, ".npz") for content in ARCHIVES)
    assert check_labelled(TABLE, ".csv")


FUZZ = settings(deadline=None, derandomize=True, database=None, max_examples=500)


@FUZZ
@given(headers(), BODIES)
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


@settings(FUZZ, max_examples=1200)
@given(st.sampled_from(ARCHIVES).flatmap(mutated))
def test_any_bytes_of_an_archive_are_survived(content: bytes) -> None:
    check_labelled(content, ".npz")


@settings(FUZZ, max_examples=1200)
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


@settings(FUZZ, max_examples=1200)
@given(mutated(TABLE) | TABLES.map(lambda rows: TABLE + "\n".join(rows).encode()))
def test_any_bytes_of_a_table_are_survived(content: bytes) -> None:
    check_labelled(content, ".csv")

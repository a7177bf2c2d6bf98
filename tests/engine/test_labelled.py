from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from engine import InvalidInput
from engine.sources import labelled
from engine.sources.labelled import read_labelled
from tests.engine.crafted import archive
from tests.states import bits

CLASSES = ("cat", "dog", "bird")
LIKE = (torch.zeros(4, 2, 3), torch.tensor([0, 1, 2, 1]))
VALUES = (torch.zeros(4, 2, 3), torch.zeros(4, 1))
TOKENS = (torch.tensor([[0, 9, 3]]), torch.tensor([[9, 3, 10]]))
X, Y = np.arange(12, dtype=np.float32).reshape(2, 2, 3), np.array([2, 0])


def read(
    folder: Path, content: bytes, like: tuple[Tensor, Tensor] = LIKE, name: str = "d.npz"
) -> tuple[Tensor, Tensor]:
    path = folder / name
    path.write_bytes(content)
    return read_labelled(path, like, CLASSES if like[1].dim() == 1 else ())


def refused(folder: Path, content: bytes, match: str, like: tuple[Tensor, Tensor] = LIKE, name: str = "d.npz") -> None:
    with pytest.raises(InvalidInput, match=match) as caught:
        read(folder, content, like, name)
    text = str(caught.value)
    assert len(text) <= 400, text
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("names", [("x", "y"), ("inputs", "targets")])
def test_an_archive_is_read(names: tuple[str, str], packed: bool, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(size=(300, 2, 3)).astype(np.float32)
    labels = np.arange(300) % 3
    x, y = read(tmp_path, archive(dict(zip(names, (noise, labels), strict=True)), packed), name="D.NPZ")
    assert bits(x) == bits(torch.from_numpy(noise))
    assert y.tolist() == labels.tolist()
    assert y.dtype == torch.int64


CONVERTED = {
    "fortran": (np.asfortranarray(X), Y),
    "other end": (X.astype(">f8"), Y.astype(">i2")),
    "whole": (X.astype(np.uint8), Y.astype(np.uint64)),
    "half": (X.astype(np.float16), Y.astype(np.float16)),
    "long double": (X.astype(np.longdouble), Y.astype(np.longdouble)),
    "names": (X, np.array(["bird", "cat"])),
    "bytes": (X, np.array([b"bird", b"cat"])),
    "numbers as text": (X, np.array(["2", "0.0"])),
}


@pytest.mark.parametrize("case", CONVERTED)
def test_any_real_dtype_is_converted(case: str, tmp_path: Path) -> None:
    x, y = read(tmp_path, archive(dict(zip("xy", CONVERTED[case], strict=True))))
    assert (x.dtype, y.dtype) == (torch.float32, torch.int64)
    assert x.tolist() == X.tolist()
    assert y.tolist() == Y.tolist()
    assert x.is_contiguous()


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.bfloat16, torch.float64, torch.complex64])
def test_the_dtype_is_the_architectures(dtype: torch.dtype, tmp_path: Path) -> None:
    ones = np.array([[1.0, 0.0]])
    like = (torch.ones(1, 2).to(dtype), torch.ones(1, 1))
    x, y = read(tmp_path, archive({"x": ones, "y": np.array([[True]])}), like)
    assert x.dtype == dtype
    assert x.tolist() == [[1, 0]]
    assert y.tolist() == [[1.0]]


def test_tokens_are_read(tmp_path: Path) -> None:
    x, y = read(tmp_path, archive({"x": np.array([[9.0, 0, 1]]), "y": np.array([[0, 10, 1]], np.uint8)}), TOKENS)
    assert x.tolist() == [[9, 0, 1]]
    assert y.tolist() == [[0, 10, 1]]


def test_names_win_only_where_all_labels_are_names(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    like = (torch.zeros(1, 1), torch.tensor([0]))
    for labels, places in ((["1", "2"], [0, 1]), (["0", "1"], [0, 1]), (["3", "1"], [2, 0])):
        np.savez(path, x=np.zeros((2, 1)), y=np.array(labels))
        assert read_labelled(path, like, ("1", "2", "3"))[1].tolist() == places


def poked(value: float, dtype: str = "f4") -> np.ndarray:
    found = X.astype(dtype)
    found[1, 0, 2] = value
    return found


LABEL = "a label must be one of 'cat, dog, bird', or all must be numbers, got "
DATA = {
    "no x": ({"z": X, "y": Y}, "must hold arrays x and y, or inputs and targets, got 'z, y': name them so"),
    "none": ({}, "must hold arrays x and y, or inputs and targets, got none"),
    "half a pair": ({"x": X, "targets": Y}, "must hold arrays x and y, or inputs and targets, got 'x, targets'"),
    "flat": ({"x": X.reshape(2, 6), "y": Y}, r"x must be of shape \(n, 2, 3\), n examples, got \(2, 6\): reshape"),
    "one example": ({"x": X[0], "y": Y[0]}, r"x must be of shape \(n, 2, 3\), n examples, got \(2, 3\)"),
    "column": ({"x": X, "y": Y[:, None]}, r"y must be of shape \(n,\), n examples, got \(2, 1\)"),
    "lengths": ({"x": X, "y": np.array([1, 2, 0])}, "y must hold as many examples as x, got 3 for 2"),
    "empty": ({"x": X[:0], "y": Y[:0]}, "x must hold from 1 to 1000000 examples, got 0"),
    "complex": ({"x": X.astype(complex), "y": Y}, "x must hold real numbers, got dtype 'complex128': convert"),
    "text": ({"x": X.astype(str), "y": Y}, "x must hold real numbers, got dtype '<U"),
    "dates": ({"x": X, "y": Y.astype("M8[s]")}, r"y must hold real numbers or names of classes, got dtype 'dat"),
    "records": ({"x": X, "y": np.zeros(2, "i4,i4")}, "y must hold real numbers or names of classes, got dtype"),
    "objects": ({"x": X, "y": Y.astype(object)}, "y must hold plain numbers, got Python objects, which can run code"),
    "nan": ({"x": poked(math.nan), "y": Y}, "an input must be finite and fit float32, got nan in example 2: leave"),
    "infinity": ({"x": poked(-math.inf), "y": Y}, "an input must be finite and fit float32, got -inf in example 2"),
    "too large": ({"x": poked(1e300, "f8"), "y": Y}, r"must be finite and fit float32, got 1e\+300 in example 2"),
    "label range": ({"x": X, "y": Y + 1}, "a target must be from 0 to 2, got 3 in example 1: number the classes"),
    "negative label": ({"x": X, "y": Y - 1}, "a target must be from 0 to 2, got -1 in example 2"),
    "half a label": ({"x": X, "y": Y + 0.5}, r"a target must be a whole number, got 2\.5 in example 1"),
    "nan label": ({"x": X, "y": np.array([0, math.nan])}, "a target must be a whole number, got nan in example 2"),
    "huge label": ({"x": X, "y": np.array([0, 2.0**63])}, r"a target must fit int64, .*, got 0\.0 to 9\.22.*e\+18"),
    "huge whole label": ({"x": X, "y": np.array([0, 2**64 - 1], np.uint64)}, "a target must fit int64, .* to 184"),
    "unknown name": ({"x": X, "y": np.array(["cat", "dof"])}, LABEL + "'dof' in example 2, the nearest is 'dog'"),
    "number and name": ({"x": X, "y": np.array(["1", "cat"])}, LABEL + "'1' in example 1: correct it"),
    "no name": ({"x": X, "y": np.array(["1", "?"])}, LABEL + r"'\?' in example 2: correct it"),
    "number as name": ({"x": X, "y": np.array(["1", "3"])}, "a target must be from 0 to 2, got 3 in example 2"),
}  # fmt: skip


@pytest.mark.parametrize("case", DATA)
def test_data_that_are_not_the_architectures_are_refused(case: str, tmp_path: Path) -> None:
    arrays, match = DATA[case]
    refused(tmp_path, archive(arrays), match)


LIKES = {
    "token": (TOKENS, [[0, 10, 1]], [[0, 0, 0]], "an input must be from 0 to 9, got 10 in example 1"),
    "negative token": (TOKENS, [[0, -1, 1]], [[0, 0, 0]], "an input must be from 0 to 9, got -1 in example 1"),
    "half a token": (TOKENS, [[0, 1, 0.5]], [[0, 0, 0]], r"an input must be a whole number, got 0\.5 in example 1"),
    "next token": (TOKENS, [[0, 1, 2]], [[0, 11, 0]], "a target must be from 0 to 10, got 11 in example 1"),
    "value": (VALUES, X, [[0], [math.nan]], "a target must be finite and fit float32, got nan in example 2"),
    "value of text": (VALUES, X, [["0"], ["1"]], "y must hold real numbers, got dtype '<U1'"),
    "bool": ((torch.zeros(1, 2).bool(), torch.zeros(1, 1)), [[0, 2]], [[0]], "an input must fit bool, from 0 to 1"),
    "byte": ((torch.zeros(1, 1).byte(), torch.zeros(1, 1)), [[256]], [[0]], "an input must fit uint8, from 0 to 255"),
}  # fmt: skip


@pytest.mark.parametrize("case", LIKES)
def test_what_another_architecture_does_not_take_is_refused(case: str, tmp_path: Path) -> None:
    like, x, y, match = LIKES[case]
    refused(tmp_path, archive({"x": np.array(x), "y": np.array(y)}), match, like)


@pytest.mark.parametrize("name", ["d.npy", "d.pkl", "d.pt", "d", "d.xlsx"])
def test_another_suffix_is_refused(name: str, tmp_path: Path) -> None:
    refused(
        tmp_path, archive({"x": X, "y": Y}), rf"must be an \.npz or a \.csv file, got '{name}': save them", name=name
    )


@pytest.mark.parametrize("name", ["d.npz", "d.csv"])
def test_a_file_that_is_missing_or_too_large_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidInput, match=f"the file must exist, got '{name}'"):
        read_labelled(tmp_path / name, LIKE, CLASSES)
    assert labelled.MOST_BYTES == 1024**3
    monkeypatch.setattr(labelled, "MOST_BYTES", 9)
    refused(tmp_path, bytes(10), "must be at most 9 bytes, got 10 bytes", name=name)


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("d.npz", archive({"x": X, "y": Y}), "x must hold from 1 to 1 examples, got 2"),
        ("d.csv", b"a,b,c,d,e,f,y\n" + b"0,0,0,0,0,0,0\n" * 2, "the table must have at most 1 examples, got more"),
    ],
)
def test_too_many_examples_are_refused(
    name: str, content: bytes, match: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert labelled.MOST_EXAMPLES == 1_000_000
    monkeypatch.setattr(labelled, "MOST_EXAMPLES", 1)
    refused(tmp_path, content, match, name=name)

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine import InvalidInput
from engine.sources.labelled import read_labelled

CLASSES = ("cat", "dog", "bird")
LIKE = (torch.zeros(4, 2, 1), torch.tensor([0, 1, 2, 1]))
VALUE = (torch.zeros(4, 2, 1), torch.zeros(4, 1))
TOKENS = (torch.tensor([[0, 9]]), torch.tensor([0, 1, 2]))


def read(folder: Path, content: str | bytes, like: tuple[Tensor, Tensor] = LIKE) -> tuple[Tensor, Tensor]:
    path = folder / "data.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_labelled(path, like, CLASSES)


READ = {
    "last": "a,b,c\n1,2.5,0\n-3e1,4,2\n",
    "first": "y,a,b\n0,1,2.5\n2,-30,4\n",
    "label": "a,Label,b\n1,0,2.5\n-30,2,4\n",
    "target": "a, TARGET ,b\n1, 0.0,2.5\n-30,2,4\n",
    "class": "Class,a,b\n0,1,2.5\n2,-30,4",
    "names": "a,b,kind\n1,2.5,cat\n-30,4, bird\n",
    "quotes": '"a","b","c"\n"1","2.5","cat"\n"-30","4","bird"\n',
    "windows": "\ufeffy,a,b\r\n0,1,2.5\r\n2,-30,4\r\n",
    "old lines": "a,b,c\r1,2.5,0\r-30,4,2\r",
    "blank lines": "a,b,c\n\n1,2.5,0\n \n-30,4,2\n\n\n",
}


@pytest.mark.parametrize("case", READ)
def test_a_table_is_read(case: str, tmp_path: Path) -> None:
    x, y = read(tmp_path, READ[case])
    assert x.tolist() == [[[1.0], [2.5]], [[-30.0], [4.0]]]
    assert y.tolist() == [0, 2]
    assert (x.dtype, y.dtype) == (torch.float32, torch.int64)


def test_values_and_tokens_are_read(tmp_path: Path) -> None:
    x, y = read(tmp_path, "a,y,b\n1,0.25,2\n", VALUE)
    assert (x.tolist(), y.tolist()) == ([[[1.0], [2.0]]], [[0.25]])
    x, y = read(tmp_path, "a,y,b\n1,2,9\n", TOKENS)
    assert (x.tolist(), y.tolist(), x.dtype) == ([[1, 9]], [2], torch.int64)


def test_many_rows_are_read(tmp_path: Path) -> None:
    x, y = read(tmp_path, "a,b,c\n" + "".join(f"{i},{-i},{i % 3}\n" for i in range(5000)))
    assert torch.equal(x[:, 0, 0], torch.arange(5000.0))
    assert torch.equal(y, torch.arange(5000) % 3)


COLUMNS = r" must have 2 numbers and a label between commas, got "
REFUSED = {
    "nothing": ("", "must have a line of names and at least one example, got none"),
    "only names": ("a,b,c\n\n", "must have a line of names and at least one example, got none"),
    "no names": ("1,2,0\n1,2,0\n", "the first line must name the columns, got numbers beginning with '1'"),
    "two labels": ("a,y,class\n1,2,0\n", "one column must be called y, label, target or class, got 2: rename"),
    "fewer columns": ("a,b\n1,2\n", "line 1" + COLUMNS + "2 cells"),
    "more columns": ("a,b,c,d\n1,2,3,0\n", "line 1" + COLUMNS + "4 cells"),
    "semicolons": ("a;b;c\n1;2;0\n", "line 1" + COLUMNS + "1 cells"),
    "ragged": ("a,b,c\n1,2,0\n\n1,2\n", "line 4" + COLUMNS + "2 cells"),
    "no number": ("a,b,c\n1,2,0\n1,x\u202e,0\n", r"line 3, column 'b' must be a number, got 'x\\u202e': correct it"),
    "long cell": ("a,b,c\n1," + "x" * 999 + ",0\n", r"line 2, column 'b' must be a number, got 'x{56}\.\.\.: correct"),
    "no cell": ("a,b,c\n1,,0\n", "line 2, column 'b' must be a number, got ''"),
    "nan": ("a,b,c\n1,2,0\n1,nan,0\n", "an input must be finite and fit float32, got nan in example 2"),
    "too large": ("a,b,c\n1,1e39,0\n", r"an input must be finite and fit float32, got 1e\+39 in example 1"),
    "label": ("a,b,c\n1,2,0\n1,2,3\n", "a target must be from 0 to 2, got 3 in example 2"),
    "half a label": ("a,b,c\n1,2,0.5\n", r"a target must be a whole number, got 0\.5 in example 1"),
    "name": ("a,b,c\n1,2,cat\n1,2,brid\n", "all must be numbers, got 'brid' in example 2, the nearest is 'bird'"),
    "no label": ("a,b,c\n1,2,\n", "a label must be one of 'cat, dog, bird', or all must be numbers, got ''"),
    "not UTF-8": (b"a,b,c\n1,2,0\n1,\xff,0\n", "must be text in UTF-8, got byte 0xff after line [0-2]"),
    "open quote": ('a,b,c\n1,"2,0\n', "line 2 must be cells between commas, got unexpected end of data"),
    "quoted lines": ('a,b,c\n"\n","\n","\n",1,2,0\n', "line 2 must be cells between commas"),
    "long line": ("a,b,c\n" + "1," * 5000, "line 2 must be shorter than 4288 characters for 3 columns, got more"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_table_that_is_none_is_refused(case: str, tmp_path: Path) -> None:
    content, match = REFUSED[case]
    with pytest.raises(InvalidInput, match=match) as caught:
        read(tmp_path, content)
    assert len(str(caught.value)) <= 400
    assert len(str(caught.value).splitlines()) == 1


def test_a_target_of_many_numbers_needs_an_archive(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="must have one number as target, got an architecture of 2"):
        read(tmp_path, "a,b,c\n1,2,0\n", (LIKE[0], torch.zeros(4, 2)))


def test_a_value_must_be_a_number(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="line 2, column 'c' must be a number, got 'cat'"):
        read(tmp_path, "a,b,c\n1,2,cat\n", VALUE)

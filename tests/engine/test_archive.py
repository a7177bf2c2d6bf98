"""Archives that numpy would not write."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from engine import InvalidInput
from engine.sources import archive as module
from engine.sources.labelled import read_labelled
from tests.engine.crafted import archive, npy

LIKE = (torch.zeros(4, 3), torch.tensor([0, 1, 2, 1]))
X, Y = np.arange(6, dtype=np.float32).reshape(2, 3), np.array([2, 0])
Y_FILE = npy("'<i8'", "(2,)", Y.tobytes())


def zipped(members: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return stream.getvalue()


def flagged(content: bytes, at: int, value: int, size: int = 2) -> bytes:
    """An archive with another number at a place of the first entry of its directory."""
    found = bytearray(content)
    start = content.index(b"PK\x01\x02") + at
    found[start : start + size] = value.to_bytes(size, "little")
    return bytes(found)


def refused(folder: Path, content: bytes, match: str) -> None:
    path = folder / "d.npz"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=match) as caught:
        read_labelled(path, LIKE, ())
    text = str(caught.value)
    assert len(text) <= 400, text
    assert len(text.splitlines()) == 1


class Opened:
    """Unpickling it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", ["x", "y", "z"])
def test_nothing_is_unpickled(name: str, tmp_path: Path) -> None:
    trap = np.array([Opened(tmp_path / "opened")] * 2, object)
    content = archive({"x": X, "y": Y} | {name: trap.reshape(2, 1).repeat(3, 1) if name == "x" else trap})
    if name == "z":
        (tmp_path / "d.npz").write_bytes(content)
        assert len(read_labelled(tmp_path / "d.npz", LIKE, ())[1]) == 2
    else:
        refused(tmp_path, content, f"{name} must hold plain numbers, got Python objects, which can run code when")
    assert not (tmp_path / "opened").exists()
    np.load(io.BytesIO(content), allow_pickle=True)[name]
    assert (tmp_path / "opened").exists()  # the trap is one


GOOD = archive({"x": X, "y": Y})
PACKED = archive({"x": X, "y": Y}, packed=True)
BROKEN = "the file must be as numpy.savez writes it, got one that is broken: "
ZIPS = {
    "empty": (b"", BROKEN + "File is not a zip file; save it again"),
    "pickle": (b"\x80\x04N.", BROKEN + "File is not a zip file"),
    "one array": (npy("'<f4'", "(2,)", bytes(8)), BROKEN + "File is not a zip file"),
    "cut short": (GOOD[:-30], BROKEN),
    "no front": (GOOD[100:], "(is|be) .*broken"),
    "encrypted": (flagged(GOOD, 8, 1), "x must be readable, got an encrypted one: save it without a password"),
    "bzip2": (zipped({"x.npy": npy("'<f4'", "(2, 3)", X.tobytes()), "y.npy": Y_FILE}, zipfile.ZIP_BZIP2),
              "x must be stored or deflated, got compression 12"),
    "unknown version": (flagged(GOOD, 6, 99), BROKEN + r"zip file version 9\.9"),
    "stream broken": (PACKED[:58] + bytes(5) + PACKED[63:], "x must be as numpy.savez writes it, got one that is"),
    "sum": (flagged(GOOD, 16, 7, 4), "x must be as numpy.savez writes it, got .*: Bad CRC-32 for file 'x.npy'"),
    "larger than said": (flagged(PACKED, 24, 140, 4), "x must be as numpy.savez writes it, got .*: Bad CRC"),
    "smaller than said": (flagged(GOOD, 24, 500, 4), r"x must hold 24 bytes for shape \(2, 3\), got 372"),
    "far": (flagged(GOOD, 42, 2**31, 4), "x must be as numpy.savez writes it"),
    "bomb": (zipped({"x.npy": bytes(2**20), "y.npy": b""}, zipfile.ZIP_DEFLATED),
             r"the archive must unpack to at most 200 times its [0-9]+ bytes, got 1\.0 MiB"),
    "false bomb": (flagged(GOOD, 24, 2**31, 4), "the archive must unpack to at most 200 times"),
    "huge": (flagged(zipped({"x.npy": b"", "y.npy": b"", "z": b"", "w": b""}), 24, 2**32 - 2, 4), "at most 200 times"),
}  # fmt: skip


@pytest.mark.parametrize("case", ZIPS)
def test_a_broken_archive_is_refused(case: str, tmp_path: Path) -> None:
    refused(tmp_path, *ZIPS[case])


def test_what_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (module.MOST_UNPACKED, module.MOST_RATIO) == (4 * 1024**3, 200)
    monkeypatch.setattr(module, "MOST_UNPACKED", 200)
    refused(tmp_path, GOOD, "the archive must unpack to at most 200 bytes, got 296 bytes: save a part")


def test_what_lies_beside_an_array_does_not_make_it_smaller(tmp_path: Path) -> None:
    n = 30_000
    arrays = {"x.npy": npy("'<f4'", f"({n}, 3)", bytes(12 * n)), "y.npy": npy("'<i8'", f"({n},)", bytes(8 * n))}
    stream = io.BytesIO(zipped(arrays, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(stream, "a") as file:
        file.writestr("junk", os.urandom(100_000))
    refused(tmp_path, stream.getvalue(), "[xy] must unpack to at most 200 times its")


def test_a_long_directory_is_not_read(tmp_path: Path) -> None:
    crowd = zipped({f"{i:0>60000}": b"" for i in range(20)})
    refused(tmp_path, crowd, BROKEN + r"a list of files of 1\.1 MiB")


def test_an_array_twice_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO(GOOD)
    with zipfile.ZipFile(stream, "a") as file, pytest.warns(UserWarning, match="Duplicate name"):
        file.writestr("y.npy", Y_FILE)
    refused(tmp_path, stream.getvalue(), "the archive must hold one array y, got 2")


BAD = "^x must be as numpy.savez writes it, got one that is broken: "
HEADERS = {
    "none": (b"", BAD + "EOF: reading magic string"),
    "magic": (b"\x93NUMPI\x01\x00", BAD + "the magic string is not correct"),
    "version": (b"\x93NUMPY\x03\x00" + bytes(9), BAD + r"version \(3, 0\)"),
    "length": (b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1), BAD + "EOF: reading array header"),
    "long": (npy("'<f4'", "(2, 3)" + " " * 5000), BAD + "Header info length"),
    "code": (npy("__import__('os').abort()", "(2, 3)"), BAD + "malformed node"),
    "deep": (npy("(" * 900 + ")" * 900, "(2, 3)"), BAD),
    "minus": (npy("-" * 3900 + "1", "(2, 3)"), BAD),
    "python 2": (npy("'<f4'", "(2L, 3L)", bytes(24)), BAD + "Reading `.npy` or"),
    "list": (npy("[[]]", "(2, 3)"), BAD),
    "no dtype": (npy("'zebra'", "(2, 3)"), BAD),
    "old dtype": (npy("'a5'", "(2, 3)"), BAD),
    "great dtype": (npy("('<f4', (9999999, 999999))", "(2, 3)"), BAD),
    "shape of text": (npy("'<f4'", "'a'"), BAD + "shape is not valid"),
    "order": (npy("'<f4'", "(2, 3)", order="2"), BAD + "fortran_order is not a valid bool"),
    "negative": (npy("'<f4'", "(-2, 3)"), "y must hold as many examples as x, got 2 for -2"),
    "great": (npy("'<f4'", f"({10**30}, 3)"), "y must hold as many examples as x, got 2 for 10+"),
    "of no size": (npy("'<U0'", "(2, 3)"), "x must hold real numbers, got dtype '<U0'"),
    "objects": (npy("'|O'", "(2, 3)", b"cos\nabort\n(tR."), "x must hold plain numbers, got Python objects"),
    "short": (npy("'<f4'", "(2, 3)", bytes(23)), r"x must hold 24 bytes for shape \(2, 3\), got 23: save it again"),
    "long data": (npy("'<f4'", "(2, 3)", bytes(25)), r"x must hold 24 bytes for shape \(2, 3\), got 25"),
}  # fmt: skip


@pytest.mark.parametrize("case", HEADERS)
def test_an_array_with_a_broken_header_is_refused(case: str, tmp_path: Path) -> None:
    content, match = HEADERS[case]
    refused(tmp_path, zipped({"x.npy": content, "y.npy": Y_FILE}), match)


def test_text_of_no_characters_is_refused(tmp_path: Path) -> None:
    labels = npy("'<U1'", "(2,)", b"\xff" * 8)
    path = tmp_path / "d.npz"
    path.write_bytes(zipped({"x.npy": npy("'<f4'", "(2, 3)", X.tobytes()), "y.npy": labels}))
    with pytest.raises(InvalidInput, match="y must hold text, got a character of number 4294967295"):
        read_labelled(path, LIKE, ("a", "b"))


def test_a_column_major_array_is_read(tmp_path: Path) -> None:
    content = npy("'<f4'", "(2, 3)", X.tobytes("F"), order="True")
    path = tmp_path / "d.npz"
    path.write_bytes(zipped({"x.npy": content, "y.npy": Y_FILE}))
    assert read_labelled(path, LIKE, ())[0].tolist() == X.tolist()

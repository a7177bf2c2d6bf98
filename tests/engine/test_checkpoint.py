from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_model

from engine import InvalidInput
from engine.sources import checkpoint, header
from engine.sources.checkpoint import read_checkpoint
from tests.engine.crafted import joined, net, parts, state, with_entry
from tests.states import contents
from tests.tiny import SIX, tiny

F32 = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


def read(folder: Path, content: bytes, name: str = "model.safetensors") -> dict[str, torch.Tensor]:
    path = folder / name
    path.write_bytes(content)
    return read_checkpoint(path, net())


def refused(folder: Path, content: bytes, match: str, name: str = "model.safetensors") -> None:
    with pytest.raises(InvalidInput, match=match) as caught:
        read(folder, content, name)
    text = str(caught.value)
    assert len(text) <= 400, text
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize("name", SIX)
def test_what_was_saved_is_read(name: str, tmp_path: Path) -> None:
    model = tiny(name).model()
    path = tmp_path / "MODEL.SafeTensors"
    save_model(model, str(path), metadata={"format": "pt", "seed": "1"})
    fresh = tiny(name).model()
    with torch.no_grad():
        for parameter in fresh.parameters():
            parameter.zero_()
    found = read_checkpoint(path, fresh)
    assert list(found) == list(model.state_dict())
    assert not any(p.any() for p in fresh.parameters())
    fresh.load_state_dict(found)
    assert contents(fresh) == contents(model)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle", ".PT"])
def test_a_pickle_is_refused_with_the_way_to_convert_it(suffix: str, tmp_path: Path) -> None:
    convert = r"safetensors\.torch\.save_file\(torch\.load\(FILE, weights_only=True\), \"model\.safetensors\"\)$"
    refused(
        tmp_path,
        save(state()),
        rf"must be a \.safetensors file, got 'model\{suffix}', .* with {convert}",
        "model" + suffix,
    )


@pytest.mark.parametrize("name", ["model", "model.npz", "model.safetensors.zip", "x" * 200 + ".h5"])
def test_another_suffix_is_refused(name: str, tmp_path: Path) -> None:
    refused(tmp_path, save(state()), r"must be a \.safetensors file, got '.*: save the weights with", name)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")
    (tmp_path / "folder.safetensors").mkdir()
    for name in ("none", "pipe", "folder", "nul\0"):
        with pytest.raises(InvalidInput, match="the file must exist, got"):
            read_checkpoint(tmp_path / f"{name}.safetensors", net())


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.safetensors").write_bytes(save(state()))

    def no(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", no)  # root may read everything
    with pytest.raises(InvalidInput, match=r"must be readable, got 'm\.safetensors': Permission denied"):
        read_checkpoint(tmp_path / "m.safetensors", net())


def test_a_file_that_is_too_large_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checkpoint.MOST_BYTES == 2 * 1024**3
    monkeypatch.setattr(checkpoint, "MOST_BYTES", 100)
    refused(tmp_path, bytes(101), "the file must be at most 100 bytes, got 101 bytes: choose a smaller one")


@pytest.mark.parametrize(
    ("constant", "content", "match"),
    [
        ("MOST_HEADER", save(state()), "the header must be at most 10 bytes, got [0-9]+ bytes"),
        ("MOST_TENSORS", joined({str(i): F32 for i in range(12)}), "must hold at most 10 tensors, got 12"),
        ("MOST_TENSORS", joined("{" + '"a":' + "[]," * 200 + "}"), "must hold at most 10 tensors, got more"),
    ],
)
def test_a_header_over_its_limits_is_refused(
    constant: str, content: bytes, match: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(header, constant, 10)
    refused(tmp_path, content, match)


HEADERS = {
    "empty": (b"", "begin with the length of its header in 8 bytes, got an empty file"),
    "short": (b"1234567", "begin with the length of its header in 8 bytes, got 7 bytes"),
    "longer than the file": (b"\x09" + bytes(15), "the header must end within the file of 16 bytes, got a header"),
    "longer than anything": (b"PK\x03\x04" + b"\xff" * 40, "must end within the file .*: is it really a .safetensors"),
    "not UTF-8": (joined(b'{"\xff": 1}'), "must be text in UTF-8, got byte 0xff at 2"),
    "UTF-16": (joined("{}".encode("utf-16")), "must be text in UTF-8, got byte 0xff at 0"),
    "not JSON": (joined("{'a': 1}"), "the header must be JSON, got text that is not: Expecting property name"),
    "nothing": (joined(""), "the header must be JSON, got text that is not: Expecting value"),
    "deep": (joined("[" * 50_000), "the header must be JSON"),
    "digits": (joined('{"a": ' + "1" * 5000 + "}"), "the header must be JSON"),
    "a list": (joined([1, 2]), r"the header must be a JSON object, got \[1, 2\]"),
    "a name twice": (joined('{"a": 1, "a": 2}'), "a name must stand once in the header, got 'a' twice"),
    "a word twice": (joined('{"a": {"dtype": 1, "dtype": 2}}'), "must stand once in the header, got 'dtype' twice"),
    "metadata of numbers": (joined({"__metadata__": {"a": 1}}), "__metadata__ must be a map of strings to strings"),
    "metadata of text": (joined({"__metadata__": "a"}), "__metadata__ must be a map of strings"),
    "no data": (joined(parts(save(state()))[0]), "must end within the file, at byte [0-9]+, got byte"),
    "cut short": (save(state())[:-1], "the data of '.*' must end within the file, .*: upload the whole file"),
    "too long": (save(state()) + b"1", "the file must end with its last tensor, at byte [0-9]+, got [0-9]+ bytes"),
    "hostile name": (joined({"<script>\n\u202e" + "\u2028{0}" * 9999: 1}), r"^'<script>\\n\\u202e.*\.\.\. must"),
}  # fmt: skip


@pytest.mark.parametrize("case", HEADERS)
def test_a_file_with_a_broken_header_is_refused(case: str, tmp_path: Path) -> None:
    refused(tmp_path, *HEADERS[case])


OF_SHAPE = r"the shape of 'out\.bias' must be a list of at most 16 sizes, whole and below 2 to the 63rd, got "
OFFSETS = r"the data_offsets of 'out\.bias' must be two rising whole numbers below 2 to the 63rd, got "
ENTRIES = {
    "no dtype": ({"dtype": None}, r"'out\.bias' must have a dtype, a shape, data_offsets and no more, got"),
    "a word more": ({"strides": [1]}, r"'out\.bias' must have a dtype, a shape, data_offsets and no more, got"),
    "unknown dtype": ({"dtype": "F128"}, r"the dtype of 'out\.bias' must be one of F64, F32, .*, got 'F128'"),
    "dtype of a list": ({"dtype": ["F32"]}, r"the dtype of 'out\.bias' must be one of .*, got \['F32'\]"),
    "shape of a number": ({"shape": 5}, OF_SHAPE + "5:"),
    "shape of a bool": ({"shape": [True]}, OF_SHAPE + r"\[True\]:"),
    "shape of a float": ({"shape": [5.0]}, OF_SHAPE + r"\[5\.0\]:"),
    "negative shape": ({"shape": [-5]}, OF_SHAPE + r"\[-5\]:"),
    "huge shape": ({"shape": [2**63]}, OF_SHAPE + r"\[9223372036854775808\]:"),
    "rank over 16": ({"shape": [1] * 17}, OF_SHAPE),
    "one offset": ({"data_offsets": [0]}, OFFSETS + r"\[0\]"),
    "offset of a bool": ({"data_offsets": [False, 20]}, OFFSETS + r"\[False, 20\]"),
    "negative offset": ({"data_offsets": [-20, 0]}, OFFSETS),
    "huge offset": ({"data_offsets": [0, 2**64]}, OFFSETS),
    "falling offsets": ({"data_offsets": [20, 0]}, OFFSETS),
    "size": ({"shape": [6]}, r"the data of 'out\.bias' must be 24 bytes for F32 of shape \(6,\), got 20"),
    "great size": ({"shape": [2**62] * 16}, r"the data of 'out\.bias' must be [0-9]{57}\.\.\. bytes for F32 of"),
    "of 16 TiB": ({"shape": [2**42], "data_offsets": [0, 2**44]}, r"the data of '.*' must"),
}  # fmt: skip


@pytest.mark.parametrize("case", ENTRIES)
def test_an_entry_that_is_none_is_refused(case: str, tmp_path: Path) -> None:
    changed, match = ENTRIES[case]
    refused(tmp_path, with_entry("out.bias", **changed), match)


@pytest.mark.parametrize(
    ("offsets", "match"),
    [
        ([[0, 4], [4, 8], [4, 8]], "'c' must begin where the data before end, at byte [0-9]+, got .* an overlap"),
        ([[0, 4], [2, 6], [6, 10]], "'b' must begin where the data before end, at byte [0-9]+, got .* an overlap"),
        ([[0, 4], [8, 12], [12, 16]], "'b' must begin where the data before end, at byte [0-9]+, got .* a gap"),
        ([[4, 8], [8, 12], [12, 16]], "'a' must begin where the data before end, at byte [0-9]+, got .* a gap"),
        ([[0, 4], [4, 8], [8, 12]], "'c' must end within the file, at byte [0-9]+, got byte [0-9]+: upload the whole"),
        ([[8, 12], [4, 8], [0, 4]], "'a' must end within the file"),
    ],
)  # fmt: skip
def test_data_that_overlap_leave_gaps_or_leave_the_file_are_refused(
    offsets: list[list[int]], match: str, tmp_path: Path
) -> None:
    head = {name: dict(F32, data_offsets=at) for name, at in zip("abc", offsets, strict=True)}
    refused(tmp_path, joined(head, bytes(11)), match)


def test_the_order_of_the_header_need_not_be_the_order_of_the_data(tmp_path: Path) -> None:
    head, data = parts(save(state()))
    turned = joined(json.dumps(dict(reversed(head.items()))) + " " * 9, data)
    assert all(torch.equal(value, state()[name]) for name, value in read(tmp_path, turned).items())

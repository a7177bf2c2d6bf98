"""Uploaded files: kept by checksum, found again by name, refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import save

from dashboard import models, uploads
from engine import InvalidInput
from sample_models import reference
from tests import digits

DIGITS, CANCER = reference("digits_mlp"), reference("cancer_mlp")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where uploads go."""
    monkeypatch.setenv(uploads.FOLDER, str(tmp_path / "uploads"))
    return tmp_path / "uploads"


def weights() -> bytes:
    return save(digits.weights())


def table(n: int = 3) -> bytes:
    return digits.table(n).encode()


def test_weights_and_data_are_found_again_by_the_models_name() -> None:
    first = uploads.take_in(DIGITS, "mine.safetensors", weights(), ("", ""))
    both = uploads.take_in(DIGITS, "mine.csv", table(), first)
    assert both[0] == first[0]
    name = uploads.named("digits_mlp", *both)
    assert uploads.parts(name) == ("digits_mlp", *both)
    workload = models.load(name)
    assert workload.splits["test"] == 3
    assert "3 of them" not in workload.about["data"]  # test digits are in no training data
    assert workload.about["trained"].startswith("Elsewhere: ")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("model.pt", b"PK", "can run code when it is opened: convert it with safetensors"),
        ("model.safetensors", b"", "the file must begin with the length of its header"),
        ("data.csv", b"a,b\n1,2\n", "must "),
        ("../../passwd", b"root", "the file must be a .safetensors file"),
    ],
)
def test_what_is_refused_is_not_kept(folder: Path, name: str, content: bytes, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        uploads.take_in(DIGITS, name, content, ("", ""))
    assert list(folder.iterdir()) == []


def test_a_refused_file_is_called_as_it_was_sent() -> None:
    with pytest.raises(InvalidInput, match=r"must be a \.safetensors file, got 'my model\.pt', which can run code"):
        uploads.take_in(DIGITS, "my model.pt", b"PK", ("", ""))


def test_a_file_that_another_model_uses_outlives_a_refusal(folder: Path) -> None:
    uploads.take_in(DIGITS, "mine.safetensors", weights(), ("", ""))
    (kept,) = folder.iterdir()
    with pytest.raises(InvalidInput):
        uploads.take_in(CANCER, "mine.safetensors", weights(), ("", ""))
    assert kept.is_file()


@pytest.mark.parametrize("name", ["digits_mlp~w" + "0" * 16, "digits_mlp~d" + "a" * 16])
def test_a_file_that_is_gone_is_one_sentence(name: str) -> None:
    with pytest.raises(InvalidInput, match="the uploaded file must be on this server, got"):
        models.reference(name)


@pytest.mark.parametrize("name", ["os:system", "digits_mlp~w../../x", "os:system~w" + "0" * 16, "~w" + "0" * 16])
def test_a_name_out_of_an_address_leads_nowhere_else(name: str) -> None:
    with pytest.raises(InvalidInput, match="model must be one of "):
        models.reference(name)


def test_the_oldest_make_room(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uploads.keep("a.csv", b"x" * 60)
    monkeypatch.setattr(uploads, "MOST_BYTES", 100)
    newest = uploads.keep("b.csv", b"y" * 60)
    assert list(folder.iterdir()) == [newest]

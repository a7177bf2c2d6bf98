# ruff: noqa: F401, F811  fixtures come from hub_models
from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from engine import InvalidInput
from engine.sources import tables
from tests.engine.hub_models import (
    Made,
    loaded_from,
    made,
    no_network,
    pictures,
    rows,
    table,
    threads_end,
    word_tokenizer,
)

Case = tuple[str | Path, Path]


class Ground:
    """Models and data to spoil."""

    def __init__(self, made: Made, folder: Path) -> None:
        self.made, self.folder = made, folder

    def config(self, model: str, **changes: object) -> Case:
        """A copy with another configuration; what is None goes."""
        path = self.copy(model) / "config.json"
        settings = json.loads(path.read_text("utf-8")) | changes
        path.write_text(json.dumps({k: v for k, v in settings.items() if v is not None}), "utf-8")
        return path.parent, self.made(model)[1]

    def copy(self, model: str) -> Path:
        return Path(shutil.copytree(self.made(model)[0], self.folder / "copy"))

    def weights(self, change: Callable[[dict[str, torch.Tensor]], object]) -> Case:
        path = self.copy("bert") / "model.safetensors"
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path, {"format": "pt"})
        return path.parent, self.made("bert")[1]

    def without(self, *names: str, instead: str = "") -> Case:
        folder = self.copy("bert")
        for name in names:
            (folder / name).unlink()
        if instead:
            (folder / instead).write_bytes(b"?")
        return folder, self.made("bert")[1]

    def lines(self, *lines: dict[str, str], model: str = "bert") -> Case:
        return self.made(model)[0], table(self.folder / "data", ".jsonl", list(lines))

    def written(self, name: str, text: bytes, model: str = "bert") -> Case:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
        return self.made(model)[0], path

    def picture(self, name: str, text: bytes) -> Case:
        pictures(self.folder / "data")
        self.written(f"data/red/{name}", text)
        return self.made("vit")[0], self.folder / "data"


def any_shape(at: Ground) -> Case:
    folder, data = at.copy("vit"), pictures(at.folder / "data")
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"do_resize": False}), "utf-8")
    Image.new("RGB", (16, 16)).save(data / "red" / "other.png")
    return folder, data


def no_processor(at: Ground) -> Case:
    folder = at.copy("vit")
    (folder / "preprocessor_config.json").unlink()
    return folder, at.made("vit")[1]


def foreign_tokenizer(at: Ground) -> Case:
    folder = at.copy("gpt2")
    tokenizer = word_tokenizer()
    tokenizer.add_tokens(["zzz"])  # type: ignore[attr-defined]
    tokenizer.save_pretrained(folder)  # type: ignore[attr-defined]
    return folder, table(at.folder / "data", ".csv", [{"text": f"zzz {i}"} for i in range(9)])


def several_tables(at: Ground) -> Case:
    table(at.folder / "data", ".csv", stem="a")
    return at.made("bert")[0], table(at.folder / "data", ".csv", stem="b").parent


def all_in_test(at: Ground) -> Case:
    table(at.folder / "data", ".csv", stem="train")
    return at.made("bert")[0], table(at.folder / "data", ".csv", stem="test").parent


GOOD = rows()
ERRORS: dict[str, tuple[Callable[[Ground], Case], str]] = {
    "no config": (lambda at: at.without("config.json"), "must hold the config.json of a saved model, got none"),
    "no folder": (lambda at: (at.folder / "none", at.folder), "the model's folder must exist, got 'none': "),
    "a pickle": (
        lambda at: at.without("model.safetensors", instead="pytorch_model.bin"),
        r"as .safetensors, got pytorch_model.bin, which can run code when opened: .* save it with save_pretrained",
    ),
    "no weights": (lambda at: at.without("model.safetensors"), "must hold its weights as .safetensors, got none: "),
    "damaged weights": (
        lambda at: at.without("model.safetensors", instead="model.safetensors"),
        "the weights of 'copy' must work with transformers",
    ),
    "a weight less": (
        lambda at: at.weights(lambda tensors: tensors.pop("classifier.weight")),
        "must hold every weight of its architecture, got none for classifier.weight: ",
    ),
    "nan": (
        lambda at: at.weights(lambda tensors: tensors["classifier.weight"].fill_(torch.nan)),
        "must give finite scores, got nan or infinity: ",
    ),
    "no tokenizer": (
        lambda at: at.without("tokenizer.json", "tokenizer_config.json"),
        "must hold the model's tokenizer, got one without words: ",
    ),
    "no image processor": (no_processor, "the image processor of 'copy' must work with transformers"),
    "another architecture": (
        lambda at: at.config("bert", architectures=["BertForMaskedLM"]),
        "must be one of image classifier, text classifier, causal language model, got BertForMaskedLM: ",
    ),
    "no architecture": (lambda at: at.config("bert", architectures=None), "got a config.json that names no arch"),
    "code of its own": (
        lambda at: at.config("bert", model_type="evil", auto_map={"AutoConfig": "evil.Config"}),
        "without code of its own, got ValueError: The repository copy contains custom",
    ),
    "regression": (
        lambda at: at.config("bert", problem_type="regression"),
        "must say one of two or more classes, got 2 and the problem 'regression': ",
    ),
    "quantized": (
        lambda at: at.config("bert", quantization_config={"quant_method": "gptq", "bits": 4}),
        "must hold plain numbers, got quantized weights: ",
    ),
    "tokens of another model": (foreign_tokenizer, r"must give tokens below \d+, got \d+: "),
    "no data": (lambda at: (at.made("bert")[0], at.folder / "x"), "the data must exist, got 'x': "),
    "another kind of file": (lambda at: at.written("a.xlsx", b"x"), r"must be a table \(.csv, .*got 'a.xlsx': "),
    "no rows": (lambda at: at.written("a.csv", b"text,label\n"), "'a.csv' must hold at least one row, got none"),
    "a broken table": (lambda at: at.written("a.parquet", b"x"), "'a.parquet' must be a table that can be read, got: "),
    "a broken line": (lambda at: at.written("a.jsonl", b"{\n"), "'a.jsonl' must be a table that can be read, got: "),
    "no object": (lambda at: at.written("a.jsonl", b"[1]\n"), "got: a line that is no JSON object; "),
    "no text": (lambda at: at.lines({"n": "1", "label": "good"}), "must have a column of texts called .*, got n, lab"),
    "no label": (lambda at: at.lines({"text": "so"}), "must have a column of labels called label or .*, got text: "),
    "a row without text": (lambda at: at.lines({"text": " ", "label": "bad"}), "row 1 of .* text .*, got ' ': "),
    "a row without label": (
        lambda at: at.lines(GOOD[0], {"text": "so"}),
        "row 2 of 'sentences.jsonl' must have a label, got none: ",
    ),
    "an unknown label": (
        lambda at: at.lines(*GOOD[:9], {"text": "so", "label": "odd"}),
        "must be one of the model's classes bad, good or their numbers, got 'odd': ",
    ),
    "too few": (lambda at: at.lines(GOOD[0], GOOD[0], GOOD[1]), "at least 3 different examples for train, got 2 in "),
    "the same twice": (all_in_test, "validation must hold an example|train must hold an example that no other"),
    "several tables": (several_tables, "must hold one table .* called train, validation and test, got a.csv, b.csv"),
    "texts of a token": (
        lambda at: at.lines(*({"text": word} for word in ("the", "was", "so")), model="gpt2"),
        "must hold a text of two or more tokens, got none: ",
    ),
    "a file for pictures": (lambda at: at.written("a.png", b"x", "vit"), "a folder for each class, got the file 'a.p"),
    "no pictures": (lambda at: (at.made("vit")[0], at.folder), "must hold a folder of pictures .* got none: "),
    "a broken picture": (lambda at: at.picture("a.png", b"x"), "the picture 'a.png' must be a PNG, JPEG, BMP or WebP"),
    "another kind of picture": (lambda at: at.picture("a.png", b"GIF89a"), "must be a PNG, .* cannot be read: "),
    "pictures of any shape": (any_shape, r"in one shape, got \(3, 20, 24\) and \(3, 16, 16\) for 'other.png': "),
}


@pytest.mark.parametrize("case", ERRORS)
def test_what_is_wrong_is_one_sentence(
    case: str, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    spoil, said = ERRORS[case]
    name, data = spoil(Ground(made, tmp_path))
    with pytest.raises(InvalidInput, match=said) as caught:
        loaded_from(name, data)
    assert "\n" not in str(caught.value)
    assert " must " in str(caught.value)


def test_a_name_that_cannot_be_reached(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InvalidInput, match="a name on the hub that can be reached, got 'nobody/no-such-model': "):
        loaded_from("nobody/no-such-model", made("bert")[1])


def test_transformers_is_an_extra(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    model, data = made("bert")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InvalidInput, match=r"transformers must be installed .* pip install 'secateur\[hub\]'"):
        loaded_from(model, data)


@pytest.mark.parametrize(("limit", "most"), [("MOST_PIXELS", 100), ("MOST_PICTURE", 10)])
def test_pictures_that_are_too_large(
    limit: str, most: int, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(tables, limit, most)
    with pytest.raises(InvalidInput, match="must be at most 1"):
        loaded_from(*made("vit"))


def test_pillows_own_guard_is_the_same_sentence(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    for most in (300, 100):  # of 480 pixels: it warns, and refuses
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
        with pytest.raises(InvalidInput, match="must be at most 50000000 pixels, got more: "):
            loaded_from(*made("vit"))


def test_a_table_that_is_too_large(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MOST_TABLE", 10)
    with pytest.raises(InvalidInput, match="the file must be at most 10 bytes, got "):
        loaded_from(*made("bert"))

"""A model and data of one's own, in the forms of Hugging Face: `engine.sources.hub:workload?name=...&data=...`."""

from __future__ import annotations

import inspect
import re
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.errors import InvalidInput, shown, shown_text
from engine.examples import Inputs, Split, run, take
from engine.sources.hub_model import (
    PICTURES,
    TEXTS,
    WRITING,
    Logits,
    Saved,
    library_of,
    loaded,
    network_of,
    quiet,
    saved,
)
from engine.sources.parting import Example
from engine.sources.tables import MOST_EXAMPLES, one_picture, read_picture, read_pictures, read_texts
from engine.task import language_modelling
from engine.workload import Workload

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
MOST_TOKENS = 256  # of a text that is classified
MOST_WRITTEN = 64  # of a text that is written on: each token costs as many scores as there are words
MOST_BYTES = 2 * 1024**3  # of pictures, as numbers


def workload(name: str, data: str) -> Workload:
    """A saved image classifier, text classifier or causal language model with somebody's own examples.

    name    a folder with config.json, .safetensors and a tokenizer or image processor, or a name on the hub, which is
            fetched first; it is made float32, in eval mode
    data    a folder or a file as `read_pictures` or `read_texts` takes it. Texts are cut to MOST_TOKENS or
            MOST_WRITTEN tokens and padded on the right; a text of fewer than two tokens cannot be written on and is
            left out

    Nothing but data is read: no pickle, and no code that comes with a model. Raises InvalidInput where transformers
    is not installed, or where the model or the data are anything else.
    """
    library = library_of()
    with quiet(library):
        found = saved(name, library)
        network = network_of(found)
        splits, facts = _FITTED[found.kind](found, network, Path(data).expanduser())
        _check_runs(found, network, splits["train"][0])
    word = re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(name).expanduser().resolve().name).strip("-.") or "model"
    task = language_modelling("token") if found.kind == WRITING else "classification"
    facts["about"] = _about(found, word, Path(data))
    return Workload(word, network, task, **splits, **facts)  # type: ignore[arg-type]


def _of_pictures(found: Saved, network: Logits, data: Path) -> tuple[dict[str, Split], dict[str, object]]:
    mode = "L" if getattr(found.config, "num_channels", 3) == 1 else "RGB"
    # torchvision's resizing differs from pillow's: the numbers must not hang on what else is installed
    processor = found.load("image processor", "AutoImageProcessor", backend="pil")

    def prepared(path: Path) -> Tensor:
        made = processor(images=read_picture(path, mode), return_tensors="pt")["pixel_values"]
        return torch.as_tensor(made)[0].float()  # channels, height, width

    shape = loaded("image processor", found.folder, partial(prepared, one_picture(data))).shape
    parts = read_pictures(data, max(3, min(MOST_EXAMPLES, MOST_BYTES // (4 * shape.numel()))))
    splits: dict[str, Split] = {}
    for part, examples in parts.items():
        inputs = torch.empty(len(examples), *shape)
        for place, example in enumerate(examples):
            picture = prepared(Path(example.value))
            if picture.shape != shape:
                key = "pictures must come out of the image processor in one shape, got {one} and {got} for {name}: {do}"
                got, name = tuple(picture.shape), shown(Path(example.value).name)
                raise InvalidInput(key, one=tuple(shape), got=got, name=name, do="crop them to one shape")
            inputs[place] = picture
        splits[part] = {"pixel_values": inputs}, _codes(examples, found.classes)
    return splits, {"classes": found.classes}


def _of_texts(found: Saved, network: Logits, data: Path) -> tuple[dict[str, Split], dict[str, object]]:
    tokenizer = _tokenizer(found)
    rows = {
        part: [(e, _encoded(found, tokenizer, e, MOST_TOKENS)) for e in es] for part, es in read_texts(data).items()
    }
    pad = _pad(tokenizer)
    settings: Any = network.model.config
    if getattr(settings, "pad_token_id", None) is None:  # a causal classifier looks for the last token before it
        settings.pad_token_id = pad
    splits: dict[str, Split] = {}
    for part, pairs in rows.items():
        inputs = _padded([row for _, row in pairs], pad, network)
        splits[part] = inputs, _codes([example for example, _ in pairs], found.classes)
    return splits, {"classes": found.classes}


def _of_writing(found: Saved, network: Logits, data: Path) -> tuple[dict[str, Split], dict[str, object]]:
    tokenizer = _tokenizer(found)
    splits: dict[str, Split] = {}
    for part, examples in read_texts(data, labelled=False).items():
        rows = [_encoded(found, tokenizer, example, MOST_WRITTEN + 1) for example in examples]
        rows = [row for row in rows if len(row["input_ids"]) > 1]
        if not rows:
            key = "{part} must hold a text of two or more tokens, got none: add longer texts"
            raise InvalidInput(key, part=part)
        inputs = _padded([{name: codes[:-1] for name, codes in row.items()} for row in rows], _pad(tokenizer), network)
        targets = _padded([{"input_ids": row["input_ids"][1:]} for row in rows], -1, network)
        splits[part] = inputs, targets["input_ids"]

    def decode(codes: Tensor) -> str:
        known = [code for code in codes.tolist() if code >= 0]
        return str(tokenizer.decode(known, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    return splits, {"decode": decode}


_FITTED = {PICTURES: _of_pictures, TEXTS: _of_texts, WRITING: _of_writing}


def _tokenizer(found: Saved) -> Any:
    tokenizer = found.load("tokenizer", "AutoTokenizer")
    if len(tokenizer) <= len(set(tokenizer.all_special_ids)):  # where there is no file, transformers makes an empty one
        key = "{name} must hold the model's tokenizer, got one without words: save it there with save_pretrained"
        raise InvalidInput(key, name=shown(found.folder.name))
    return tokenizer


def _encoded(found: Saved, tokenizer: Any, example: Example, most: int) -> dict[str, list[int]]:
    """The tokens of one text, by the names of the model's inputs, at most as many as the model has places for."""
    settings = found.config.get_text_config()
    places = getattr(settings, "max_position_embeddings", None) or most
    most = min(most, places, tokenizer.model_max_length)
    encode = partial(tokenizer, example.value, truncation=True, max_length=most, return_attention_mask=True)
    made = loaded("tokenizer", found.folder, encode)
    row = {name: list(made[name]) for name in INPUTS if name in made}
    codes, words = row["input_ids"], getattr(settings, "vocab_size", 2**31)
    if not codes or max(codes) >= words:
        key = (
            "the tokenizer of {name} must give tokens below {words}, got {got}: save the one that the model learnt with"
        )
        got = max(codes, default="none")
        raise InvalidInput(key, name=shown(found.folder.name), words=words, got=got)
    return row


def _pad(tokenizer: Any) -> int:
    known = (tokenizer.pad_token_id, tokenizer.eos_token_id)
    return next((code for code in known if code is not None), 0)  # GPT-2 has none of its own, and the mask hides it


def _padded(rows: list[dict[str, list[int]]], pad: int, network: Logits) -> dict[str, Tensor]:
    """Rows of one length, filled on the right: tensors (n, length) for each of the inputs that the model takes."""
    taken = inspect.signature(network.model.forward).parameters
    length = max(len(row["input_ids"]) for row in rows)
    filled = {
        name: torch.full((len(rows), length), pad if name == "input_ids" else 0) for name in rows[0] if name in taken
    }
    for name, tensor in filled.items():
        for place, row in enumerate(rows):
            tensor[place, : len(row[name])] = torch.tensor(row[name])
    return filled


def _codes(examples: list[Example], classes: tuple[str, ...]) -> Tensor:
    """The labels as places among the model's classes: by name, else by whole number."""
    places = {str(place): place for place in range(len(classes))} | {name: i for i, name in enumerate(classes)}
    for example in examples:
        if example.label not in places:
            key = "a label must be one of the model's classes {known} or their numbers, got {got}: rename it"
            raise InvalidInput(key, known=shown_text(", ".join(classes)), got=shown(example.label))
    return torch.tensor([places[example.label] for example in examples])


@torch.no_grad()
def _check_runs(found: Saved, network: Logits, inputs: Inputs) -> None:
    few = take(inputs, slice(2))
    scores = loaded("network", found.folder, lambda: run(network, few))
    if not torch.isfinite(scores).all():
        key = "{name} must give finite scores, got nan or infinity: save a model whose training went well"
        raise InvalidInput(key, name=shown(found.folder.name))
    if found.kind != WRITING and scores.shape[-1] != len(found.classes):
        key = "{name} must give a score for each of its {n} classes, got {got}: save the model with its own config.json"
        raise InvalidInput(key, name=shown(found.folder.name), n=len(found.classes), got=scores.shape[-1])


def _about(found: Saved, word: str, data: Path) -> dict[str, str]:
    card = found.folder / "README.md"
    lines = card.read_text("utf-8", "replace")[:100_000].splitlines() if card.is_file() else []
    facts = lines[1 : lines.index("---", 1)] if lines[:1] == ["---"] and "---" in lines[1:] else []
    told = (re.fullmatch(r"license: *([\w. +-]{1,60})", line) for line in facts)
    return {
        "title": word,
        "what": f"{found.config.architectures[0]}: {'an' if found.kind == PICTURES else 'a'} {found.kind}.",
        "data": f"Your own: {data.name}.",
        "licence": next((match[1].strip() for match in told if match), "See the model's own page."),
        "trained": "Not by Secateur: see the model's own page.",
    }

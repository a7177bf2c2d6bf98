"""Small models with random weights in the form of the hub, and data for them: built here, nothing fetched."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from engine import Workload
from engine.sources.hub_model import quiet
from engine.workload import reference_to

Made = Callable[[str], tuple[Path, Path]]

COLOURS = {"blue": (40, 60, 220), "green": (40, 200, 60), "red": (220, 50, 40)}
EACH = 10
MOODS = {"bad": "awful dull boring", "good": "fine great lovely"}
NOUNS = ("film", "book", "song", "play", "meal")
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "was", "really", "so", "##ly", "."]
WORDS += [word for text in (*MOODS.values(), " ".join(NOUNS)) for word in text.split()]
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def named(names: object) -> dict[str, object]:
    """The settings of a configuration that name its classes."""
    pairs = list(enumerate(names))  # type: ignore[call-overload]
    return {"id2label": dict(pairs), "label2id": {name: i for i, name in pairs}}


def saved(folder: Path, auto: str, config: object, *others: object, **settings: object) -> Path:
    """The folder with a model of that configuration, its weights drawn with seed 0."""
    import transformers

    with torch.random.fork_rng(), quiet(transformers):
        torch.manual_seed(0)
        model = getattr(transformers, auto).from_config(config, **settings)
        for part in (model, *others):
            part.save_pretrained(folder)
    return folder


def pictures(folder: Path, seed: int = 0) -> Path:
    """EACH pictures of 20 x 24 of each colour, in a folder of that name, in four kinds of file."""
    random = np.random.default_rng(seed)
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for i in range(EACH):
            noisy = np.clip(np.array(colour) + random.normal(0, 25, (20, 24, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(folder / name / f"{i}{('.png', '.jpg', '.bmp', '.webp')[i % 4]}")
    return folder


def vit(folder: Path) -> Path:
    from transformers import ViTConfig, ViTImageProcessorPil

    config = ViTConfig(**SMALL, image_size=16, patch_size=8, **named(COLOURS))
    processor = ViTImageProcessorPil(size={"height": 16, "width": 16})
    return saved(folder, "AutoModelForImageClassification", config, processor)


def resnet(folder: Path) -> Path:
    from transformers import ConvNextImageProcessorPil, ResNetConfig

    sizes = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [2, 2], "layer_type": "basic"}
    processor = ConvNextImageProcessorPil(size={"shortest_edge": 16})  # resizes to a square below 384
    return saved(folder, "AutoModelForImageClassification", ResNetConfig(**sizes, **named(COLOURS)), processor)


def rows() -> list[dict[str, str]]:
    """Thirty different sentences, each with its mood."""
    return [
        {"text": f"the {noun} was {words}.", "label": mood}
        for mood, words in ((mood, word) for mood, words in MOODS.items() for word in words.split())
        for noun in NOUNS
    ]


def table(folder: Path, suffix: str, lines: list[dict[str, str]] | None = None, stem: str = "sentences") -> Path:
    """The rows as a file of that kind."""
    folder.mkdir(exist_ok=True)
    path, frame = folder / f"{stem}{suffix}", pd.DataFrame(rows() if lines is None else lines)
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    elif suffix == ".parquet":
        frame.to_parquet(path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in frame.to_dict("records")), "utf-8")
    return path


def word_tokenizer(**special: str) -> object:
    """A tokenizer of whole words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    bare = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    bare.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=bare, unk_token="[UNK]", **special)


def bert(folder: Path) -> Path:
    from transformers import BertConfig, BertTokenizer

    config = BertConfig(**SMALL, vocab_size=len(WORDS), max_position_embeddings=32, **named(MOODS))
    tokenizer = BertTokenizer(vocab={word: i for i, word in enumerate(WORDS)})
    return saved(folder, "AutoModelForSequenceClassification", config, tokenizer)


def gpt2(folder: Path, auto: str = "AutoModelForCausalLM", **more: object) -> Path:
    from transformers import GPT2Config

    ends = {"bos_token_id": 3, "eos_token_id": 3}
    config = GPT2Config(n_embd=16, n_layer=2, n_head=2, n_positions=32, vocab_size=len(WORDS), **ends, **more)
    return saved(folder, auto, config, word_tokenizer(eos_token="[SEP]"))


def gpt2_classifier(folder: Path) -> Path:
    return gpt2(folder, "AutoModelForSequenceClassification", **named(MOODS))


def llama(folder: Path, **more: object) -> Path:
    from transformers import LlamaConfig

    sizes = {**SMALL, "vocab_size": len(WORDS), "max_position_embeddings": 32}
    config = LlamaConfig(**sizes, bos_token_id=2, eos_token_id=3, **more)
    return saved(folder, "AutoModelForCausalLM", config, word_tokenizer(eos_token="[SEP]", pad_token="[PAD]"))


def llama_grouped(folder: Path) -> Path:
    """Two heads of queries share one of keys, as in large models."""
    return llama(folder, num_key_value_heads=1)


def opt(folder: Path) -> Path:
    from transformers import OPTConfig

    sizes = {"ffn_dim": 32, "word_embed_proj_dim": 16, "max_position_embeddings": 32, "vocab_size": len(WORDS)}
    config = OPTConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, pad_token_id=0, **sizes)
    return saved(folder, "AutoModelForCausalLM", config, word_tokenizer(eos_token="[SEP]", pad_token="[PAD]"))


def _csv(folder: Path) -> Path:
    return table(folder, ".csv")


# what a model is, and data for it: each takes a folder that it fills
MODELS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], Path]]] = {
    "vit": (vit, pictures),
    "resnet": (resnet, pictures),
    "bert": (bert, _csv),
    "gpt2": (gpt2, _csv),
    "gpt2_classifier": (gpt2_classifier, _csv),
    "llama": (llama, _csv),
    "llama_grouped": (llama_grouped, _csv),
    "opt": (opt, _csv),
}


@pytest.fixture(autouse=True, scope="module")
def threads_end() -> Iterator[None]:
    """transformers lets the threads that read weights end by themselves: wait for them."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=20)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A look-up of a host name or a connection fails the test, even where what it raises is caught."""
    tried: list[object] = []

    def fail(*given: object, **more: object) -> None:
        tried.append(given)
        raise OSError("a test must not use the network")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    monkeypatch.setattr(socket.socket, "connect", fail)
    yield
    assert not tried


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """For a model's name its folder and that of its data, each made once; nobody may change them."""
    root = tmp_path_factory.mktemp("hub")

    @cache
    def make(name: str) -> tuple[Path, Path]:
        model, data = MODELS[name]
        return model(root / name), data(root / f"{name}-data")

    return make


@pytest.fixture(scope="module")
def loaded(made: Made) -> Callable[[str], Workload]:
    """The workload of that name, built once."""
    return cache(lambda name: loaded_from(*made(name)))


def loaded_from(name: Path | str, data: Path) -> Workload:
    """As any process builds it."""
    return Workload.from_reference(reference_to("engine.sources.hub:workload", name=str(name), data=str(data)))

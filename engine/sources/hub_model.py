"""A saved model in the form of Hugging Face's transformers, read without running anything that came with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.errors import InvalidInput, first_line, shown, shown_text

FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "README.md"]  # what is fetched: no pickle, no code
OWN_MASKS = ("opt", "biogpt", "xglm")  # these read a mask's two axes themselves
PICTURES, TEXTS, WRITING = "image classifier", "text classifier", "causal language model"
KINDS = {
    PICTURES: ("AutoModelForImageClassification", "MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES"),
    TEXTS: ("AutoModelForSequenceClassification", "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES"),
    WRITING: ("AutoModelForCausalLM", "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES"),
}


class Logits(nn.Module):
    """One of transformers' models, its answer one tensor.

    model     takes its inputs by name and gives an object with `logits`
    causal    whether it writes
    """

    def __init__(self, model: nn.Module, causal: bool = False) -> None:
        super().__init__()
        self.model = model
        eager = getattr(getattr(model, "config", None), "_attn_implementation", "") == "eager"
        self.asks_mask = not (causal and eager)

    def forward(self, **inputs: Tensor) -> Tensor:
        """Scores (n, classes), or (n, length, vocabulary); inputs (n, ...) by the model's names for them."""
        mask = inputs.get("attention_mask")
        if mask is not None and mask.is_meta and self.asks_mask:
            # transformers asks a mask of two axes whether it is full, which nothing on "meta" can answer
            inputs["attention_mask"] = torch.zeros(len(mask), 1, mask.shape[1], mask.shape[1], device="meta")
        scores: Tensor = self.model(**inputs, return_dict=True).logits
        return scores


@dataclass(frozen=True)
class Saved:
    """A folder with a saved model, what its configuration says, and the library that reads it."""

    folder: Path
    config: Any
    kind: str
    library: Any

    def load(self, what: str, auto: str, **settings: object) -> Any:
        """What one of transformers' auto classes makes of the folder, nothing fetched, no code of its own run."""
        settings = {"local_files_only": True, "trust_remote_code": False, **settings}
        return loaded(what, self.folder, partial(getattr(self.library, auto).from_pretrained, self.folder, **settings))

    @property
    def classes(self) -> tuple[str, ...]:
        """What a classifier calls its outputs, in their order."""
        return tuple(str(name) for _, name in sorted(self.config.id2label.items()))


def library_of() -> Any:
    """transformers, which takes seconds to import. Raises InvalidInput where it is not installed."""
    try:
        import transformers
    except ImportError as error:
        key = "transformers must be installed for a model of Hugging Face's, got none here: {do}"
        raise InvalidInput(key, do="pip install 'secateur[hub]'") from error
    return transformers


@contextmanager
def quiet(library: Any) -> Iterator[None]:
    """transformers' bars and hints held back: what a reader must know is said in a sentence."""
    logging = library.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def loaded(what: str, folder: Path, load: Callable[[], Any]) -> Any:
    """What `load` gives. Raises InvalidInput where it raises anything.

    what, folder    for the sentence: "tokenizer", and the folder that it lies in
    """
    try:
        return load()
    except Exception as error:  # somebody else's files and library: whatever it raises is one sentence here
        key = "the {what} of {name} must work with transformers and without code of its own, got {kind}: {why}; {do}"
        why = first_line(error, 1000).replace(str(folder), folder.name)[:90]
        do = "save the model again with save_pretrained"
        kind = type(error).__name__
        raise InvalidInput(key, what=what, name=shown(folder.name), kind=kind, why=why, do=do) from error


def _folder(name: str) -> Path:
    """The folder with the model, fetched where it is a name on the hub."""
    folder = Path(name).expanduser()
    if not folder.is_dir() and (folder.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1):
        key = "the model's folder must exist, got {got}: give another, or a name on the hub"
        raise InvalidInput(key, got=shown(folder.name))
    if not name or not folder.is_dir():
        from huggingface_hub import snapshot_download

        try:
            folder = Path(snapshot_download(name, allow_patterns=FILES, ignore_patterns=["*/*"]))
        except Exception as error:  # no network, no such name, a gate, a full disk: each has a kind of its own
            key = "the model must be a folder or a name on the hub that can be reached, got {got}: {why}"
            raise InvalidInput(key, got=shown(name), why=first_line(error, 120)) from error
    if not (folder / "config.json").is_file():
        key = "{name} must hold the config.json of a saved model, got none: save it there with save_pretrained"
        raise InvalidInput(key, name=shown(folder.name))
    if not any(folder.glob("*.safetensors")):
        key = "{name} must hold its weights as .safetensors, got {got}, which can run code when opened: {do}"
        pickles = sorted(path.name for path in folder.glob("*.bin"))
        if not pickles:
            key = "{name} must hold its weights as .safetensors, got none: {do}"
        do = "where you trust it, load it with from_pretrained and save it with save_pretrained"
        raise InvalidInput(key, name=shown(folder.name), got=shown_text(", ".join(pickles)), do=do)
    return folder


def saved(name: str, library: Any) -> Saved:
    """The saved model in a folder, or of that name on the hub, which is fetched first.

    Raises InvalidInput where there is none, it has no .safetensors, or it is of none of the KINDS.
    """
    folder = _folder(name)
    config = Saved(folder, None, "", library).load("config.json", "AutoConfig")
    asked = tuple(getattr(config, "architectures", None) or ())
    names = library.models.auto.modeling_auto
    for kind, (_, mapping) in KINDS.items():
        known = {name for value in getattr(names, mapping).values() for name in _several(value)}
        if known & set(asked):
            found = Saved(folder, config, kind, library)
            break
    else:
        key = "{name} must be one of {kinds}, got {got}: choose another model"
        got = shown_text(", ".join(map(str, asked))) or "a config.json that names no architecture"
        raise InvalidInput(key, name=shown(folder.name), kinds=", ".join(KINDS), got=got)
    if getattr(config, "quantization_config", None):
        key = "{name} must hold plain numbers, got quantized weights: choose the model that they were made from"
        raise InvalidInput(key, name=shown(folder.name))
    problem = getattr(config, "problem_type", None)
    if kind != WRITING and (problem not in (None, "single_label_classification") or len(found.classes) < 2):
        key = "{name} must say one of two or more classes, got {n} and the problem {got}: choose another model"
        raise InvalidInput(key, name=shown(folder.name), n=len(found.classes), got=shown(problem))
    return found


def _several(value: object) -> tuple[str, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (str(value),)


def network_of(found: Saved) -> Logits:
    """The model with its weights, float32 and in eval mode. Raises InvalidInput where some of them are missing."""
    attention = "eager" if found.config.model_type in OWN_MASKS else None
    settings = {"use_safetensors": True, "dtype": torch.float32, "attn_implementation": attention}
    model, info = found.load("weights", KINDS[found.kind][0], output_loading_info=True, **settings)
    wrong = sorted(map(str, info["missing_keys"])) + sorted(str(k) for k in info.get("mismatched_keys", ()))
    if wrong:  # transformers would draw them at random, anew in every process
        key = "{name} must hold every weight of its architecture, got none for {got}: save the whole trained model"
        raise InvalidInput(key, name=shown(found.folder.name), got=shown_text(wrong[0]))
    if hasattr(model.config, "use_cache"):
        model.config.use_cache = False
    return Logits(model, found.kind == WRITING).eval()

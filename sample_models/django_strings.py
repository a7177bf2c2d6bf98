"""Short texts of Django's user interface in 35 languages, as characters: what two of the models here read."""

from __future__ import annotations

import gzip
import unicodedata
from collections import Counter
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from sample_models.files import data_file

LENGTH = 48  # characters of a string that a net sees
RARE = 2  # a character seen fewer times in training has no sign of its own
VALIDATION_EVERY = 11  # every eleventh training string is for validation
PADDING, UNKNOWN = 0, 1

Row = tuple[str, str]  # text, language


class Corpus(NamedTuple):
    """The strings as a net sees them: codes (n, 48) padded on the right, languages (n,), no string in two parts."""

    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    characters: tuple[str, ...]
    languages: tuple[str, ...]

    def text(self, codes: Tensor) -> str:
        """The string of these codes (length,), up to the padding; "·" stands for an unknown character."""
        signs = ("", "·", *self.characters)
        return "".join(signs[code] for code in codes.tolist() if code < len(signs))


def cleaned(text: str) -> str:
    """Composed characters, lower case, single spaces, at most 48."""
    return " ".join(unicodedata.normalize("NFC", text).lower().split())[:LENGTH]


@cache
def corpus() -> Corpus:
    """All strings, read from the shipped file; the vocabulary comes from the training strings only.

    A string that two parts hold, as a net sees it, stays in the later one of train, validation, test.
    """
    with gzip.open(data_file("languages/langid.tsv.gz"), "rt", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    held = [(cleaned(text), language) for language, is_test, text in rows if is_test == "1"]
    rest = [(cleaned(text), language) for language, is_test, text in rows if is_test != "1"]
    validation, train = rest[::VALIDATION_EVERY], [r for i, r in enumerate(rest) if i % VALIDATION_EVERY]
    languages = tuple(sorted({language for _, language in rest}))
    counts = Counter(character for text, _ in train for character in text)
    characters = tuple(sorted(c for c, n in counts.items() if n >= RARE))
    codes = {c: i + 2 for i, c in enumerate(characters)}
    signs = {language: i for i, language in enumerate(languages)}
    seen: set[tuple[int, ...]] = set()
    parts = []
    for part in (held, validation, train):  # the held-out strings keep their places, others give way
        kept = _without(part, codes, seen)
        parts.append(_tensors(kept, codes, signs))
    return Corpus(parts[2], parts[1], parts[0], characters, languages)


def _coded(text: str, codes: dict[str, int]) -> tuple[int, ...]:
    return tuple(codes.get(c, UNKNOWN) for c in text)


def _without(part: list[Row], codes: dict[str, int], seen: set[tuple[int, ...]]) -> list[Row]:
    kept = [(text, language) for text, language in part if text and _coded(text, codes) not in seen]
    seen.update(_coded(text, codes) for text, _ in part)
    return kept


def _tensors(part: list[Row], codes: dict[str, int], signs: dict[str, int]) -> tuple[Tensor, Tensor]:
    inputs = torch.full((len(part), LENGTH), PADDING)
    for i, (text, _) in enumerate(part):
        inputs[i, : len(text)] = torch.tensor(_coded(text, codes))
    return inputs, torch.tensor([signs[language] for _, language in part])

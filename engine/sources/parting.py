"""Examples shared out in three parts by what they hold, so that no content is in two."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from engine.errors import InvalidInput, shown

SHARE = 0.2  # of the different contents, for each part that nobody made


@dataclass(frozen=True)
class Example:
    """A text, or the path of a picture; its label as the data has it; and a key that two of one content share."""

    value: str
    label: str
    key: str


Parts: TypeAlias = "dict[str, list[Example]]"


def few(found: Mapping[str, list[Example]], most: int) -> Parts:
    """Every part in a seeded order, cut to its share of `most`."""
    total = sum(map(len, found.values()))
    chosen = {}
    for part, examples in found.items():
        mixed = list(examples)
        random.Random(0).shuffle(mixed)
        chosen[part] = mixed if total <= most else mixed[: max(1, len(mixed) * most // total)]
    return chosen


def parted(found: Parts, data: Path) -> Parts:
    """The same in three parts of different contents; one that is missing gets its share of train.

    data    where the examples lie, for what is said of them

    Raises InvalidInput where there are too few different ones.
    """
    missing = [part for part in ("test", "validation") if part not in found]
    keys = list(dict.fromkeys(e.key for e in found["train"]))  # two of one content go the same way
    if len(keys) <= len(missing):
        key = "the data must hold at least {need} different examples for train, got {got} in {name}: add some"
        raise InvalidInput(key, need=len(missing) + 1, got=len(keys), name=shown(data.name))
    size = max(1, round(SHARE * len(keys)))
    way = {key: part for i, part in enumerate(missing) for key in keys[i * size : (i + 1) * size]}
    shared = {part: [e for e in found["train"] if way.get(e.key) == part] for part in missing}
    parts = {**found, **shared, "train": [e for e in found["train"] if e.key not in way]}
    seen: set[str] = set()
    for part in ("test", "validation", "train"):
        parts[part], before = [e for e in parts[part] if e.key not in seen], len(parts[part])
        seen.update(e.key for e in parts[part])
        if not parts[part]:
            key = "{part} must hold an example that no other part holds, got {got} that are all elsewhere: add some"
            raise InvalidInput(key, part=part, got=before)
    return {part: parts[part] for part in ("train", "validation", "test")}

"""What all visitors share."""

from __future__ import annotations

import pytest

from dashboard import cache
from engine import Recipe

NARROW = "node_pruning"
PRUNE = ["weight_pruning", {"form": "magnitude_global", "amount": 0.5}]


def test_how_many_things_there_are_is_counted_once_for_all_places_of_the_slider(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted: list[str] = []

    def count(_: object, recipe: Recipe, index: int) -> int:
        counted.append(str(recipe))
        return 100 + index

    monkeypatch.setattr(cache, "count_things", count)
    cache._things.clear()
    try:
        for amount in (0.2, 0.3, 0.41):
            later = [PRUNE[0], {**PRUNE[1], "amount": amount}]
            assert cache.things("digits_mlp", Recipe.of([[NARROW, {"amount": amount}], later]), 0) == (100, "")
        assert len(counted) == 1
        for amount in (0.2, 0.3):  # what comes before matters
            assert cache.things("digits_mlp", Recipe.of([[NARROW, {"amount": amount}], NARROW]), 1) == (101, "")
        cache.things("digits_mlp", Recipe.of([[NARROW, {"of": "parameters"}]]), 0)  # and of what it is a share
        assert len(counted) == 4
    finally:
        cache._things.clear()

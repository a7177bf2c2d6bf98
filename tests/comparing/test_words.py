"""What differs between recipes, as sentences."""

from __future__ import annotations

import pytest

from engine import Estimate, Recipe, recipe_in_words
from engine.comparing.words import count_in_words, recipes_apart, score_in_words, time_in_words

PRUNE, REPAIR, NODES = ["weight_pruning", {"amount": 0.5}], ["repair", {}], ["node_pruning", {"amount": 0.4}]


def apart(one: list[object], two: list[object]) -> list[str]:
    return [str(message) for message in recipes_apart(Recipe.of(one), Recipe.of(two))]


@pytest.mark.parametrize(
    ("one", "two", "wanted"),
    [
        ([], [], []),
        ([PRUNE], [["weight_pruning", {}]], []),
        ([PRUNE], [["weight_pruning", {"amount": 0.7}]], ["step 0 (weight_pruning): amount 0.5 against 0.7"]),
        ([PRUNE, REPAIR], [REPAIR, PRUNE], [
            "the same steps in another order: weight_pruning → repair against repair → weight_pruning"]),
        ([PRUNE], [PRUNE, REPAIR], ["only the second has step 1: repair by least_squares"]),
        ([NODES, PRUNE], [PRUNE], ["only the first has step 0: node_pruning by group_norm, amount 0.4"]),
        ([NODES, PRUNE], [["weight_pruning", {"amount": 0.7}]], [
            "only the first has step 0: node_pruning by group_norm, amount 0.4",
            "step 1 and 0 (weight_pruning): amount 0.5 against 0.7"]),
        ([["weight_pruning", {"form": "formula"}]], [["weight_pruning", {"form": "magnitude_layer"}]], [
            "step 0 (weight_pruning): form formula against magnitude_layer"]),
    ],
)  # fmt: skip
def test_recipes_are_told_apart_in_words(one: list[object], two: list[object], wanted: list[str]) -> None:
    assert apart(one, two) == wanted


def test_two_steps_of_one_method_in_another_order_are_told_by_their_coefficients() -> None:
    (said,) = apart([PRUNE, ["weight_pruning", {"amount": 0.7}]], [["weight_pruning", {"amount": 0.7}], PRUNE])
    assert said.endswith("amount 0.7 → weight_pruning by magnitude_global") or "amount 0.7 →" in said


def test_a_recipe_in_words() -> None:
    assert recipe_in_words(Recipe()) == "the original, unchanged"
    assert recipe_in_words(Recipe.of([NODES, REPAIR])) == (
        "node_pruning by group_norm, amount 0.4; then repair by least_squares"
    )


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0.0, 0.0, "the very same accuracy"),
        (-0.02, 0.01, "same accuracy within the interval (-2.0 to +1.0 points)"),
        (0.0, 0.02, "same accuracy within the interval (+0.0 to +2.0 points)"),
        (0.01, 0.03, "accuracy higher by 2.0 points (+1.0 to +3.0 points)"),
        (-0.03, -0.01, "accuracy lower by 2.0 points (-3.0 to -1.0 points)"),
    ],
)
def test_a_score_is_only_another_where_the_interval_says_so(low: float, high: float, wanted: str) -> None:
    value = 0.02 if low > 0 else -0.02 if high < 0 else low
    assert str(score_in_words("accuracy", Estimate(value, low, high, 9, "fraction"))) == wanted


@pytest.mark.parametrize(
    ("figure", "one", "two", "wanted"),
    [
        ("parameters", 100, 77, "23 % fewer parameters"),
        ("parameters", 100, 100, "as many parameters"),
        ("nonzero", 100, 150, "50 % more non-zero parameters"),
        ("size_bytes", 1000, 985, "1.5 % fewer bytes"),
        ("multiply_adds", 0, 5, "all more multiply-adds"),
    ],
)
def test_counts(figure: str, one: float, two: float, wanted: str) -> None:
    assert str(count_in_words(figure, one, two)) == wanted


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0.9, 1.1, "no difference in time at batch 64 (0.90 to 1.10 times)"),
        (0.5, 0.7, "40 % less time at batch 64 (0.50 to 0.70 times)"),
        (1.2, 1.6, "40 % more time at batch 64 (1.20 to 1.60 times)"),
    ],
)
def test_times(low: float, high: float, wanted: str) -> None:
    assert str(time_in_words("64", Estimate((low + high) / 2, low, high, 9, "ratio"))) == wanted

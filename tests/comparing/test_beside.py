"""Two points that were really measured, side by side."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from engine import Estimate, Point, Recipe, beside, comparable, differing, measure
from engine.comparing.basis import groups
from engine.comparing.beside import minus, over
from engine.metrics.answers import Answers
from engine.metrics.paired import compare
from tests.comparing.points import CLASSES, RECIPES, early, otherwise, point, taught
from tests.engine.quick import quick
from tests.tiny import tiny

PAIRS = [("original", "heavy"), ("light", "heavy"), ("heavy", "nodes"), ("nodes", "light")]
FIELDS = {
    "machine": {"latency_ms", "latency_p90_ms_64", "peak_memory_bytes"},
    "device": {"latency_ms", "peak_memory_bytes"},
    "device_name": {"latency_ms"},
    "dtype": {"latency_ms", "size_bytes", "accuracy"},
    "threads": {"latency_ms"},
    "split": {"accuracy"},
    "seed": {"accuracy"},
    "torch_version": {"latency_ms", "peak_memory_bytes"},
}


def right(name: str) -> torch.Tensor:
    """Which test examples the model of that recipe gets right, by running it."""
    x, y = taught().test
    with torch.no_grad():
        return Recipe.of(RECIPES[name]).apply(taught(), device="cpu")(x).argmax(1) == y


def places(mask: torch.Tensor) -> tuple[int, ...]:
    return tuple(mask.nonzero().flatten().tolist())


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_what_only_one_gets_right_is_what_the_models_say(first: str, second: str) -> None:
    answers = beside(point(first), point(second)).answers
    one, two = right(first), right(second)
    assert answers.only_first == places(one & ~two)
    assert answers.only_second == places(two & ~one)
    assert answers.n == len(one)
    targets = taught().test[1]
    for number, (name, of_class) in enumerate(zip(CLASSES, answers.classes, strict=True)):
        here = targets == number
        assert of_class.name == name
        assert of_class.only_first == int((one & ~two & here).sum())
        assert of_class.only_second == int((two & ~one & here).sum())
        assert of_class.difference.value == pytest.approx(float((two[here].double() - one[here].double()).mean()))


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_the_difference_is_the_paired_one(first: str, second: str) -> None:
    """As if both had been measured as original and variant."""
    x, y = taught().test
    said = []
    for name in (first, second):
        with torch.no_grad():
            outputs = Recipe.of(RECIPES[name]).apply(taught(), device="cpu")(x)
        said.append(Answers(taught().task.terms(outputs, y), outputs.argmax(1).int(), outputs.softmax(1).amax(1)))
    wanted = compare(*said, taught().task)
    got = beside(point(first), point(second))
    assert got.answers.difference == wanted.difference
    assert got.answers.p == pytest.approx(wanted.p)
    figure = next(one for one in got.figures if one.name == "accuracy")
    assert figure.change == wanted.difference
    low, high = wanted.difference.low, wanted.difference.high
    assert figure.verdict == ("same" if low <= 0 <= high else "higher" if low > 0 else "lower")


def test_two_that_are_far_apart_and_two_that_are_not() -> None:
    far = beside(point("original"), point("heavy"))
    assert str(far.summary[0]).startswith("accuracy lower by ")
    assert "higher" in str(beside(point("heavy"), point("original")).summary[0])
    slight = beside(point("original"), point("slight"))
    assert slight.answers.only_first  # they differ, but not beyond the interval
    assert str(slight.summary[0]).startswith("same accuracy within the interval (-")
    assert next(one for one in slight.figures if one.name == "accuracy").verdict == "same"


def test_fewer_parameters_are_said_in_percent() -> None:
    one, two = point("original"), point("nodes")
    share = 1 - two.variant["parameters"].value / one.variant["parameters"].value
    assert f"{100 * share:.0f} % fewer parameters" in [str(message) for message in beside(one, two).summary]
    assert "as many parameters" in [str(message) for message in beside(one, point("light")).summary]


def test_a_point_of_a_curve_is_compared_on_the_examples_that_both_saw() -> None:
    some, whole = early("light"), point("heavy")
    assert some.examples < some.of == whole.examples
    got = beside(some, whole).answers
    seen = torch.randperm(some.of, generator=torch.Generator().manual_seed(0))[: some.examples]
    mask = torch.zeros(some.of, dtype=torch.bool)
    mask[seen] = True
    assert got.n == some.examples
    assert got.only_first == places(right("light") & ~right("heavy") & mask)
    assert got.only_second == places(right("heavy") & ~right("light") & mask)


@pytest.mark.parametrize("field", FIELDS)
def test_what_hangs_on_a_field_of_the_protocol_is_marked_where_it_differs(field: str) -> None:
    one, two = point("light"), otherwise(point("heavy"), **{field: "another"})
    found = differing(one, two)
    assert set(found.figures) >= FIELDS[field]
    assert "parameters" not in found.figures
    assert found.message is not None
    assert field in str(found.message)
    assert "another" in str(found.message)
    marked = {figure.name for figure in beside(one, two).figures if figure.verdict == "not comparable"}
    assert marked == set(found.figures)
    assert all(figure.change.value is None for figure in beside(one, two).figures if figure.name in marked)
    assert comparable(one, two, "parameters")
    assert not comparable(one, two, *FIELDS[field])


def test_where_the_score_cannot_be_compared_no_answers_are() -> None:
    assert beside(point("light"), otherwise(point("heavy"), split="validation")).answers is None


def test_points_of_two_workloads_share_no_figure() -> None:
    other = Point.of_measured(measure(tiny("linear"), None, protocol=quick()))
    got = beside(point("light"), other)
    assert {figure.verdict for figure in got.figures} == {"not comparable"}
    assert got.summary == ()
    assert got.answers is None
    assert "no figure can be compared" in str(got.basis.message)
    assert "model (taught and linear)" in str(got.basis.message)


def test_a_model_of_the_same_name_with_other_weights_is_another() -> None:
    two = point("heavy")
    two = replace(two, original={**two.original, "accuracy": Estimate(0.5, 0.4, 0.6, 600, "fraction")})
    assert "accuracy of the original" in str(differing(point("light"), two).message)


def test_nothing_is_said_where_nothing_differs() -> None:
    assert differing(point("light"), point("heavy")).message is None


def test_groups_hold_what_can_be_compared() -> None:
    points = [point("light"), otherwise(point("heavy"), machine="b"), point("nodes")]
    assert groups(points, "parameters", "accuracy") == [[0, 1, 2]]
    assert groups(points, "latency_ms", "accuracy") == [[0, 2], [1]]


def test_a_score_that_counts_no_right_ones_has_an_interval_too() -> None:
    recipes = ([["weight_pruning", {"amount": 0.1}]], [["weight_pruning", {"amount": 0.9}]])
    one, two = (Point.of_measured(measure(tiny("regression"), recipe, protocol=quick())) for recipe in recipes)
    got = beside(one, two)
    assert got.answers is None
    figure = next(f for f in got.figures if f.name == one.score)
    assert figure.change.low == pytest.approx(two.difference.low - one.difference.high)
    assert figure.change.value == pytest.approx(two.variant[one.score].value - one.variant[one.score].value)


def test_intervals_of_differences_and_ratios_hold_the_worst() -> None:
    one, two = Estimate(4.0, 3.0, 5.0, 9, "ms"), Estimate(2.0, 1.0, 2.5, 7, "ms")
    assert minus(one, two) == Estimate(2.0, 0.5, 4.0, 7, "ms")
    assert over(one, two) == Estimate(2.0, 1.2, 5.0, 7, "ratio")
    assert over(one, Estimate.exact(0.0, "ms")).value is None


def test_times_are_compared_by_what_ran_beside_the_original() -> None:
    one, two = point("light"), point("nodes")
    figure = next(f for f in beside(one, two).figures if f.name == "latency_ms_64")
    assert figure.change.value == pytest.approx(two.ratio["64"].value / one.ratio["64"].value)

"""Two models on the same examples, against counts and statistics worked out elsewhere."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import binom

from engine import measure
from engine.metrics.answers import Answers, calibration_error
from engine.metrics.paired import by_class, compare, share
from engine.task import TASKS
from sample_models import load
from tests.engine.quick import quick
from tests.tiny import tiny

CLASSES, NUMBERS = TASKS["classification"], TASKS["regression"]


def answers(right: str) -> Answers:
    """A classifier that is right where there is a 1."""
    hits = torch.tensor([[float(c), 1.0] for c in right])
    return Answers(hits, hits[:, 0].int(), torch.full((len(right),), 0.75))


def test_gained_and_lost_are_the_places_where_only_one_is_right() -> None:
    found = compare(answers("110010"), answers("011010"), CLASSES)
    assert (found.gained, found.lost) == ((2,), (0,))
    assert found.p == 1.0
    assert found.difference.value == 0
    assert found.agreement.value == pytest.approx(4 / 6)


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (0, 5), (3, 12), (7, 7), (20, 1)])
def test_p_is_mcnemars_in_its_exact_form(gained: int, lost: int) -> None:
    found = compare(
        answers("0" * gained + "1" * lost + "1" * 30), answers("1" * gained + "0" * lost + "1" * 30), CLASSES
    )
    n, k = gained + lost, min(gained, lost)
    assert found.p == pytest.approx(min(1.0, 2 * binom.cdf(k, n, 0.5)) if n else 1.0)


def test_a_broken_answer_is_a_wrong_one() -> None:
    broken = Answers(torch.tensor([[math.nan, math.nan], [1.0, 1.0]]), torch.tensor([0, 1]), torch.tensor([0.5, 0.5]))
    assert compare(answers("11"), broken, CLASSES).lost == (0,)


@pytest.mark.parametrize("model", ["linear", "regression", "tied"])
def test_a_model_against_itself_differs_nowhere(model: str) -> None:
    point = measure(tiny(model), protocol=quick("cpu"))
    paired = point.pair["paired"]
    assert paired["p"] == 1.0
    assert paired["difference"] | {"n": 0} == {
        "value": 0,
        "low": 0,
        "high": 0,
        "n": 0,
        "unit": paired["difference"]["unit"],
    }
    if model == "linear":
        assert (paired["gained"], paired["lost"], paired["agreement"]["value"]) == (0, 0, 1)
    else:
        assert (paired["gained"], paired["lost"]) == (None, None)


def test_the_differences_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    g = torch.Generator().manual_seed(0)
    held = 0
    for seed in range(200):
        first = torch.rand(150, generator=g) < 0.8
        second = torch.where(torch.rand(150, generator=g) < 0.2, torch.rand(150, generator=g) < 0.5, first)
        a, b = (Answers(torch.stack([x.double(), torch.ones(150)], 1)) for x in (first, second))
        found = compare(a, b, CLASSES, seed).difference
        held += found.low <= 0.2 * (0.5 - 0.8) <= found.high
    assert 180 <= held <= 199  # 95 % of 200, give or take three deviations


def test_recall_of_every_class_is_counted_on_its_own_examples() -> None:
    targets = torch.tensor([0, 0, 0, 1, 1])
    said = [torch.tensor([0, 0, 1, 1, 0]), torch.tensor([0, 1, 1, 1, 1])]
    sides = [Answers(torch.ones(5, 2), one) for one in said]
    found = by_class(*sides, targets, ("a", "b", "c"))
    assert [(one.name, one.original.value, one.variant.value) for one in found[:2]] == [
        ("a", 2 / 3, 1 / 3),
        ("b", 0.5, 1),
    ]
    assert found[2].original.value is None
    assert found[2].original.reason == "there are no examples of it"


def test_calibration_error_by_hand() -> None:
    confidence = torch.tensor([0.95, 0.95, 0.95, 0.95, 0.55, 0.55])
    right = torch.tensor([1, 1, 1, 0, 1, 0]).double()
    found = calibration_error(Answers(torch.stack([right, torch.ones(6)], 1), torch.zeros(6), confidence))
    assert found.value == pytest.approx(4 / 6 * (0.95 - 0.75) + 2 / 6 * (0.55 - 0.5), abs=1e-6)
    assert found.low <= found.value <= found.high


def test_one_who_knows_how_often_it_is_right_is_calibrated() -> None:
    g = torch.Generator().manual_seed(0)
    confidence = torch.rand(20_000, generator=g)
    right = (torch.rand(20_000, generator=g) < confidence).double()
    assert calibration_error(Answers(torch.stack([right, right], 1), right, confidence)).value < 0.015


def test_answers_come_back_as_they_were_kept() -> None:
    kept = answers("0110")
    again = Answers.from_dict(kept.to_dict())
    for name in ("terms", "predicted", "confidence"):
        assert torch.equal(getattr(again, name), getattr(kept, name))


def test_a_point_says_what_was_gained_and_lost_and_by_which_classes() -> None:
    workload = load("digits_mlp")
    point = measure(workload, '[["weight_pruning", {"amount": 0.9}]]', protocol=quick("cpu")).to_dict()
    paired, n = point["paired"], workload.splits["test"]
    right = [round(point[side]["accuracy"]["value"] * n) for side in ("original", "variant")]
    assert paired["gained"] - paired["lost"] == right[1] - right[0]
    assert [one["name"] for one in point["classes"]] == list(workload.classes)
    assert sum(round(one["variant"]["value"] * one["n"]) for one in point["classes"]) == right[1]
    assert share(right[1], n).to_dict() == point["variant"]["accuracy"]
    assert 0 < point["calibration_error"]["variant"]["value"] < 1

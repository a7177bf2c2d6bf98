from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from engine import Cancelled
from engine.metrics.accuracy import BATCH, score_terms
from engine.metrics.score import score_estimate
from engine.task import TASKS
from tests.devices import DEVICES
from tests.methods.nets import Listening
from tests.states import modes
from tests.tiny import tiny

CLASSES, NUMBERS, TOKENS = (TASKS[name] for name in ("classification", "regression", "language_modelling"))
CPU = torch.device("cpu")


def hits(right: int, n: int) -> Tensor:
    return torch.stack([(torch.arange(n) < right).double(), torch.ones(n).double()], dim=1)


def wilson(k: int, n: int) -> tuple[float, float]:
    """Wilson's interval as his paper of 1927 has it."""
    z, p = 1.959963984540054, k / n
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def test_wilson_by_hand() -> None:
    estimate = score_estimate(hits(8, 10), CLASSES)
    assert (estimate.value, estimate.n, estimate.unit) == (0.8, 10, "fraction")
    assert (estimate.low, estimate.high) == pytest.approx((0.4902, 0.9433), abs=5e-5)


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 50), (50, 50), (7, 9), (1980, 2000)])
def test_right_of_all_has_wilsons_interval(k: int, n: int) -> None:
    estimate = score_estimate(hits(k, n), CLASSES)
    assert estimate.value == k / n
    assert (estimate.low, estimate.high) == pytest.approx(wilson(k, n), abs=1e-9)


def test_the_bootstrap_is_as_wide_as_theory_says_and_repeatable() -> None:
    terms = hits(280, 400)
    estimate = score_estimate(terms, TOKENS)
    half = 1.96 * math.sqrt(0.7 * 0.3 / 400)
    assert estimate.value == 0.7
    assert (estimate.low, estimate.high) == pytest.approx((0.7 - half, 0.7 + half), abs=0.01)
    assert score_estimate(terms, TOKENS) == estimate
    assert score_estimate(terms, TOKENS, seed=1) != estimate


def test_the_bootstrap_covers_the_truth_about_as_often_as_it_says() -> None:
    generator = torch.Generator().manual_seed(0)
    covered = 0
    for _ in range(40):
        right = int((torch.rand(150, generator=generator) < 0.6).sum())
        estimate = score_estimate(hits(right, 150), TOKENS)
        covered += estimate.low <= 0.6 <= estimate.high
    assert covered >= 35


@pytest.mark.parametrize("task", [CLASSES, NUMBERS, TOKENS], ids=lambda task: task.name)
def test_the_value_lies_in_its_interval_even_at_the_ends(task: object) -> None:
    for scale in (0.0, 1.0, 100.0):
        y = torch.arange(12.0)[:, None]
        terms = NUMBERS.terms(y * scale, y) if task is NUMBERS else hits(int(min(scale, 12)), 12)
        estimate = score_estimate(terms, task)
        assert estimate.low <= estimate.value <= estimate.high


def test_r_squared_by_hand() -> None:
    y = torch.tensor([[1.0], [2.0], [3.0], [6.0]])
    assert NUMBERS.score(y, y) == 1.0
    assert NUMBERS.score(torch.full_like(y, 3.0), y) == pytest.approx(0.0)  # the mean
    assert NUMBERS.score(torch.tensor([[1.0], [2.0], [3.0], [3.0]]), y) == pytest.approx(1 - 9 / 14)
    wide = torch.cat([y, 2 * y], dim=1)
    assert NUMBERS.score(wide + torch.tensor([1.0, 0.0]), wide) == pytest.approx(1 - 4 / (14 + 56))


def test_padding_counts_for_nothing() -> None:
    outputs, targets = torch.eye(3)[torch.tensor([[0, 1, 2], [2, 2, 2]])], torch.tensor([[0, 1, -1], [2, 0, -1]])
    assert TOKENS.score(outputs, targets) == 0.75
    wanted = nn.functional.cross_entropy(outputs[targets >= 0], targets[targets >= 0])
    torch.testing.assert_close(TOKENS.loss(outputs, targets), wanted)
    assert TOKENS.chance(targets) == 0.5


def test_chance_is_the_best_constant_guess() -> None:
    assert CLASSES.chance(torch.tensor([0, 1, 1, 2])) == 0.5
    assert NUMBERS.chance(torch.tensor([1.0, 2.0])) == 0.0


def test_outputs_that_are_not_finite_have_no_score_but_a_reason() -> None:
    y = torch.arange(4.0)[:, None]
    estimate = score_estimate(NUMBERS.terms(y * math.nan, y), NUMBERS)
    assert estimate.value is None
    assert estimate.to_dict()["reason"] == "the model's outputs are not finite"
    workload = tiny("linear")
    broken = workload.model()
    with torch.no_grad():
        broken[4].bias[0] = math.nan
    terms = score_terms(broken, workload.task, workload.test, CPU)
    assert score_estimate(terms, workload.task).value is None


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("model", ["conv", "regression", "tied"])
def test_the_score_is_that_of_all_outputs_at_once(model: str, device: str) -> None:
    workload = tiny(model)
    x, y = (t.repeat(15, *[1] * (t.dim() - 1)) for t in workload.test)
    assert len(y) > 2 * BATCH
    terms = score_terms(workload.model().to(device), workload.task, (x, y), torch.device(device))
    with torch.no_grad():
        wanted = workload.task.score(workload.model()(x), y)
    assert len(terms) == len(y)
    assert score_estimate(terms, workload.task).value == pytest.approx(wanted, abs=1e-5)


def half_training() -> nn.Module:
    """A model in train mode of which a part was put in eval mode on purpose."""
    model = tiny("residual").model().train()
    model.blocks[0].norm1.eval()
    return model


def test_the_models_modes_are_put_back() -> None:
    workload, model = tiny("residual"), half_training()
    before = modes(model)
    score_terms(model, workload.task, workload.test, CPU)
    assert modes(model) == before


def test_dropout_is_off_meanwhile() -> None:
    workload = tiny("attention")
    model = workload.model().train()
    first, again = (score_terms(model, workload.task, workload.test, CPU) for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(first, score_terms(workload.model(), workload.task, workload.test, CPU))


def test_partial_scores_are_reported_and_a_wish_to_stop_is_heard() -> None:
    workload = tiny("linear")
    x, y = (t.repeat(15, *[1] * (t.dim() - 1)) for t in workload.test)
    line = Listening()
    terms = score_terms(workload.model(), workload.task, (x, y), CPU, line)
    assert [partial["examples"] for partial in line.heard] == [256, 512, 600]
    assert line.heard[-1]["accuracy"] == pytest.approx(score_estimate(terms, workload.task).value)
    model = half_training()
    before = modes(model)
    pictures = (tiny("residual").test[0].repeat(15, 1, 1, 1), y)
    with pytest.raises(Cancelled):
        score_terms(model, workload.task, pictures, CPU, Listening(stop_after=1))
    assert modes(model) == before


def test_large_answers_are_scored_few_at_a_time_with_the_same_score(monkeypatch: pytest.MonkeyPatch) -> None:
    workload, sizes = tiny("tied"), []
    model = workload.model()
    whole = score_terms(model, workload.task, workload.test, torch.device("cpu"))
    model.register_forward_hook(lambda net, given, answer: sizes.append(len(answer)))
    one = model(workload.test[0][:1]).numel()
    monkeypatch.setattr("engine.metrics.accuracy.ELEMENTS", 3 * one)
    few = score_terms(model, workload.task, workload.test, torch.device("cpu"))
    assert max(sizes) == 3
    assert torch.allclose(few, whole, rtol=1e-6)

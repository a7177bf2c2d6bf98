from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from engine import CannotApply, Recipe
from engine.methods.knowledge_distillation import mean_squared_difference, softened_divergence
from tests.methods.nets import Listening, context_of, random_inputs
from tests.states import Held, contents
from tests.tiny import TRAIN, tiny

PRUNE = ["weight_pruning", {"amount": 0.5}]
SOFT_ONLY = [{"form": "formula"}, {"form": "softened", "soft_share": 1.0}]  # nothing from the targets
KL_BY_HAND = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)  # of (½, ½) from (¼, ¾)


def distil(**values: object) -> list[object]:
    return ["knowledge_distillation", {"steps": 1, "batch_size": 1000, **values}]


def heard(model: str, *steps: object) -> Listening:
    """What a training reports."""
    line = Listening()
    Recipe.of(list(steps)).apply_in(context_of(tiny(model), line))
    return line


def test_the_formula_by_hand_and_against_torch() -> None:
    small, large = torch.tensor([[1.0, 2.0], [0.0, -1.0]]), torch.tensor([[0.0, 2.0], [3.0, 1.0]])
    assert float(mean_squared_difference(small, large)) == (1 + 0 + 9 + 4) / 4
    a, b = random_inputs(5, 3), random_inputs(5, 3, seed=2)
    torch.testing.assert_close(mean_squared_difference(a, b), F.mse_loss(a, b))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 4.0])
def test_the_softened_divergence_by_hand(temperature: float) -> None:
    small = torch.tensor([[0.0, temperature * math.log(3)]] * 2)  # ¼ and ¾ at this temperature
    divergence = softened_divergence(small, torch.zeros(2, 2), temperature)
    assert float(divergence) == pytest.approx(temperature**2 * KL_BY_HAND, rel=1e-5)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_the_softened_divergence_against_torch(temperature: float) -> None:
    small, large = random_inputs(6, 5), random_inputs(6, 5, seed=2)
    wanted = F.kl_div(
        F.log_softmax(small / temperature, 1), F.softmax(large / temperature, 1), reduction="batchmean"
    ) * temperature**2  # fmt: skip
    torch.testing.assert_close(softened_divergence(small, large, temperature), wanted)
    torch.testing.assert_close(softened_divergence(small.view(2, 3, 5), large.view(2, 3, 5), temperature), wanted)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_softened_loss_mixes_teacher_and_targets(share: float) -> None:
    workload = tiny("linear")
    x, y = workload.train
    small, large = Recipe.of([PRUNE]).apply(workload, device="cpu")(x), workload.model()(x)
    wanted = share * softened_divergence(small, large, 2.0) + (1 - share) * F.cross_entropy(small, y)
    line = heard("linear", PRUNE, distil(form="softened", temperature=2.0, soft_share=share))
    assert line.losses == pytest.approx([wanted.item()], rel=1e-5)


def test_the_formulas_loss_is_between_student_and_original() -> None:
    workload = tiny("regression")
    x = workload.train[0]
    wanted = F.mse_loss(Recipe.of([PRUNE]).apply(workload, device="cpu")(x), workload.model()(x))
    assert heard("regression", PRUNE, distil(form="formula")).losses == pytest.approx([wanted.item()], rel=1e-5)


@pytest.mark.parametrize("values", SOFT_ONLY)
def test_an_identical_student_has_nothing_to_learn(values: dict[str, object]) -> None:
    first, *later = heard("linear", distil(steps=5, **values)).losses
    assert first == pytest.approx(0.0, abs=1e-9)
    assert max(later) < 1e-4  # weight decay moves the weights a little


@pytest.mark.parametrize("form", ["formula", "softened"])
@pytest.mark.parametrize("model", ["residual", "attention", "tied"])
def test_the_teacher_is_not_touched_even_where_it_has_statistics_and_dropout(form: str, model: str) -> None:
    context = context_of(tiny(model))
    before = Held.of(context.original)
    student = Recipe.of([distil(form=form, steps=8, batch_size=16)]).apply_in(context)
    assert Held.of(context.original) == before
    assert contents(student) != before.contents


@pytest.mark.parametrize("values", SOFT_ONLY)
def test_the_student_comes_nearer_to_its_teacher(values: dict[str, object]) -> None:
    workload = tiny("conv")
    x = workload.train[0]
    taught = workload.model()(x)
    prune = ["weight_pruning", {"amount": 0.9}]
    teach = distil(steps=60, learning_rate=0.01, batch_size=TRAIN, **values)
    before, after = (
        F.mse_loss(Recipe.of(r).apply(workload, device="cpu")(x), taught) for r in ([prune], [prune, teach])
    )
    assert after.item() < 0.5 * before.item()


def test_every_step_is_taken_and_the_last_is_reported() -> None:
    line = heard("linear", distil(steps=120, batch_size=8))
    assert line.heard[-1]["step"] == 120
    assert {partial["steps"] for partial in line.heard} == {120}


@pytest.mark.parametrize(("keep", "same"), [("yes", True), ("no", False)])
def test_zeros_stay_where_asked(keep: str, same: bool) -> None:
    workload = tiny("linear")
    pruned = Recipe.of([PRUNE]).apply(workload, device="cpu")
    trained = Recipe.of([PRUNE, distil(steps=5, keep_zeros=keep)]).apply(workload, device="cpu")
    zero = pruned[0].weight == 0
    assert bool((trained[0].weight[zero] == 0).all()) is same
    assert not torch.equal(trained[0].weight[~zero], pruned[0].weight[~zero])


def test_numbers_have_no_class_scores_to_soften() -> None:
    with pytest.raises(CannotApply, match="use the form formula"):
        heard("regression", distil(form="softened"))

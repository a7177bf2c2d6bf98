"""How many nodes go of which layer, and what is saved by it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine import CannotApply, Context, Recipe
from engine.edit.budgets import BUDGETS
from engine.edit.choosing import Rules, choose, within_budget
from engine.edit.groups import CoupledGroup
from engine.edit.scores import drawn
from engine.metrics.compute import count_work
from tests.tiny import MAKERS, tiny

SCORES = [torch.tensor([4.0, 1.0, 3.0, 2.0]), torch.tensor([10.0, 40.0]), torch.tensor([5.0, 5.0, 5.0])]


def group(nodes: int, each: int = 1) -> CoupledGroup:
    places = tuple(torch.arange(node * each, (node + 1) * each) for node in range(nodes))
    return CoupledGroup("one", {("one", "gives"): places})


GROUPS = [group(len(scores)) for scores in SCORES]


def counts(share: float, rules: Rules) -> list[int]:
    return [len(nodes) for _, nodes in choose(GROUPS, SCORES, share, rules)]


@pytest.mark.parametrize("together", [False, True])
def test_the_lowest_go_in_order_of_place(together: bool) -> None:
    chosen = choose(GROUPS, SCORES, 0.5, Rules(together))
    for (_, nodes), scores in zip(chosen, SCORES, strict=True):
        lowest = scores.argsort(stable=True)[: len(nodes)].tolist()
        assert nodes == sorted(lowest)


def test_together_scores_count_beside_the_mean_of_their_group() -> None:
    # 1.6 0.4 1.2 0.8 | 0.4 1.6 | 1 1 1: of nine, a third are the two of 0.4 and the one of 0.8
    assert counts(1 / 3, Rules(together=True)) == [2, 1, 0]
    assert counts(1 / 3, Rules(together=False)) == [1, 1, 1]


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.8, 0.99])
def test_together_exactly_the_rounded_share_of_all_goes_as_far_as_one_of_each_stays(share: float) -> None:
    assert sum(counts(share, Rules(together=True))) == min(round(9 * share), 6)


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("most", [0.0, 0.25, 0.5, 1.0])
def test_no_group_loses_more_than_the_cap(together: bool, most: float) -> None:
    for scores, n in zip(SCORES, counts(0.99, Rules(together, most)), strict=True):
        assert n <= min(round(most * len(scores)), len(scores) - 1)


@pytest.mark.parametrize(("amount", "n", "each", "multiple", "stays"), [
    (0.5, 100, 1, 8, 56), (0.5, 96, 1, 8, 48), (0.99, 100, 1, 16, 16), (0.5, 6, 1, 8, 6), (0.0, 10, 1, 4, 10),
    (0.3, 10, 1, 1, 7), (0.5, 12, 16, 8, 6), (0.5, 12, 4, 8, 6), (0.6, 12, 4, 8, 6), (0.6, 12, 2, 8, 8),
])  # fmt: skip
def test_the_width_that_stays_is_a_multiple(amount: float, n: int, each: int, multiple: int, stays: int) -> None:
    ((_, nodes),) = choose([group(n, each)], [torch.rand(n)], amount, Rules(multiple=multiple))
    assert n - len(nodes) == stays


def test_a_budget_is_met_by_the_fewest_nodes() -> None:
    wide = [group(64), group(32)]
    scores = [drawn(64, 0), drawn(32, 1)]
    for amount in (0.1, 0.33, 0.75, 0.9):
        chosen, reached = within_budget(
            amount, lambda share: choose(wide, scores, share, Rules()), lambda c: sum(len(n) for _, n in c) / 96
        )
        assert amount <= reached < amount + 2 / 96 + 1e-9
        assert reached == sum(len(nodes) for _, nodes in chosen) / 96


def saved(of: str, model: str, variant: nn.Module) -> float:
    workload = tiny(model)
    if of == "parameters":
        whole, left = (sum(p.numel() for p in m.parameters()) for m in (workload.model(), variant))
    else:
        whole, left = (count_work(m, workload.example).multiply_adds.value for m in (workload.model(), variant))
    return 1 - left / whole


@pytest.mark.parametrize("model", [*MAKERS])
@pytest.mark.parametrize("of", [of for of in BUDGETS if of != "latency"])
@pytest.mark.parametrize("scope", ["layer", "model"])
def test_at_least_the_budget_is_saved(of: str, model: str, scope: str) -> None:
    amounts, found = (0.1, 0.2, 0.3), []
    for amount in amounts:
        step = ["node_pruning", {"amount": amount, "of": of, "scope": scope}]
        try:
            found.append(saved(of, model, Recipe.of([step]).apply(tiny(model), device="cpu")))
        except CannotApply as error:
            assert "with all nodes gone that can go" in str(error)  # noqa: PT017
            assert model in ("tied", "attention", "own_attention")
            return
        assert found[-1] >= amount
    assert found == sorted(found)


def test_a_budget_that_cannot_be_met_is_refused_with_what_can() -> None:
    with pytest.raises(CannotApply, match=r"share of the parameters of linear that it can reach, got 0\.99"):
        Recipe.of([["node_pruning", {"amount": 0.99, "of": "parameters"}]]).apply(tiny("linear"), device="cpu")


def test_a_budget_of_time_is_met_here() -> None:
    net = nn.Sequential(nn.Linear(256, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 3))
    from tests.methods.nets import explored, random_inputs

    context = Context.of(explored(net, random_inputs(8, 256)), torch.device("cpu"))
    variant = Recipe.of([["node_pruning", {"amount": 0.3, "of": "latency"}]]).apply_in(context)
    assert variant[0].out_features < 1024
